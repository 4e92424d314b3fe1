/** Bundles of WGSL on an adapter: right ones serve, each kind of wrong one is stopped, named and replaced. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { webgpuPlugin } from "../../kernels/webgpu/plugin.ts";
import { createRuntime, loadPlugin, type Tensor } from "../../mod.ts";
import { digestBytes } from "../../runtime/core/digest.ts";
import { ProofError } from "../../runtime/exec/prove.ts";
import { type BundleParts, bundleFiles } from "../foreign/bundles.ts";
import { cheap, type Outcome, square } from "../foreign/square.ts";
import { checkKernel } from "../kit/check_kernel.ts";
import { repositoryPath } from "../kit/run_cli.ts";

const OURS = { device: "webgpu" } as const;

/** A square on the adapter with a bundle beside the built-in kernels. */
const tried = (parts: BundleParts, rows = 7, value?: (i: number) => number, strict = false): Promise<Outcome> =>
  square(bundleFiles(parts), rows, { ...OURS, compile: { strict } }, {}, value);

test("the example in WGSL passes the check of kernels", async () => {
  const [kernel, ...others] = await checkKernel(repositoryPath("examples/kernel-wgsl"));
  assert.deepEqual([kernel.kernel, kernel.points, others], ["norm_rotary", 7, []]);
  assert.ok(kernel.worst > 0 && kernel.worst < 1);
});

test("a right bundle serves", async () => {
  for (const rows of [1, 3, 500]) {
    const { kernels, problems } = await tried({}, rows);
    assert.deepEqual({ kernels, problems }, { kernels: ["@test/shaders/square"], problems: [] });
  }
});

const SINS: Readonly<Record<string, readonly [BundleParts, RegExp]>> = {
  "loops without an end": [{ before: "loop { if (n == 0u) { break; } }" }, /stopped after the turns of loops/],
  "loops without an end around a barrier": [
    { before: "while (n > 0u) { workgroupBarrier(); }" },
    /stopped after the turns of loops/,
  ],
  "loops without an end in a function": [
    {
      scope: "fn never(a: u32) -> u32 { var b = a; while (b < 3000000000u) { b = a; } return b; }",
      before: "if (never(n) == 5u) { return; }",
    },
    /stopped after the turns of loops/,
  ],
  "writes outside of its result": [{ place: "i + 100000u" }, /it wrote outside of its result/],
  "writes before its result": [{ place: "i32(i) - 1000" }, /it wrote outside of its result/],
  "computes wrong numbers": [{ value: "v * v + 0.5" }, /off by 0\.5/],
  "reads what is not its own": [{ value: "x[i + 1000000u] * v" }, /off by/],
  "is no WGSL that the adapter takes": [{ before: "let q: u32 = 1.5;" }, /the adapter refused it: .*\w{3}/],
};

for (const [sin, [parts, says]] of Object.entries(SINS)) {
  test(`a shader that ${sin} is stopped and named, and the next cover computes`, async () => {
    const { kernels, problems } = await tried(parts);
    assert.deepEqual(kernels, ["elementwise"]);
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(problems[0], /^The kernel "@test\/shaders\/square" was put aside/);
    assert.match(problems[0], says);
  });
}

test("a shader that fails only in a call is put aside then, and the call completes", async () => {
  const parts = { before: "if (x[0] == 1000.0) { loop { if (n == 0u) { break; } } }" };
  assert.deepEqual((await tried(parts, 9)).problems, []);
  const met = await tried(parts, 9, (i) => (i === 0 ? 1000 : i));
  assert.deepEqual([met.kernels, met.recompiles], [["elementwise"], ["kernel failed"]]);
  assert.match(met.problems[0], /was put aside during a call: it was stopped after the turns of loops/);
  await assert.rejects(tried({ value: "v + 1.0" }, 9, undefined, true), ProofError);
});

test("integers, vectors of four, overrides, grids of three axes and packed weights", async () => {
  const wgsl = `
struct S { rows: u32, width: u32 }
@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> w: array<vec4f>;
override FOURS: u32 = 2u;
@compute @workgroup_size(2, 2, 1)
fn square(@builtin(workgroup_id) g: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>, @builtin(num_workgroups) all: vec3<u32>) {
  let row = g.z * all.y + g.y;
  let column = l.y * 2u + l.x;
  for (var i = column; i < FOURS; i += 4u) {
    let at = row * FOURS + i;
    if (row < arrayLength(&y) / FOURS) { y[at] = 0.5 * vec4f(x[at].xy * w[i].xy, x[at].zw * w[i].zw); }
  }
}`;
  const pack = `
@group(0) @binding(0) var<storage, read_write> packed: array<f32>;
@group(0) @binding(1) var<storage, read> dense: array<f32>;
@compute @workgroup_size(8)
fn pack(@builtin(global_invocation_id) id: vec3<u32>) { if (id.x < arrayLength(&dense)) { packed[id.x] = 2.0 * dense[id.x]; } }`;
  const packed = new TextEncoder().encode(pack);
  const files = new Map(
    bundleFiles({
      wgsl,
      kernel: {
        pattern: { op: "mul", inputs: ["x", "w"] },
        operands: {
          x: { shape: ["...rows", "width"] },
          w: {
            shape: ["width"],
            weight: true,
            prepack: {
              ...{ file: "pack.wgsl", sha256: digestBytes(packed), entry: "pack", elements: "width" },
              bindings: [
                { binding: 0, role: "output" },
                { binding: 1, role: "operand", of: "source" },
              ],
              dispatch: ["(width + 7) / 8"],
            },
          },
        },
        bindings: [
          { binding: 0, role: "output" },
          { binding: 1, role: "operand", of: "x" },
          { binding: 2, role: "operand", of: "w" },
        ],
        overrides: { FOURS: "width / 4" },
        dispatch: ["1", "2", "(rows + 1) / 2"],
      },
    }),
  ).set("pack.wgsl", packed);
  const problems: string[] = [];
  const runtime = await createRuntime({
    ...{ ...OURS, plugins: [cheap(await loadPlugin(files)), webgpuPlugin] },
    onProblem: (sentence) => problems.push(sentence),
  });
  try {
    const build = (b: Parameters<Parameters<typeof runtime.compile>[0]["build"]>[0]): void => {
      b.output("y", b.mul(b.input("x", [b.dims.rows, 24]), b.weight("w", [24])));
    };
    const w = Float32Array.from({ length: 24 }, (_, i) => i - 7);
    const component = await runtime.compile(
      { tag: "test/scaled", symbols: { rows: { min: 1, max: 9 } }, build },
      { w: { dtype: "f32", shape: [24], data: w } },
    );
    // Packing doubles and the kernel halves.
    assert.match(component.explain(), /@test\/shaders\/square\//);
    assert.deepEqual(problems, []);
    const x = Float32Array.from({ length: 120 }, (_, i) => (i % 13) - 5);
    const { y } = await component.run({ x: { dtype: "f32", shape: [5, 24], data: x } });
    assert.deepEqual(
      y.data,
      x.map((v, i) => v * w[i % 24]),
    );
  } finally {
    await runtime.close();
  }
});

test("a bundle that takes f32 is given f32 where the value lies as f16", async () => {
  const problems: string[] = [];
  const runtime = await createRuntime({
    ...{ ...OURS, plugins: [cheap(await loadPlugin(bundleFiles({}))), webgpuPlugin] },
    onProblem: (sentence) => problems.push(sentence),
  });
  try {
    const [rows, width] = [5, 32];
    const build = (b: Parameters<Parameters<typeof runtime.compile>[0]["build"]>[0]): void => {
      const x = b.input("x", [b.dims.rows, width]);
      const normed = b.op("layer_norm", [x, b.weight("scale", [width]), b.weight("shift", [width])], { eps: 1e-5 });
      // What a product reads becomes f16, for the square as well.
      b.output("product", b.matmul(normed, b.weight("w", [width, width])));
      b.output("square", b.mul(normed, normed));
    };
    const filled = (shape: readonly number[], value: (i: number) => number): Tensor => ({
      ...{ dtype: "f32", shape },
      data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => value(i)),
    });
    const weights = {
      scale: filled([width], () => 1),
      shift: filled([width], () => 0),
      w: filled([width, width], (i) => (i % (width + 1) === 0 ? 1 : 0)),
    };
    const spec = { tag: "test/squares", symbols: { rows: { min: 1, max: 9 } }, build };
    const component = await runtime.compile(spec, weights, { dtype: "f16" });
    const { product, square: found } = await component.run({ x: filled([rows, width], (i) => ((i * 37) % 101) - 50) });
    const text = component.explain();
    assert.match(text, /layer_norm_narrow|narrow/);
    assert.match(text, /@test\/shaders\/square\//);
    assert.deepEqual(problems, []);
    // The identity's product is the value itself.
    for (const [i, v] of product.data.entries()) assert.ok(Math.abs(found.data[i] - v * v) <= 1e-6 * (1 + v * v));
  } finally {
    await runtime.close();
  }
});
