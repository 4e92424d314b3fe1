// What fovea uses of the library of file patterns: those with slashes, on every system.
export { default } from "../../node_modules/picomatch/posix.js";
