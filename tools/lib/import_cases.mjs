// Planted sources for the self-test of check_imports: `finds` is part of the one sentence expected, absent when allowed.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the cases are source text

export const IMPORT_CASES = [
  // Directions between rooms.
  { file: "runtime/core/a.ts", source: `import { a } from "../ir/node.ts";`, finds: "core may not import ir" },
  { file: "runtime/core/a.ts", source: `import { a } from "./b.ts";` },
  { file: "runtime/ir/a.ts", source: `export { a } from "../abi/kernel.ts";`, finds: "ir may not import abi" },
  { file: "runtime/ir/a.ts", source: `import type { A } from "../abi/kernel.ts";`, finds: "ir may not import abi" },
  { file: "runtime/ir/sub/a.ts", source: `import { a } from "../../core/dim.ts";` },
  { file: "runtime/abi/a.ts", source: `import { a } from "../ir/ops.ts";`, finds: "only its types" },
  { file: "runtime/abi/a.ts", source: `import type { A } from "../ir/ops.ts";` },
  { file: "runtime/nn/a.ts", source: `import { a } from "../abi/plugin.ts";`, finds: "nn may not import abi" },
  {
    file: "runtime/compile/a.ts",
    source: `import { a } from "../exec/codec.ts";`,
    finds: "compile may not import exec",
  },
  { file: "runtime/compile/a.ts", source: `import { a } from "../ir/graph.ts";` },
  { file: "runtime/exec/a.ts", source: `import { a } from "../ir/node.ts";`, finds: "only its types" },
  { file: "runtime/exec/a.ts", source: `import { type A } from "../ir/node.ts";`, finds: "only its types" },
  { file: "runtime/exec/a.ts", source: `import type { A } from "../ir/node.ts";` },
  {
    file: "runtime/exec/a.ts",
    source: `import type { A } from "../compile/cover.ts";`,
    finds: "exec may not import compile",
  },
  { file: "runtime/exec/a.ts", source: `await import("../compile/cover.ts");`, finds: "exec may not import compile" },
  { file: "runtime/media/a.ts", source: `import { a } from "../host/mod.ts";`, finds: "media may not import host" },
  { file: "runtime/media/a.ts", source: `import { a } from "fast-png";` },
  { file: "runtime/host/a.ts", source: `import { a } from "../abi/device.ts";`, finds: "only its types" },
  { file: "runtime/session/a.ts", source: `import { a } from "../compile/compile.ts";`, finds: "eagerly" },
  { file: "runtime/session.ts", source: `import { a } from "./compile/compile.ts";`, finds: "eagerly" },
  { file: "runtime/session/a.ts", source: `export * from "../compile/compile.ts";`, finds: "eagerly" },
  { file: "runtime/session/a.ts", source: `const a = await import("../compile/compile.ts");` },
  { file: "runtime/session/a.ts", source: `import { a } from "../hub/hub_files.ts";`, finds: "eagerly" },
  { file: "runtime/session/a.ts", source: `const a = await import("../hub/hub_files.ts");` },
  { file: "runtime/exec/a.ts", source: `await import("../hub/hub_files.ts");`, finds: "exec may not import hub" },
  { file: "runtime/session/a.ts", source: `import type { A } from "../compile/compile.ts";` },
  { file: "runtime/session.ts", source: `import { a } from "./session/encoder.ts";` },
  { file: "runtime/cli/a.ts", source: `import { a } from "../compile/cover.ts";`, finds: "cli may not import compile" },
  { file: "runtime/cli/a.ts", source: `import { a } from "../abi/device.ts";`, finds: "only its types" },
  {
    file: "plugins/clip/a.ts",
    source: `import { a } from "../../runtime/ir/builder.ts";`,
    finds: "plugins may not import ir",
  },
  { file: "plugins/clip/a.ts", source: `import { a } from "../../runtime/nn/mod.ts";` },
  { file: "mod.ts", source: `import { a } from "./plugins/clip/plugin.ts";`, finds: "eagerly" },
  { file: "mod.ts", source: `const a = () => import("./plugins/clip/plugin.ts");` },
  { file: "runtime/core/a.ts", source: `import { a } from "../../tools/build.mjs";`, finds: "no part of the package" },
  { file: "runtime/attic/a.ts", source: "", finds: "belongs to no room" },

  // Front doors of plugins.
  { file: "runtime/session/a.ts", source: `await import("../../kernels/wasm/emit/mod.ts");`, finds: "only plugin.ts" },
  { file: "runtime/session/a.ts", source: `await import("../../kernels/wasm/plugin.ts");` },
  { file: "kernels/wasm/a.ts", source: `import { a } from "../reference/plugin.ts";`, finds: "another of its kind" },
  { file: "kernels/wasm/a/b.ts", source: `import { a } from "../asm/code.ts";` },
  { file: "plugins/clip/a.ts", source: `import { a } from "../siglip/plugin.ts";`, finds: "another of its kind" },
  {
    file: "plugins/clip/a.ts",
    source: `import { a } from "../../kernels/wasm/plugin.ts";`,
    finds: "may not import kernels",
  },
  {
    file: "kernels/wasm/a.ts",
    source: `import { a } from "../../runtime/ir/evaluate/mod.ts";`,
    finds: "only its types",
  },
  { file: "kernels/wasm/a.ts", source: `import type { A } from "../../runtime/ir/ops.ts";` },
  { file: "kernels/reference/a.ts", source: `import { a } from "../../runtime/ir/evaluate/mod.ts";` },
  { file: "kernels/reference/a.ts", source: `import { a } from "../wasm/plugin.ts";`, finds: "another of its kind" },
  { file: "test/kit/a.ts", source: `import { a } from "../../kernels/wasm/asm/code.ts";`, finds: "only plugin.ts" },
  { file: "test/wasm/a_test.ts", source: `import { a } from "../../kernels/wasm/asm/code.ts";` },
  { file: "examples/a.ts", source: `import { a } from "../kernels/wasm/asm/code.ts";`, finds: "only plugin.ts" },
  { file: "bench/a.ts", source: `import { a } from "../kernels/wasm/asm/code.ts";` },

  // Packages and computed modules.
  { file: "runtime/core/a.ts", source: `import { a } from "commander";`, finds: "the package commander" },
  {
    file: "runtime/session/a.ts",
    source: `await import("@jsquash/jpeg/decode.js");`,
    finds: "the package @jsquash/jpeg",
  },
  { file: "runtime/session/a.ts", source: "await import(name);", finds: "computed module" },
  { file: "runtime/session/a.ts", source: "await import(`../compile/${name}.ts`);", finds: "computed module" },

  { file: "runtime/hub/a.ts", source: `const a = await import("#hub");` },
  { file: "runtime/session/a.ts", source: `const a = await import("#hub");`, finds: "the package #hub" },

  // Runtime globals.
  { file: "runtime/exec/a.ts", source: "const a = process.env.HOME;", finds: "uses process" },
  { file: "runtime/core/a.ts", source: "const a = globalThis.Deno;", finds: "uses Deno" },
  { file: "kernels/wasm/a.ts", source: "const a = `${Bun.version}`;", finds: "uses Bun" },
  { file: "runtime/media/a.ts", source: "const a = Buffer.from(b);", finds: "uses Buffer" },
  { file: "runtime/media/a.ts", source: `import { readFile } from "node:fs/promises";`, finds: "node:fs/promises" },
  { file: "runtime/cli/a.ts", source: `import { readFile } from "node:fs";`, finds: "node:fs" },
  { file: "runtime/cli/a.ts", source: `import process from "node:process";\nprocess.exitCode = 1;` },
  { file: "runtime/cli/a.ts", source: "Deno.exit(1);", finds: "uses Deno" },
  { file: "runtime/host/a.ts", source: `import { readFile } from "node:fs/promises";\nconst a = Bun.version;` },
  { file: "runtime/core/a.ts", source: "/* process.env */ const a = { process: 1 }.process; // Bun" },
  { file: "runtime/core/a.ts", source: `const a = "Deno.env"; const b = /Buffer/.test(c);` },

  // Arithmetic that differs between engines.
  { file: "runtime/core/math.ts", source: "const a = Math.exp(1);", finds: "Math.exp" },
  { file: "kernels/reference/a.ts", source: "const a = Math.tanh(b);", finds: "Math.tanh" },
  { file: "plugins/clip/a.ts", source: "const { cos } = Math;", finds: "passes Math around" },
  { file: "runtime/ir/a.ts", source: "const a = b ** 0.5;", finds: "**" },
  { file: "runtime/compile/a.ts", source: "const a = 10 ** b;", finds: "**" },
  { file: "runtime/nn/a.ts", source: "const a = Math.sqrt(Math.max(1, 2 ** b)); /** 3 ** 4 */" },
  { file: "runtime/session/a.ts", source: "const a = Math.log(b);" },

  // Names and endings.
  { file: "runtime/core/camelCase.ts", source: "", finds: "snake_case" },
  { file: "test/core/kebab-case_test.ts", source: "", finds: "snake_case" },
  { file: "test/core/dim.test.ts", source: "", finds: "snake_case" },
  { file: "runtime/core/Sub/a.ts", source: "", finds: "snake_case" },
  { file: "runtime/core/a.ts", source: `import { a } from "./b";`, finds: "relative imports end in .ts" },
  {
    file: "test/core/a_test.ts",
    source: `import { a } from "../../runtime/core/dim.js";`,
    finds: "relative imports end in .ts",
  },
];
