/**
 * `Bun` and `Deno` as the check for Node sees them: untyped. `runtime/host/bun.ts` is checked against bun-types by
 * tsconfig.bun.json and `runtime/host/deno.ts` by `deno check`; nothing else may use these globals (check_imports).
 */
declare const Bun: any;
declare const Deno: any;
