/** What an encoder's author gets wrong in `split`, `prepare` and `plan`: told by the model's type and the function. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { type ComponentSpec, definePlugin, type EncodeResult, type Tensor, type Tensors } from "../../mod.ts";
import type { TowerSpec } from "../../runtime/abi/encoder.ts";
import { ABI_VERSION } from "../../runtime/abi/plugin.ts";
import { encodeSafetensors } from "../../runtime/exec/weights/writer.ts";
import { hasCode } from "../kit/assertions.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const TAG = "scaled/vision.block";
const f32 = (...shape: readonly number[]): Tensor => {
  const length = shape.reduce((a, b) => a * b, 1);
  return { dtype: "f32", shape, data: Float32Array.from({ length }, (_, i) => i) };
};

const block: ComponentSpec = {
  tag: TAG,
  symbols: { batch: { min: 1, max: 4 } },
  instances: ["a."],
  build: (b) => b.output("y", b.mul(b.input("x", [b.dims.batch, 3]), b.weight("scale", [3]))),
};

const tower: TowerSpec = {
  ...{ modality: "vision", inputs: ["pixel_values"], outputs: ["pooler_output"], components: [block] },
  ...{ exampleSizes: [], example: () => ({}) },
  prepare: (inputs) => inputs,
  plan: ({ pixel_values: [batch] }) => ({
    ...{ key: `${batch}`, constants: {}, results: { pooler_output: "scaled" } },
    calls: [{ tag: TAG, instance: "a.", dims: { batch }, inputs: { x: "pixel_values" }, outputs: { y: "scaled" } }],
  }),
};

const FILES = new Map([
  ["config.json", new TextEncoder().encode('{"model_type":"scaled_type"}')],
  ["model.safetensors", encodeSafetensors({ "a.scale": f32(3) })],
]);

/** Encodes a batch of `rows` by a tower with other functions, as what has no types may give them. */
async function encode(change: object, rows = 2, made: object = { ...tower, ...change }): Promise<EncodeResult> {
  const plugin = definePlugin({
    ...{ name: "@test/scaled", version: "1.0.0", abi: ABI_VERSION },
    encoders: [
      {
        ...{ name: "scaled", modelTypes: ["scaled_type"], files: [] },
        open: () => ({ prefixes: [""], processors: () => ({}), towers: [made as TowerSpec] }),
      },
    ],
  });
  const runtime = await openRuntime({ threads: 0, plugins: [wasmPlugin, plugin] });
  try {
    return await (await runtime.load(FILES)).encode({ pixel_values: f32(rows, 3) });
  } finally {
    await runtime.close();
  }
}

const planned = (change: object) => ({
  plan: (...args: Parameters<TowerSpec["plan"]>) => ({ ...tower.plan(...args), ...change }),
});
const called = (change: object) => ({
  plan: (...args: Parameters<TowerSpec["plan"]>) => {
    const plan = tower.plan(...args);
    return { ...plan, calls: [{ ...plan.calls[0], ...change }] };
  },
});
const boom = (): never => {
  throw new TypeError("boom");
};
const X = f32(2, 3);

const cutRows = (inputs: Tensors, from: number, to: number): Tensors => {
  const { dtype, shape, data } = inputs.pixel_values;
  return { pixel_values: { dtype, shape: [to - from, ...shape.slice(1)], data: data.subarray(from * 3, to * 3) } };
};

const WRONG: readonly (readonly [string, Readonly<Record<string, unknown>>, string, RegExp])[] = [
  ["throws in prepare", { prepare: boom }, "prepare", / threw: boom\./],
  ["prepares nothing", { prepare: () => undefined }, "prepare", / gives undefined; expected tensors by name\./],
  ["prepares a list", { prepare: () => [X] }, "prepare", / gives a list; expected tensors by name\./],
  ["prepares no row", { prepare: () => ({}) }, "prepare", / gives no row in any tensor\./],
  [
    "prepares numbers",
    { prepare: () => ({ pixel_values: 1 }) },
    "prepare",
    / gives "pixel_values" as 1; expected \{ dtype, shape, data \} that fit together\./,
  ],
  [
    "prepares another array",
    { prepare: () => ({ pixel_values: { ...X, dtype: "i32" } }) },
    "prepare",
    / gives "pixel_values" as i32 \[2,3\] with 6 values in an object of type Float32Array; expected/,
  ],
  [
    "prepares fewer values",
    { prepare: () => ({ pixel_values: { ...X, shape: [3, 3] } }) },
    "prepare",
    / gives "pixel_values" as f32 \[3,3\] with 6 values in an object of type Float32Array; expected \{ dtype/,
  ],
  ["throws in plan", { plan: boom }, "plan", / threw: boom\./],
  ["plans nothing", { plan: () => undefined }, "plan", / gives no plan with calls; expected \{ key, calls, /],
  ["plans without calls", planned({ calls: undefined }), "plan", / gives no plan with calls; expected/],
  ["plans an empty list", planned({ calls: [] }), "plan", / gives no plan with calls; expected/],
  ["calls nothing", planned({ calls: [null] }), "plan", / gives a call 0 that is not \{ tag, instance, dims, inputs/],
  ["calls without dims", called({ dims: undefined }), "plan", / gives a call 0 that is not \{ tag, /],
  ["calls without inputs", called({ inputs: undefined }), "plan", / gives a call 0 that is not \{ tag, /],
  ["names tensors as inputs", called({ inputs: { x: X } }), "plan", / gives a call 0 that is not \{ tag, /],
  [
    "has no constants",
    planned({ constants: undefined }),
    "plan",
    / gives the constant undefined; expected tensors by name\./,
  ],
  [
    "has short constants",
    planned({ constants: { at: { ...X, shape: [7] } } }),
    "plan",
    / gives the constant "at" as f32 \[7\] with 6 values in /,
  ],
  [
    "has no results",
    planned({ results: undefined }),
    "plan",
    / names no value for "pooler_output" in its `results`, which was asked for\./,
  ],
  ["throws in split", { split: boom }, "split", / threw: boom\./],
  ["splits into nothing", { split: () => undefined }, "split", / gives undefined; expected a list of parts\./],
  ["splits into no parts", { split: () => [] }, "split", / gives an empty list; expected a list of parts/],
  ["splits into numbers", { split: () => [1, 2] }, "split", / gives a part with 1; expected tensors by name\./],
  [
    "cuts beyond the batch",
    { split: (inputs: Tensors) => [cutRows(inputs, 0, 1), cutRows(inputs, 1, 4)] },
    "split",
    / gives a part with "pixel_values" as f32 \[3,3\] with 3 values in /,
  ],
];

for (const [what, change, where, says] of WRONG) {
  test(`an encoder that ${what} is told by its model's type and the function`, async () => {
    await assert.rejects(encode(change), (error: unknown) => {
      hasCode("invalid_plan", says)(error as Error);
      const { message } = error as Error;
      assert.ok(message.startsWith(`\`${where}\` of the vision tower of the model_type "scaled_type" `), message);
      return true;
    });
  });
}

test("mistakes that show when a plan is linked name the model's type as well", async () => {
  await assert.rejects(
    encode(called({ tag: "scaled/vision.blok" })),
    hasCode(
      "invalid_plan",
      /^The plan calls the component .* This is the vision tower of the model_type "scaled_type"\./,
    ),
  );
  await assert.rejects(
    encode(called({ inputs: { x: "pixels" } })),
    hasCode("invalid_plan", /reads "pixels" .* This is the vision tower of the model_type "scaled_type"\.$/),
  );
});

test("a batch that is cut needs a row for each item in every tensor", async () => {
  const table = f32(2, 2);
  const prepare = (inputs: Tensors): Tensors => ({ ...inputs, table });
  assert.deepEqual((await encode({ prepare }, 4)).pooler_output?.shape, [4, 3]);
  await assert.rejects(
    encode({ prepare }, 6),
    hasCode(
      "invalid_plan",
      /^`prepare` gives "table" as \[2,2\] for a batch of 6, which is cut into runs of 4; give it a row for each/,
    ),
  );
});

test("towers whose functions are right, and those of classes, run in parts", async () => {
  const split = (inputs: Tensors, limit: number): readonly Tensors[] => {
    const [rows] = inputs.pixel_values.shape;
    return rows <= limit ? [inputs] : [cutRows(inputs, 0, limit), ...split(cutRows(inputs, limit, rows), limit)];
  };
  assert.deepEqual((await encode({}, 6)).pooler_output?.shape, [6, 3]);
  assert.deepEqual((await encode({ split }, 6)).pooler_output?.shape, [6, 3]);
  const { prepare: _, ...others } = tower;
  class Own {
    prepare(inputs: Tensors): Tensors {
      return inputs;
    }
  }
  assert.deepEqual((await encode({}, 6, Object.assign(new Own(), others))).pooler_output?.shape, [6, 3]);
});
