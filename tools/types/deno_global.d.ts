/**
 * `Deno` as the check for Node sees it: untyped. `runtime/host/deno.ts` is checked with Deno's own types by `deno check`;
 * nothing else may use this global (tools/check_imports.mjs).
 */
// biome-ignore lint/suspicious/noExplicitAny: its own types would bring in all other globals of Deno
declare const Deno: any;
