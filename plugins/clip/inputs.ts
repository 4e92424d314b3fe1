/** What callers give, checked and turned into what the components take. */
import type { CheckLater, ExampleOptions, Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import { checkInputLength, checkInputNames, integerValues, refuseInput, sizesText } from "../../runtime/abi/inputs.ts";
import { examplePixels, type PixelForms, preparePixels } from "../../runtime/abi/pixels.ts";
import { hash32 } from "../../runtime/core/random.ts";
import type { ClipTextConfig, ClipVisionConfig } from "./config.ts";

/** Refuses pixels that are not the model's size. @throws FoveaError `invalid_input` */
export function checkPixels(
  pixels: Tensor,
  { imageSize: size, channels }: ClipVisionConfig,
  rows: "batch" | "tiles",
): void {
  const [count, planes, height, width] = pixels.shape;
  if (pixels.shape.length === 4 && count >= 1 && planes === channels && height === size && width === size) return;
  const advice =
    rows === "batch"
      ? `this model takes images of ${size}x${size} pixels: resize or crop them first`
      : `cut pictures into tiles of ${size}x${size} pixels first`;
  refuseInput(
    `The input "pixel_values" has shape ${sizesText(pixels.shape)}, expected ${sizesText([rows, channels, size, size])}; ${advice}.`,
  );
}

/**
 * `pixel_values` [batch, channels, image_size, image_size], f32, all finite, or u8.
 * Position embeddings are not interpolated, as in transformers' default: other image sizes are refused.
 * @throws FoveaError `invalid_input`
 */
export function prepareImages(
  inputs: Tensors,
  config: ClipVisionConfig,
  forms: PixelForms,
  later?: CheckLater,
): Tensors {
  checkInputNames(inputs, ["pixel_values"], "pixel_values");
  const pixels = inputs.pixel_values;
  checkPixels(pixels, config, "batch");
  return preparePixels("pixel_values", pixels, forms, later);
}

/** Row by row where the text's end token stands; 0 where there is none, as in transformers. */
function poolIndex(ids: Int32Array, [batch, tokens]: readonly number[], config: ClipTextConfig): Int32Array {
  return Int32Array.from({ length: batch }, (_, row) => {
    const own = ids.subarray(row * tokens, (row + 1) * tokens);
    if (!config.poolsAtLargest) return Math.max(0, own.indexOf(config.eosTokenId));
    let largest = 0;
    for (let i = 1; i < tokens; i++) if (own[i] > own[largest]) largest = i;
    return largest;
  });
}

/**
 * `input_ids` [batch, tokens] and, if there is padding, `attention_mask` [batch, tokens] of 0 and 1 ->
 * `input_ids` i32, `key_mask` f32 [batch, tokens], `pool_index` i32 [batch].
 * @throws FoveaError `invalid_input`
 */
export function prepareTexts(inputs: Tensors, config: ClipTextConfig): Tensors {
  checkInputNames(inputs, ["input_ids", "attention_mask"], "input_ids");
  const { input_ids: given, attention_mask: mask } = inputs;
  const [batch, tokens] = given.shape;
  if (given.shape.length !== 2 || batch < 1 || tokens < 1) {
    refuseInput(`The input "input_ids" has shape ${sizesText(given.shape)}, expected [batch, tokens].`);
  }
  if (tokens > config.maxPositions) {
    refuseInput(
      `The input "input_ids" has ${tokens} tokens a text, but this model has ${config.maxPositions} positions; cut the texts to ${config.maxPositions} tokens.`,
    );
  }
  const ids = integerValues("input_ids", given);
  const odd = ids.findIndex((id) => id < 0 || id >= config.vocabSize);
  if (odd >= 0) {
    refuseInput(
      `The input "input_ids" holds ${ids[odd]} at element ${odd}, outside of the vocabulary 0..${config.vocabSize - 1}; use the model's own tokenizer.`,
    );
  }
  const keyMask = new Float32Array(ids.length).fill(1);
  if (mask !== undefined) {
    if (mask.shape.length !== 2 || mask.shape[0] !== batch || mask.shape[1] !== tokens) {
      refuseInput(
        `The input "attention_mask" has shape ${sizesText(mask.shape)}, expected that of "input_ids", ${sizesText(given.shape)}.`,
      );
    }
    const values = mask.data instanceof Float32Array ? mask.data : integerValues("attention_mask", mask);
    checkInputLength("attention_mask", mask);
    const wrong = values.findIndex((v) => v !== 0 && v !== 1);
    if (wrong >= 0) {
      refuseInput(
        `The input "attention_mask" holds ${values[wrong]} at element ${wrong}; expected 1 for tokens, 0 for padding.`,
      );
    }
    keyMask.set(values);
  }
  return {
    input_ids: { dtype: "i32", shape: [batch, tokens], data: ids },
    key_mask: { dtype: "f32", shape: [batch, tokens], data: keyMask },
    pool_index: { dtype: "i32", shape: [batch], data: poolIndex(ids, [batch, tokens], config) },
  };
}

/** @throws FoveaError `invalid_input` for a size that is not the model's. */
export function exampleImages(options: ExampleOptions, config: ClipVisionConfig, forms: PixelForms): Tensors {
  const { imageSize: size, channels } = config;
  const [height, width] = options.size ?? [size, size];
  if (height !== size || width !== size) {
    refuseInput(`This model takes images of ${size}x${size} pixels, found ${height}x${width}; leave the size out.`);
  }
  return { pixel_values: examplePixels([options.batch, channels, size, size], options.seed, forms) };
}

/** Random ids that end with the end token; the longest text unless `tokens` says less. */
export function exampleTexts(options: ExampleOptions, config: ClipTextConfig): Tensors {
  const tokens = options.tokens ?? config.maxPositions;
  const shape = [options.batch, tokens];
  const end = config.poolsAtLargest ? config.vocabSize - 1 : config.eosTokenId;
  const data = Int32Array.from({ length: options.batch * tokens }, (_, i) =>
    (i + 1) % tokens === 0 ? end : hash32(options.seed, i) % config.vocabSize,
  );
  return { input_ids: { dtype: "i32", shape, data } };
}
