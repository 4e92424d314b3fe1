/** What an encoder's author gets wrong about the components that a plan calls. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { type ComponentSpec, definePlugin, type Plugin, type Tensor } from "../../mod.ts";
import type { ComponentCall, Plan } from "../../runtime/abi/encoder.ts";
import { ABI_VERSION } from "../../runtime/abi/plugin.ts";
import { encodeSafetensors } from "../../runtime/exec/weights/writer.ts";
import { hasCode } from "../kit/assertions.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const TAG = "scaled/vision.block";
const X: Tensor = { dtype: "f32", shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) };

const block: ComponentSpec = {
  tag: TAG,
  symbols: { batch: { min: 1, max: 4 } },
  instances: ["a.", "b."],
  build: (b) => b.output("y", b.mul(b.input("x", [b.dims.batch, 3]), b.weight("scale", [3]))),
};

const RIGHT: ComponentCall = {
  ...{ tag: TAG, instance: "a.", dims: { batch: 2 } },
  ...{ inputs: { x: "pixel_values" }, outputs: { y: "scaled" } },
};

function scaled(call: Partial<ComponentCall>, results: Plan["results"], components: readonly ComponentSpec[]): Plugin {
  const plan: Plan = { key: "scaled", constants: {}, results, calls: [{ ...RIGHT, ...call }] };
  return definePlugin({
    ...{ name: "@test/scaled", version: "1.0.0", abi: ABI_VERSION },
    encoders: [
      {
        ...{ name: "scaled", modelTypes: ["scaled"], files: [] },
        open: () => ({
          prefixes: [""],
          processors: () => ({}),
          towers: [
            {
              ...{ modality: "vision", inputs: ["pixel_values"], outputs: ["pooler_output"], components },
              ...{ prepare: (inputs) => inputs, plan: () => plan, exampleSizes: [], example: () => ({}) },
            },
          ],
        }),
      },
    ],
  });
}

const scale: Tensor = { dtype: "f32", shape: [3], data: Float32Array.of(2, 3, 4) };
const FILES = new Map([
  ["config.json", new TextEncoder().encode('{"model_type":"scaled"}')],
  ["model.safetensors", encodeSafetensors({ "a.scale": scale, "b.scale": scale })],
]);

async function encode(
  call: Partial<ComponentCall>,
  results: Plan["results"] = { pooler_output: "scaled" },
  components: readonly ComponentSpec[] = [block],
): Promise<Tensor | undefined> {
  const runtime = await openRuntime({ threads: 0, plugins: [wasmPlugin, scaled(call, results, components)] });
  try {
    return (await (await runtime.load(FILES)).encode({ pixel_values: X })).pooler_output;
  } finally {
    await runtime.close();
  }
}

test("a plan that fits its components runs", async () => {
  assert.deepEqual([...((await encode({}))?.data ?? [])], [2, 6, 12, 8, 15, 24]);
});

test("tags and instances that a tower does not list are told with the nearest that it does", async () => {
  await assert.rejects(
    encode({ tag: "scaled/vision.blok" }),
    hasCode(
      "invalid_plan",
      /^The plan calls the component "scaled\/vision\.blok", which its tower does not list; there are "scaled\/vision\.block"\. Did you mean "scaled\/vision\.block"\?/,
    ),
  );
  await assert.rejects(
    encode({ instance: "c." }),
    hasCode("invalid_plan", /for the instance "c\.", which it does not list; its `instances` are "a\.", "b\."\./),
  );
  await assert.rejects(
    encode({}, undefined, [block, { ...block, instances: ["b."] }]),
    hasCode("invalid_plugin", /^The tower lists two components with the tag "scaled\/vision\.block"; a tag tells/),
  );
});

test("ports, values, dims and results that do not fit are told with what there is", async () => {
  const wrong = (call: Partial<ComponentCall>, says: RegExp): Promise<void> =>
    assert.rejects(encode(call), hasCode("invalid_plan", says));
  await wrong({ inputs: { pixels: "pixel_values" } }, /names no value for the input "x"; its `inputs` name "pixels"\./);
  await wrong(
    { inputs: { x: "pixels" } },
    /reads "pixels" as its input "x", which no earlier call computes; there are/,
  );
  await wrong(
    { dims: { batch: 1 } },
    /takes its input "x" as \[1, 3\] by its dims; the value "pixel_values" is \[2, 3\]/,
  );
  await assert.rejects(
    encode({}, undefined, [{ ...block, build: (b) => b.output("y", b.input("x", [3, b.dims.batch])) }]),
    hasCode("invalid_plan", /takes its input "x" as \[3, 2\] by its dims; the value "pixel_values" is \[2, 3\]/),
  );
  await assert.rejects(
    encode({}, { pooler_output: "pooled" }),
    hasCode("invalid_plan", /^The plan's results name the value "pooled", which no call computes; there are/),
  );
});

test("an encoder that cannot open a configuration is told by its name and its plugin's", async () => {
  const [right] = scaled({}, {}, [block]).encoders ?? [];
  const boom = (): never => {
    throw new TypeError("boom");
  };
  for (const [change, says] of [
    [{ open: boom }, /^The encoder "scaled" of plugin "@test\/scaled" cannot be used: its `open` threw: boom\.$/],
    [{ open: () => undefined }, /its `open` gives no model; expected \{ prefixes, towers, processors \}\.$/],
    [{ adapt: boom }, /cannot be used: its `adapt` threw: boom\.$/],
    [
      { adapt: () => undefined },
      /its `adapt` gives no configuration; expected the one that it was given, or another\.$/,
    ],
  ] as const) {
    const encoders = [{ ...right, ...change }] as NonNullable<Plugin["encoders"]>;
    const plugin = definePlugin({ ...{ name: "@test/scaled", version: "1.0.0", abi: ABI_VERSION }, encoders });
    const runtime = await openRuntime({ threads: 0, plugins: [wasmPlugin, plugin] });
    try {
      await assert.rejects(runtime.load(FILES), hasCode("invalid_plugin", says));
    } finally {
      await runtime.close();
    }
  }
});
