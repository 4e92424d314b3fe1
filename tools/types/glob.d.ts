/** Types of `#glob`, the library of file patterns that tools/vendor.mjs bundles. */
interface Picomatch {
  (pattern: string | readonly string[], options?: { readonly dot?: boolean }): (path: string) => boolean;
  /** Of a pattern the folder before its first sign, and whether it has one. */
  scan(pattern: string): { readonly base: string; readonly glob: string; readonly isGlob: boolean };
}

declare const picomatch: Picomatch;
export default picomatch;
