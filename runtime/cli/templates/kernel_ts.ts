/** A kernel in TypeScript, which writes its WebAssembly itself. */
import { type Template, typescriptProject } from "./project.ts";

const plugin = (
  name: string,
): string => `/** x * (x + y) on the WebAssembly device, written as bytes: nothing to compile, and sizes may shape the code. */
import { ABI_VERSION, definePlugin, type KernelSpec, leading, type Plugin, pointer, sourcesOf } from "fovea/abi";
import { product } from "fovea/core";

const leb = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...leb(n >>> 7)]);
const section = (id: number, content: readonly number[]): number[] => [id, ...leb(content.length), ...content];
const get = (local: number): number[] => [0x20, local];
const set = (local: number): number[] => [0x21, local];
const i32 = { load: (at: number): number[] => [0x28, 2, at], add: 0x6a, mul: 0x6c, geS: 0x4e };
const f32 = { load: [0x2a, 2, 0], store: [0x38, 2, 0], add: 0x92, mul: 0x94 };

const [ARGS, BEGIN, END, AT, STOP] = [0, 1, 2, 4, 5];
/** A word of the step's arguments: addresses of output, x and y, then the width. */
const word = (index: number): number[] => [...get(ARGS), ...i32.load(4 * index)];
const place = (index: number): number[] => [...word(index), ...get(AT), i32.add];
/** Bytes before a row. */
const bytesBefore = (row: number): number[] => [...get(row), ...word(3), i32.mul, 0x41, 2, 0x74];

/** \`f(args, begin, end, scratch)\`: rows from \`begin\` to \`end\`, in the device's memory. */
function gateModule(): Uint8Array {
  const x = [...place(1), ...f32.load];
  const body = [
    ...[1, 2, 0x7f],
    ...[...bytesBefore(BEGIN), ...set(AT), ...bytesBefore(END), ...set(STOP)],
    ...[0x02, 0x40, 0x03, 0x40, ...get(AT), ...get(STOP), i32.geS, 0x0d, 1],
    ...[...place(0), ...x, ...x, ...place(2), ...f32.load, f32.add, f32.mul, ...f32.store],
    ...[...get(AT), 0x41, 4, i32.add, ...set(AT), 0x0c, 0, 0x0b, 0x0b, 0x0b],
  ];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 0]),
    ...section(2, [1, 1, 0x65, 1, 0x6d, 2, 1, 1, ...leb(65536)]),
    ...section(3, [1, 0]),
    ...section(7, [1, 1, 0x66, 0, 0]),
    ...section(10, [1, ...leb(body.length), ...body]),
  ]);
}

const gate: KernelSpec = {
  name: "gate",
  device: "wasm",
  reads: [],
  claim: (context, node) => {
    if (node.op !== "mul" || node.dtype !== "f32") return [];
    for (const [x, sum] of [node.inputs, [...node.inputs].reverse()]) {
      const y = sum.inputs.find((n) => n !== x);
      const fits = sum.op === "add" && sum.inputs.includes(x) && context.users(sum).length === 1;
      if (!fits || y === undefined || context.isOutput(sum)) continue;
      const same = [x, y].every((n) => n.dtype === "f32" && String(n.shape) === String(node.shape));
      if (!same || node.shape.length === 0) return [{ kernel: "gate", node, reason: "it takes f32 of one shape." }];
      const sources = sourcesOf(context, [x, y], "dense");
      return [
        {
          kernel: "gate",
          covers: [sum, node],
          output: node,
          operands: sources.operands,
          weights: sources.weights,
          // What the cover compares; say what is true.
          cost: { flops: product([2, ...node.shape]), bytes: product([12, ...node.shape]), launches: 1 },
          emit: (e) =>
            e.step({
              name: "gate",
              code: gateModule(),
              args: [
                { place: e.output, offset: 0, mode: "write" },
                ...[x, y].map((n, i) => pointer(sources.source(e, i), n)),
                { size: node.shape[node.shape.length - 1] },
              ],
              grid: leading(node.shape, 1),
              flops: product([2, ...node.shape]),
            }),
        },
      ];
    }
    return [];
  },
};

export const plugin: Plugin = definePlugin({ name: ${JSON.stringify(name)}, version: "0.1.0", abi: ABI_VERSION, kernels: [gate] });
`;

const TEST = `import assert from "node:assert/strict";
import { test } from "node:test";
import { createRuntime } from "fovea";
import { wasmPlugin } from "fovea/wasm";
import { plugin } from "./plugin.ts";

test("the kernel is taken, and right", async () => {
  // A kernel that fails its proof is an error.
  const runtime = await createRuntime({ plugins: [plugin, wasmPlugin], threads: 0, compile: { strict: true } });
  const component = await runtime.compile({
    tag: "test/gate",
    symbols: { rows: { min: 1, max: 64 } },
    build: (b) => {
      const [x, y] = [b.input("x", [b.dims.rows, 7]), b.input("y", [b.dims.rows, 7])];
      b.output("z", b.mul(x, b.add(x, y)));
    },
  });
  assert.match(component.explain(), /gate/);
  const [x, y] = [3, 5].map((n) => Float32Array.from({ length: 35 }, (_, i) => ((i * n) % 11) - 4));
  const { z } = await component.run({ x: { dtype: "f32", shape: [5, 7], data: x }, y: { dtype: "f32", shape: [5, 7], data: y } });
  assert.deepEqual(z.data, x.map((v, i) => v * (v + y[i])));
  await runtime.close();
});
`;

export const KERNEL_TS: Template = {
  name: "kernel-ts",
  makes: "a kernel in TypeScript, which writes its WebAssembly itself",
  files: (name) =>
    typescriptProject(name, "A kernel for fovea in TypeScript: `x * (x + y)` in one pass.", plugin(name), TEST),
};
