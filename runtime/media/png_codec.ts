/** What the package of zlib streams gives, in a module that is loaded with the first picture: bundles keep no more of it than this. */
export { unzlibSync } from "fflate";
