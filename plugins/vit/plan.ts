/** What the tower takes, which components run for it, and in which order. */
import type { ComponentCall, ExampleOptions, Plan, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import { checkInputNames, finiteFloats, refuseInput, sizesText } from "../../runtime/abi/inputs.ts";
import { checkOutputs, hiddenStates, layerCalls, pickResults, planKey } from "../../runtime/abi/plans.ts";
import { normal } from "../../runtime/core/random.ts";
import type { VitConfig } from "./config.ts";
import { vitComponents, vitLayers } from "./graphs.ts";

/**
 * `pixel_values` f32 [batch, channels, image_size, image_size], all finite. Position embeddings are not interpolated, as
 * in transformers' default: other image sizes are refused.
 * @throws FoveaError `invalid_input`
 */
function prepareImages(inputs: Tensors, config: VitConfig): Tensors {
  checkInputNames(inputs, ["pixel_values"], "pixel_values");
  const pixels = inputs.pixel_values;
  const { imageSize: size, channels } = config;
  const [batch, planes, height, width] = pixels.shape;
  const fits = pixels.shape.length === 4 && batch >= 1 && planes === channels && height === size && width === size;
  if (!fits) {
    refuseInput(
      `The input "pixel_values" has shape ${sizesText(pixels.shape)}, expected ${sizesText(["batch", channels, size, size])}; this model takes images of ${size}x${size} pixels: resize or crop them first.`,
    );
  }
  finiteFloats("pixel_values", pixels);
  return { pixel_values: pixels };
}

/** Normal pixels, as after normalisation. @throws FoveaError `invalid_input` for a size that is not the model's. */
function exampleImages(options: ExampleOptions, config: VitConfig): Tensors {
  const { imageSize: size, channels } = config;
  const [height, width] = options.size ?? [size, size];
  if (height !== size || width !== size) {
    refuseInput(`This model takes images of ${size}x${size} pixels, found ${height}x${width}; leave the size out.`);
  }
  const shape = [options.batch, channels, size, size];
  const count = shape.reduce((a, d) => a * d, 1);
  const data = Float32Array.from({ length: count }, (_, i) => normal(options.seed, i));
  return { pixel_values: { dtype: "f32", shape, data } };
}

function planImages(config: VitConfig, known: readonly string[], batch: number, wanted: readonly string[]): Plan {
  checkOutputs(wanted, known);
  const dims = { batch };
  const last = hiddenStates(config.layers);
  const ending = (part: string, output: string): ComponentCall[] =>
    wanted.includes(output)
      ? [
          {
            tag: `vit/vision.${part}`,
            instance: "",
            dims,
            inputs: { hidden_states: last },
            outputs: { [output]: output },
          },
        ]
      : [];
  return {
    key: planKey("vit", dims, wanted),
    calls: [
      {
        tag: "vit/vision.embed",
        instance: "",
        dims,
        inputs: { pixel_values: "pixel_values" },
        outputs: { hidden_states: hiddenStates(0) },
      },
      ...layerCalls("vit/vision.block", dims, vitLayers(config)),
      ...ending("final", "last_hidden_state"),
      ...ending("pool", "pooler_output"),
    ],
    constants: {},
    results: pickResults(wanted, { last_hidden_state: "last_hidden_state", pooler_output: "pooler_output" }),
  };
}

/**
 * pixel_values f32 [batch, channels, image_size, image_size] -> last_hidden_state [batch, 1 + patches, hidden_size]
 * (after `layernorm`), pooler_output [batch, pooler_output_size].
 */
export function vitTower(config: VitConfig): TowerSpec {
  const outputs = [...(config.pooler === undefined ? [] : ["pooler_output"]), "last_hidden_state"];
  return {
    modality: "vision",
    components: vitComponents(config),
    inputs: ["pixel_values"],
    outputs,
    prepare: (inputs) => prepareImages(inputs, config),
    plan: (shapes, wanted) => planImages(config, outputs, shapes.pixel_values[0], wanted),
    exampleSizes: ["size"],
    example: (options) => exampleImages(options, config),
  };
}
