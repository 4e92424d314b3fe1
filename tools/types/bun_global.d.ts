/**
 * `Bun` as the checks for Node and Deno see it: untyped. `runtime/host/bun.ts` is checked against bun-types by
 * tsconfig.bun.json; nothing else may use this global (tools/check_imports.mjs).
 */
// biome-ignore lint/suspicious/noExplicitAny: its own types would bring in all other globals of Bun
declare const Bun: any;
