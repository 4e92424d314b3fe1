/** An encoder in TypeScript. */
import { type Template, typescriptProject } from "./project.ts";

const plugin = (name: string): string => `/** An encoder: pixels of a small picture through two linear layers. */
import {
  ABI_VERSION,
  checkInputNames,
  checkOutputs,
  createConfigReader,
  definePlugin,
  finiteFloats,
  type Plugin,
  planKey,
  refuseInput,
  type TowerSpec,
} from "fovea/abi";
import { linear } from "fovea/nn";

const TAG = "tiny/vision";

/** pixel_values [batch, size] -> embeds [batch, width]. */
function vision(size: number, width: number): TowerSpec {
  return {
    modality: "vision",
    inputs: ["pixel_values"],
    outputs: ["embeds"],
    components: [
      {
        tag: TAG,
        // One artifact for single pictures, one for batches.
        symbols: { batch: { min: 1, max: 64 } },
        ranges: { ends: { batch: [1] } },
        instances: [""],
        build: (b) => {
          const x = b.input("pixel_values", [b.dims.batch, size]);
          const hidden = b.unary("gelu", linear(b, x, "first.", { outFeatures: width }));
          b.output("embeds", linear(b, hidden, "second.", { outFeatures: width }));
        },
      },
    ],
    prepare: (inputs) => {
      checkInputNames(inputs, ["pixel_values"], "pixel_values");
      const { pixel_values } = inputs;
      if (pixel_values.shape.length !== 2 || pixel_values.shape[1] !== size)
        refuseInput(\`\\\`pixel_values\\\` must be [batch, \${size}], found [\${pixel_values.shape.join(", ")}].\`);
      return { pixel_values: { ...pixel_values, data: finiteFloats("pixel_values", pixel_values) } };
    },
    plan: (shapes, wanted) => {
      checkOutputs(wanted, ["embeds"]);
      const dims = { batch: shapes.pixel_values[0] };
      const names = { inputs: { pixel_values: "pixel_values" }, outputs: { embeds: "embeds" } };
      return {
        key: planKey("vision", dims, wanted),
        calls: [{ tag: TAG, instance: "", dims, ...names }],
        constants: {},
        results: { embeds: "embeds" },
      };
    },
    exampleSizes: [],
    example: ({ batch, seed }) => {
      const data = Float32Array.from({ length: batch * size }, (_, i) => ((i * 31 + seed * 17) % 64) / 32 - 1);
      return { pixel_values: { dtype: "f32", shape: [batch, size], data } };
    },
  };
}

export const plugin: Plugin = definePlugin({
  name: ${JSON.stringify(name)},
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [
    {
      name: "tiny",
      modelTypes: ["tiny"],
      files: [],
      open: (json) => {
        const read = createConfigReader(json);
        const towers = [vision(read.integer("size"), read.integer("width"))];
        return { towers, prefixes: [""], processors: () => ({}) };
      },
    },
  ],
});
`;

const TEST = `import { test } from "node:test";
import { checkEncoder } from "fovea/testing";
import { plugin } from "./plugin.ts";

test("the encoder passes the check of encoders", async () => {
  await checkEncoder({ plugin, config: { model_type: "tiny", size: 12, width: 8 } });
});
`;

export const ENCODER_TS: Template = {
  name: "encoder-ts",
  makes: "an encoder in TypeScript",
  files: (name) => typescriptProject(name, "An encoder for fovea.", plugin(name), TEST),
};
