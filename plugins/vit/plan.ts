/** What the tower takes, which components run for it, and in which order. */
import type { CheckLater, ComponentCall, ExampleOptions, Plan, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import { checkInputNames, refuseInput, sizesText } from "../../runtime/abi/inputs.ts";
import { examplePixels, type PixelCall, type PixelForms, pixelCall, preparePixels } from "../../runtime/abi/pixels.ts";
import { checkOutputs, hiddenStates, layerCalls, pickResults, planKey } from "../../runtime/abi/plans.ts";
import type { VitConfig } from "./config.ts";
import { vitComponents, vitLayers } from "./graphs.ts";

/**
 * `pixel_values` [batch, channels, image_size, image_size], f32, all finite, or u8. Position embeddings are not interpolated, as
 * in transformers' default: other image sizes are refused.
 * @throws FoveaError `invalid_input`
 */
function prepareImages(inputs: Tensors, config: VitConfig, forms: PixelForms, later?: CheckLater): Tensors {
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
  return preparePixels("pixel_values", pixels, forms, later);
}

/** @throws FoveaError `invalid_input` for a size that is not the model's. */
function exampleImages(options: ExampleOptions, config: VitConfig, forms: PixelForms): Tensors {
  const { imageSize: size, channels } = config;
  const [height, width] = options.size ?? [size, size];
  if (height !== size || width !== size) {
    refuseInput(`This model takes images of ${size}x${size} pixels, found ${height}x${width}; leave the size out.`);
  }
  return { pixel_values: examplePixels([options.batch, channels, size, size], options.seed, forms) };
}

function planImages(config: VitConfig, known: readonly string[], pixels: PixelCall, wanted: readonly string[]): Plan {
  checkOutputs(wanted, known);
  const dims = { batch: pixels.shape[0] };
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
    key: planKey(`vit ${pixels.value}`, dims, wanted),
    calls: [
      {
        tag: pixels.tag,
        instance: "",
        dims,
        inputs: { pixel_values: pixels.value },
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
 * pixel_values [batch, channels, image_size, image_size], f32, or u8 where the forms have it -> last_hidden_state
 * [batch, learned tokens + patches, hidden_size] (after `layernorm`), pooler_output [batch, pooler_output_size].
 */
export function vitTower(config: VitConfig, forms: PixelForms): TowerSpec {
  const outputs = [...(config.pooler === undefined ? [] : ["pooler_output"]), "last_hidden_state"];
  return {
    modality: "vision",
    components: vitComponents(config, forms),
    inputs: ["pixel_values"],
    outputs,
    prepare: (inputs, later) => prepareImages(inputs, config, forms, later),
    plan: (shapes, wanted) => planImages(config, outputs, pixelCall("vit/vision.embed", shapes), wanted),
    exampleSizes: ["size"],
    example: (options) => exampleImages(options, config, forms),
  };
}
