/** What callers give, checked and turned into what the components take. */
import type { CheckLater, ExampleOptions, Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import { checkInputLength, checkInputNames, integerValues, refuseInput, sizesText } from "../../runtime/abi/inputs.ts";
import { examplePixels, type PixelForms, preparePixels } from "../../runtime/abi/pixels.ts";
import { hash32 } from "../../runtime/core/random.ts";
import type {
  SiglipFixedVisionConfig,
  SiglipNaflexVisionConfig,
  SiglipTextConfig,
  SiglipVisionConfig,
} from "./config.ts";
import { MAX_PATCHES } from "./graphs.ts";
import { type Grid, positionWeights } from "./positions.ts";

/** `expected` holds numbers, or a name for a size that may be any from 1. */
function checkShape(name: string, t: Tensor, expected: readonly (number | string)[], advice: string): void {
  const fits =
    t.shape.length === expected.length &&
    t.shape.every((d, i) => (typeof expected[i] === "number" ? d === expected[i] : d >= 1));
  if (fits) return;
  refuseInput(`The input "${name}" has shape ${sizesText(t.shape)}, expected ${sizesText(expected)}; ${advice}.`);
}

/** A mask of 0 and 1 as f32 [batch, length]; ones where there is none. */
function keyMask(
  name: string,
  mask: Tensor | undefined,
  [batch, length]: readonly [number, number],
  what: string,
): Float32Array {
  if (mask === undefined) return new Float32Array(batch * length).fill(1);
  checkShape(name, mask, [batch, length], `it needs a value for each of the ${what}`);
  checkInputLength(name, mask);
  const values = mask.data instanceof Float32Array ? mask.data : integerValues(name, mask);
  const wrong = values.findIndex((v) => v !== 0 && v !== 1);
  if (wrong >= 0) {
    refuseInput(
      `The input "${name}" holds ${values[wrong]} at element ${wrong}; expected 1 for ${what}, 0 for padding.`,
    );
  }
  const out = Float32Array.from(values);
  for (let row = 0; row < batch; row++) {
    if (out.subarray(row * length, (row + 1) * length).includes(1)) continue;
    refuseInput(`The input "${name}" hides all ${what} of row ${row}; at least one must be 1.`);
  }
  return out;
}

/** `pixel_values` f32 or u8 [batch, channels, image_size, image_size]; position embeddings stay as they are. */
function prepareFixed(
  inputs: Tensors,
  config: SiglipFixedVisionConfig,
  forms: PixelForms,
  later?: CheckLater,
): Tensors {
  checkInputNames(inputs, ["pixel_values"], "pixel_values");
  const { pixel_values } = inputs;
  const { imageSize: size, channels } = config;
  const advice = `this model takes images of ${size}x${size} pixels: resize them first`;
  checkShape("pixel_values", pixel_values, ["batch", channels, size, size], advice);
  return preparePixels("pixel_values", pixel_values, forms, later);
}

/** Rows and columns of every image's patches, checked against the room that `patches` gives them. */
function gridsOf(shapes: Tensor, batch: number, patches: number): readonly Grid[] {
  checkShape("spatial_shapes", shapes, [batch, 2], "it holds the rows and columns of each image's patches");
  const sides = integerValues("spatial_shapes", shapes);
  return Array.from({ length: batch }, (_, i) => {
    const grid = { rows: sides[2 * i], columns: sides[2 * i + 1] };
    if (grid.rows < 1 || grid.columns < 1) {
      refuseInput(`Image ${i} has a grid of ${grid.rows}x${grid.columns} patches; both sides must be at least 1.`);
    }
    if (grid.rows * grid.columns > patches) {
      refuseInput(
        `Image ${i} has a grid of ${grid.rows}x${grid.columns} = ${grid.rows * grid.columns} patches, but "pixel_values" holds ${patches} an image; give as many patches as the grid has.`,
      );
    }
    return grid;
  });
}

/** Patches that the mask shows must be of the grid. Without a mask all of the grid is shown. */
function patchMask(given: Tensor | undefined, grids: readonly Grid[], patches: number): Float32Array {
  const name = "pixel_attention_mask";
  const mask = keyMask(name, given, [grids.length, patches], "patches");
  for (const [i, { rows, columns }] of grids.entries()) {
    const padding = mask.subarray(i * patches + rows * columns, (i + 1) * patches);
    if (given === undefined) padding.fill(0);
    const odd = padding.indexOf(1);
    if (odd < 0) continue;
    refuseInput(
      `The input "${name}" shows patch ${rows * columns + odd} of image ${i}, whose grid of ${rows}x${columns} ends before; mark the padding with 0.`,
    );
  }
  return mask;
}

/**
 * NaFlex: `pixel_values` f32 or u8 (0 where padding is) [batch, patches, channels * patch_size ^ 2], `spatial_shapes` [batch, 2] and, if not all of
 * each grid shall be seen, `pixel_attention_mask` [batch, patches] -> the pixels, `key_mask` f32 [batch, patches],
 * `row_weights` and `column_weights` f32 [batch, patches, side], and for bytes `patch_weights` f32 [batch, patches], 1 for
 * the patches of each grid.
 */
function prepareNaflex(
  inputs: Tensors,
  config: SiglipNaflexVisionConfig,
  forms: PixelForms,
  later?: CheckLater,
): Tensors {
  const known = ["pixel_values", "pixel_attention_mask", "spatial_shapes"];
  checkInputNames(inputs, known, "pixel_values");
  const { pixel_values, pixel_attention_mask, spatial_shapes } = inputs;
  if (spatial_shapes === undefined) {
    refuseInput('The input "spatial_shapes" is missing; give the rows and columns of each image\'s patches.');
  }
  const { patchSize, channels, positionSide: side } = config;
  const advice = `this model takes patches of ${channels} channels and ${patchSize}x${patchSize} pixels, a row each`;
  checkShape("pixel_values", pixel_values, ["batch", "patches", channels * patchSize * patchSize], advice);
  const pixels = preparePixels("pixel_values", pixel_values, forms, later);
  const [batch, patches] = pixel_values.shape;
  if (patches > MAX_PATCHES) {
    refuseInput(`The input "pixel_values" holds ${patches} patches an image; at most ${MAX_PATCHES} can be encoded.`);
  }
  const grids = gridsOf(spatial_shapes, batch, patches);
  const mask = patchMask(pixel_attention_mask, grids, patches);
  const { rows, columns } = positionWeights(grids, patches, side);
  return {
    ...pixels,
    ...(pixel_values.dtype === "u8"
      ? {
          patch_weights: { dtype: "f32" as const, shape: [batch, patches], data: patchMask(undefined, grids, patches) },
        }
      : {}),
    key_mask: { dtype: "f32", shape: [batch, patches], data: mask },
    row_weights: { dtype: "f32", shape: [batch, patches, side], data: rows },
    column_weights: { dtype: "f32", shape: [batch, patches, side], data: columns },
  };
}

/** What the vision tower's components take. @throws FoveaError `invalid_input` */
export function prepareImages(
  inputs: Tensors,
  config: SiglipVisionConfig,
  forms: PixelForms,
  later?: CheckLater,
): Tensors {
  return config.kind === "naflex"
    ? prepareNaflex(inputs, config, forms, later)
    : prepareFixed(inputs, config, forms, later);
}

/**
 * `input_ids` [batch, tokens] and, where padding shall be hidden, `attention_mask` [batch, tokens] of 0 and 1 ->
 * `input_ids` i32, `key_mask` f32 [batch, tokens]. The models were trained on texts padded to all positions without a
 * mask, and pool at the last position.
 * @throws FoveaError `invalid_input`
 */
export function prepareTexts(inputs: Tensors, config: SiglipTextConfig): Tensors {
  checkInputNames(inputs, ["input_ids", "attention_mask"], "input_ids");
  const { input_ids, attention_mask } = inputs;
  checkShape("input_ids", input_ids, ["batch", "tokens"], "it needs a row for each text");
  const [batch, tokens] = input_ids.shape;
  if (tokens > config.maxPositions) {
    refuseInput(
      `The input "input_ids" has ${tokens} tokens a text, but this model has ${config.maxPositions} positions; cut the texts to ${config.maxPositions} tokens.`,
    );
  }
  const ids = integerValues("input_ids", input_ids);
  const odd = ids.findIndex((id) => id < 0 || id >= config.vocabSize);
  if (odd >= 0) {
    refuseInput(
      `The input "input_ids" holds ${ids[odd]} at element ${odd}, outside of the vocabulary 0..${config.vocabSize - 1}; use the model's own tokenizer.`,
    );
  }
  const mask = keyMask("attention_mask", attention_mask, [batch, tokens], "tokens");
  return {
    input_ids: { dtype: "i32", shape: [batch, tokens], data: ids },
    key_mask: { dtype: "f32", shape: [batch, tokens], data: mask },
  };
}

/** Patches of NaFlex images: the table's own grid unless told otherwise, without padding. */
function exampleNaflex(options: ExampleOptions, config: SiglipNaflexVisionConfig, forms: PixelForms): Tensors {
  const { positionSide: side, patchSize, channels } = config;
  const [frames, rows, columns] = options.grid ?? [1, side, side];
  if (frames !== 1) refuseInput(`This model takes images, found a grid of ${frames} frames; give 1xROWSxCOLUMNS.`);
  const { batch } = options;
  const grids = Int32Array.from({ length: 2 * batch }, (_, i) => (i % 2 === 0 ? rows : columns));
  return {
    pixel_values: examplePixels([batch, rows * columns, channels * patchSize * patchSize], options.seed, forms),
    spatial_shapes: { dtype: "i32", shape: [batch, 2], data: grids },
  };
}

/** @throws FoveaError `invalid_input` for a size that is not the model's. */
export function exampleImages(options: ExampleOptions, config: SiglipVisionConfig, forms: PixelForms): Tensors {
  if (config.kind === "naflex") return exampleNaflex(options, config, forms);
  const { imageSize: size, channels } = config;
  const [height, width] = options.size ?? [size, size];
  if (height !== size || width !== size) {
    refuseInput(`This model takes images of ${size}x${size} pixels, found ${height}x${width}; leave the size out.`);
  }
  return { pixel_values: examplePixels([options.batch, channels, size, size], options.seed, forms) };
}

/** Random ids; the longest text unless `tokens` says less. */
export function exampleTexts(options: ExampleOptions, config: SiglipTextConfig): Tensors {
  const shape = [options.batch, options.tokens ?? config.maxPositions];
  const data = Int32Array.from({ length: shape[0] * shape[1] }, (_, i) => hash32(options.seed, i) % config.vocabSize);
  return { input_ids: { dtype: "i32", shape, data } };
}
