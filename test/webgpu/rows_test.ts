/** Kernels over rows, by numbers and by fours, of rows in registers and of longer ones, between poison. */
import { after, test } from "node:test";
import { rowKernel } from "../../kernels/webgpu/emit/rows.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { l2Normalize, layerNorm, type RefTensor, refTensor, rmsNorm, softmax } from "../../runtime/ir/evaluate/mod.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { assertNear, normals, openGpu, runKernel } from "./gpu_kit.ts";

let opened: Promise<Device> | undefined;
const device = (): Promise<Device> => {
  opened ??= openGpu();
  return opened;
};
after(async () => (await opened)?.close());

const EPS = 1e-5;
const ROWS = 3;

interface Case {
  readonly parameters: number;
  readonly expected: (x: RefTensor, scale: RefTensor, bias: RefTensor) => RefTensor;
}

const CASES: Readonly<Record<string, Case>> = {
  layer_norm: { parameters: 2, expected: (x, scale, bias) => layerNorm(x, scale, bias, EPS) },
  rms_norm: { parameters: 1, expected: (x, scale) => rmsNorm(x, scale, EPS) },
  l2_normalize: { parameters: 0, expected: (x) => l2Normalize(x) },
  softmax: { parameters: 0, expected: (x) => softmax(x) },
};

/** Rows of `width` numbers that lie `step` apart, which what a kernel reads beyond them would spoil. */
async function check(op: string, width: number, step: number, inFours: boolean): Promise<void> {
  const { parameters, expected } = CASES[op];
  const { make } = createInterner(OP_TABLE);
  const input = (name: string, shape: readonly number[]) => make("input", [], { name, shape, dtype: "f32" });
  const vectors = [normals(21, width), normals(22, width)].slice(0, parameters);
  const inputs = [input("x", [ROWS, width]), ...vectors.map((_, i) => input(`p${i}`, [width]))];
  const node = make(op, inputs, op.endsWith("_norm") ? { eps: EPS } : {});
  const spread = normals(23, ROWS * step).map((v) => 3 + 2 * v);
  const lying = Float32Array.from(spread, (v, i) => (i % step < width ? v : Number.NaN));
  const dense = Float32Array.from(
    { length: ROWS * width },
    (_, i) => spread[Math.floor(i / width) * step + (i % width)],
  );
  const found = await runKernel(await device(), {
    code: rowKernel(node, {
      kinds: ["read", "weight", "read"].slice(0, 1 + parameters) as never,
      out: "write",
      inFours,
    }),
    inputs: [lying, ...vectors],
    outputLength: ROWS * width,
    words: [width, step, width],
    grid: ROWS,
  });
  const [scale, bias] = vectors.map((v) => refTensor("f32", [width], v));
  const { data } = expected(refTensor("f32", [ROWS, width], dense), scale, bias);
  assertNear(found, data, 2e-6, `${op} of ${width}${inFours ? " in fours" : ""}`);
}

for (const op of Object.keys(CASES)) {
  test(`${op} of short and long rows, by numbers and by fours`, async () => {
    for (const width of [1, 37, 257, 2100]) await check(op, width, width + 3, false);
    for (const width of [4, 36, 256, 772, 2052]) await check(op, width, width + 8, true);
  });
}
