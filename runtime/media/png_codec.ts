/** What the packages of PNG give, in one module that is loaded with the first picture: bundles keep no more of them than this. */
export { decode } from "fast-png";
export { unzlibSync } from "fflate";
