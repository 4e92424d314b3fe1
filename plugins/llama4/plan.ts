/** What the tower takes, which components run for it, and in which order. */
import type {
  CheckLater,
  ComponentCall,
  ExampleOptions,
  Plan,
  Tensor,
  Tensors,
  TowerSpec,
} from "../../runtime/abi/encoder.ts";
import { checkInputNames, integerValues, refuseInput, sizesText } from "../../runtime/abi/inputs.ts";
import { examplePixels, type PixelCall, type PixelForms, pixelCall, preparePixels } from "../../runtime/abi/pixels.ts";
import { checkOutputs, hiddenStates, layerCalls, pickResults, planKey } from "../../runtime/abi/plans.ts";
import { gridRotary, rotaryFrequencies } from "../../runtime/nn/mod.ts";
import type { Llama4Config } from "./config.ts";
import { llama4Components, llama4Layers, tileSide, tileTokens } from "./graphs.ts";

/** Tiles of one image: more than one come with an overview of the whole image behind them. */
export function imageTiles(rows: number, columns: number): number {
  return rows * columns + (rows * columns > 1 ? 1 : 0);
}

/** Refuses tiles that are not those of the images. */
function checkRatios(t: Tensor, tiles: number): void {
  if (t.shape.length !== 2 || t.shape[0] < 1 || t.shape[1] !== 2) {
    refuseInput(
      `The input "aspect_ratios" has shape ${sizesText(t.shape)}, expected [images, 2]: rows and columns of tiles.`,
    );
  }
  const ratios = integerValues("aspect_ratios", t);
  const odd = ratios.findIndex((v) => v < 1);
  if (odd >= 0) {
    refuseInput(`The input "aspect_ratios" holds ${ratios[odd]} at element ${odd}; expected whole numbers from 1.`);
  }
  let expected = 0;
  for (let i = 0; i < ratios.length; i += 2) expected += imageTiles(ratios[i], ratios[i + 1]);
  if (expected !== tiles) {
    refuseInput(
      `The input "aspect_ratios" tells of ${expected} tiles, overviews included, but "pixel_values" has ${tiles}; give the tiles of the same images.`,
    );
  }
}

/**
 * `pixel_values` [tiles, channels, image_size, image_size], f32, all finite, or u8; `aspect_ratios` [images, 2], if given, must tell
 * of as many tiles. @throws FoveaError `invalid_input`
 */
function prepareTiles(inputs: Tensors, config: Llama4Config, forms: PixelForms, later?: CheckLater): Tensors {
  checkInputNames(inputs, ["pixel_values", "aspect_ratios"], "pixel_values");
  const { pixel_values: pixels, aspect_ratios: ratios } = inputs;
  const { imageSize: size, channels } = config;
  const [tiles, planes, height, width] = pixels.shape;
  if (pixels.shape.length !== 4 || tiles < 1 || planes !== channels || height !== size || width !== size) {
    refuseInput(
      `The input "pixel_values" has shape ${sizesText(pixels.shape)}, expected ${sizesText(["tiles", channels, size, size])}; cut images into tiles of ${size}x${size} pixels first.`,
    );
  }
  const prepared = preparePixels("pixel_values", pixels, forms, later);
  if (ratios !== undefined) checkRatios(ratios, tiles);
  return prepared;
}

/** @throws FoveaError `invalid_input` for a size that is not a tile's */
function exampleTiles(options: ExampleOptions, config: Llama4Config, forms: PixelForms): Tensors {
  const { imageSize: size, channels } = config;
  const [height, width] = options.size ?? [size, size];
  if (height !== size || width !== size) {
    refuseInput(`This model takes tiles of ${size}x${size} pixels, found ${height}x${width}; leave the size out.`);
  }
  return { pixel_values: examplePixels([options.batch, channels, size, size], options.seed, forms) };
}

/**
 * `cos` and `sin` [tokens, head_dim / 2]: the first half of the pairs turns by the patch's column, the second by its row,
 * both counted from 1. The class token does not turn.
 */
export function tileRotary(config: Llama4Config): Tensors {
  const pairs = config.hiddenSize / config.heads / 2;
  const frequencies = rotaryFrequencies(
    config.theta,
    Array.from({ length: pairs / 2 }, (_, i) => (2 * i) / pairs),
  );
  const side = tileSide(config);
  const patches = gridRotary(
    [{ rows: side, columns: side }],
    [
      { axis: "column", frequencies },
      { axis: "row", frequencies },
    ],
    1,
  );
  const shape = [tileTokens(config), pairs];
  const withToken = (own: Float32Array, unturned: number): Tensor => {
    const data = new Float32Array(shape[0] * pairs).fill(unturned);
    data.set(own);
    return { dtype: "f32", shape, data };
  };
  return { cos: withToken(patches.cos, 1), sin: withToken(patches.sin, 0) };
}

function planTiles(
  config: Llama4Config,
  constants: Tensors,
  known: readonly string[],
  pixels: PixelCall,
  wanted: readonly string[],
): Plan {
  checkOutputs(wanted, known);
  const { prefix, layers } = config;
  const dims = { batch: pixels.shape[0] };
  const calls: ComponentCall[] = [
    {
      tag: pixels.tag,
      instance: prefix,
      dims,
      inputs: { pixel_values: pixels.value },
      outputs: { hidden_states: hiddenStates(0) },
    },
    ...layerCalls("llama4/vision.block", dims, llama4Layers(config), { cos: "cos", sin: "sin" }),
    {
      tag: "llama4/vision.adapt",
      instance: prefix,
      dims,
      inputs: { hidden_states: hiddenStates(layers) },
      outputs: { last_hidden_state: "last_hidden_state" },
    },
  ];
  if (wanted.includes("projected")) {
    calls.push({
      tag: "llama4/vision.project",
      instance: "multi_modal_projector.",
      dims,
      inputs: { last_hidden_state: "last_hidden_state" },
      outputs: { projected: "projected" },
    });
  }
  return {
    key: planKey(`llama4 ${pixels.value}`, dims, wanted),
    calls,
    constants,
    results: pickResults(wanted, { last_hidden_state: "last_hidden_state", projected: "projected" }),
  };
}

/**
 * pixel_values [tiles, channels, image_size, image_size], f32, or u8 where the forms have it -> last_hidden_state
 * [tiles, tokens, projector_output_dim] with one token for each square of patches, and projected [tiles * tokens, text hidden_size].
 * @param tiles most tiles of one run
 */
export function llama4Tower(config: Llama4Config, tiles: number, forms: PixelForms): TowerSpec {
  const outputs = [...(config.projectedSize === undefined ? [] : ["projected"]), "last_hidden_state"];
  const constants = tileRotary(config);
  return {
    modality: "vision",
    components: llama4Components(config, tiles, forms),
    inputs: ["pixel_values", "aspect_ratios"],
    outputs,
    layout: ["aspect_ratios"],
    prepare: (inputs, later) => prepareTiles(inputs, config, forms, later),
    plan: (shapes, wanted) => planTiles(config, constants, outputs, pixelCall("llama4/vision.embed", shapes), wanted),
    exampleSizes: ["size"],
    example: (options) => exampleTiles(options, config, forms),
  };
}
