/** A model of one small tower, so that loading it takes an adapter on the processor no time. */
import { type ComponentSpec, definePlugin, type ModelSource, type Plugin, type Tensor } from "../../mod.ts";
import type { ComponentCall } from "../../runtime/abi/encoder.ts";
import { ABI_VERSION } from "../../runtime/abi/plugin.ts";
import { encodeSafetensors } from "../../runtime/exec/weights/writer.ts";
import { normals } from "./gpu_kit.ts";

export const TINY_WIDTH = 24;
const INSTANCES = ["first.", "second."];

const step: ComponentSpec = {
  tag: "tiny/vision.step",
  symbols: { batch: { min: 1, max: 64 } },
  instances: INSTANCES,
  build: (b) => {
    const x = b.input("x", [b.dims.batch, TINY_WIDTH]);
    const hidden = b.matmul(
      b.rmsNorm(x, b.weight("norm", [TINY_WIDTH]), 1e-6),
      b.weight("up", [TINY_WIDTH, TINY_WIDTH]),
      {
        transposeB: true,
      },
    );
    b.output("y", b.add(x, b.unary("gelu", hidden)));
  },
};

/** Two residual steps over rows; each instance has weights of its own. */
export const tinyPlugin: Plugin = definePlugin({
  ...{ name: "@test/tiny", version: "1.0.0", abi: ABI_VERSION },
  encoders: [
    {
      ...{ name: "tiny", modelTypes: ["tiny"], files: [] },
      open: () => ({
        prefixes: [""],
        processors: () => ({}),
        towers: [
          {
            ...{ modality: "vision", inputs: ["rows"], outputs: ["last_hidden_state"], components: [step] },
            ...{ prepare: (inputs) => inputs, exampleSizes: [], example: () => ({}) },
            plan: ({ rows }) => ({
              key: `tiny ${rows[0]}`,
              constants: {},
              results: { last_hidden_state: INSTANCES[INSTANCES.length - 1] },
              calls: INSTANCES.map(
                (instance, at): ComponentCall => ({
                  ...{ tag: step.tag, instance, dims: { batch: rows[0] } },
                  inputs: { x: at === 0 ? "rows" : INSTANCES[at - 1] },
                  outputs: { y: instance },
                }),
              ),
            }),
          },
        ],
      }),
    },
  ],
});

const tensor = (seed: number, shape: readonly number[]): Tensor => ({
  ...{ dtype: "f32", shape },
  data: normals(
    seed,
    shape.reduce((a, b) => a * b, 1),
  ),
});

/** Its files. */
export const TINY: ModelSource = new Map([
  ["config.json", new TextEncoder().encode('{"model_type":"tiny"}')],
  [
    "model.safetensors",
    encodeSafetensors(
      Object.fromEntries(
        INSTANCES.flatMap((instance, at) => [
          [`${instance}norm`, tensor(10 + at, [TINY_WIDTH])],
          [`${instance}up`, tensor(20 + at, [TINY_WIDTH, TINY_WIDTH])],
        ]),
      ),
    ),
  ],
]);

/** What it encodes. */
export const tinyRows = (batch: number): { readonly rows: Tensor } => ({ rows: tensor(batch, [batch, TINY_WIDTH]) });
