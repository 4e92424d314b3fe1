/**
 * A complete encoder plugin: patches of a picture through a small perceptron, averaged. It reaches fovea through its public
 * subpaths alone, as anyone's plugin does.
 */
import {
  ABI_VERSION,
  checkInputLength,
  checkInputNames,
  checkOutputs,
  createConfigReader,
  definePlugin,
  type EncoderModel,
  finiteFloats,
  type Plugin,
  planKey,
  refuseInput,
  type Tensors,
  type TowerSpec,
} from "fovea/abi";
import { linear, patchEmbedding } from "fovea/nn";

/** What config.json says. */
export interface PatchMlpConfig {
  readonly imageSize: number;
  readonly patchSize: number;
  readonly hiddenSize: number;
}

/** @throws FoveaError `invalid_config` that names the field */
export function readPatchMlpConfig(json: Readonly<Record<string, unknown>>): PatchMlpConfig {
  const read = createConfigReader(json);
  const imageSize = read.integer("image_size");
  const patchSize = read.integer("patch_size");
  if (imageSize % patchSize !== 0) throw read.error("patch_size", "a divisor of image_size");
  return { imageSize, patchSize, hiddenSize: read.integer("hidden_size") };
}

const TAG = "patch_mlp/vision";

/** pixel_values [batch, 3, size, size] -> pooler_output [batch, width]. */
function visionTower({ imageSize, patchSize, hiddenSize }: PatchMlpConfig): TowerSpec {
  const outputs = ["pooler_output"];
  const shape = [3, imageSize, imageSize];
  const patches = (imageSize / patchSize) ** 2;
  const prepare = (inputs: Tensors): Tensors => {
    checkInputNames(inputs, ["pixel_values"], "pixel_values");
    const { pixel_values } = inputs;
    if (pixel_values.shape.slice(1).join() !== shape.join()) {
      refuseInput(`\`pixel_values\` must be [batch, ${shape.join(", ")}], found [${pixel_values.shape.join(", ")}].`);
    }
    checkInputLength("pixel_values", pixel_values);
    return { pixel_values: { ...pixel_values, data: finiteFloats("pixel_values", pixel_values) } };
  };
  return {
    modality: "vision",
    inputs: ["pixel_values"],
    outputs,
    components: [
      {
        tag: TAG,
        // One artifact for single pictures, one for batches.
        symbols: { batch: { min: 1, max: 64 } },
        ranges: { ends: { batch: [1] } },
        instances: [""],
        build: (b) => {
          const { batch } = b.dims;
          const pixels = b.input("pixel_values", [batch, ...shape]);
          const size = { outFeatures: hiddenSize, patchHeight: patchSize, patchWidth: patchSize, bias: true };
          const embedded = patchEmbedding(b, pixels, "embed.", size);
          const mixed = linear(b, b.unary("gelu", embedded), "project.", { outFeatures: hiddenSize });
          const mean = b.unary("reduce_mean", b.transpose(mixed, [0, 2, 1]));
          b.output("pooled", b.reshape(mean, [batch, hiddenSize]));
        },
      },
    ],
    prepare,
    plan: (shapes, wanted) => {
      checkOutputs(wanted, outputs);
      const dims = { batch: shapes.pixel_values[0] };
      const call = {
        tag: TAG,
        instance: "",
        dims,
        inputs: { pixel_values: "pixel_values" },
        outputs: { pooled: "pooled" },
      };
      return {
        key: planKey("vision", dims, wanted),
        calls: [call],
        constants: {},
        results: { pooler_output: "pooled" },
      };
    },
    exampleSizes: [],
    example: ({ batch }) => {
      const count = batch * 3 * patches * patchSize ** 2;
      return { pixel_values: { dtype: "f32", shape: [batch, ...shape], data: new Float32Array(count).fill(0.5) } };
    },
  };
}

export const patchMlpPlugin: Plugin = definePlugin({
  name: "@example/patch-mlp",
  version: "1.0.0",
  abi: ABI_VERSION,
  encoders: [
    {
      name: "patch_mlp",
      modelTypes: ["patch_mlp"],
      files: [],
      open: (json): EncoderModel => ({
        towers: [visionTower(readPatchMlpConfig(json))],
        prefixes: [""],
        processors: () => ({}),
      }),
    },
  ],
});
