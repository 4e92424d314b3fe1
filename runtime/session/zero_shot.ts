/** Classification without training: labels as texts, compared with pictures. */
import type { Tensor } from "../abi/encoder.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { exp } from "../core/math.ts";
import type { CallOptions } from "../exec/forward_context.ts";
import { CALL_OPTIONS, checkOptions, type Expected, FUNCTION, foundText, TEXT, withMethods } from "./check.ts";
import type { Encoder } from "./encoder.ts";
import type { ImageInput } from "./inputs/inputs.ts";

/** What one picture was taken for. */
export interface Classification {
  /** The most probable of the labels, without the template's text. */
  readonly label: string;
  /** Of `label`. */
  readonly probability: number;
  /** Of every label, in the order in which they were given. They sum to 1, unless the model judges each label by itself (`encoder.scoring`). */
  readonly probabilities: readonly number[];
}

/** What `classifyImages` takes beside pictures and labels. */
export interface ClassifyOptions extends CallOptions {
  /** Text around a label, which `{}` stands for; `a photo of {}` unless given. */
  readonly template?: string;
  /** Told after each batch of pictures, and after the labels. */
  readonly onProgress?: (done: number, total: number) => void;
}

const CLASSIFY_OPTIONS: Readonly<Record<keyof ClassifyOptions, Expected>> = {
  ...CALL_OPTIONS,
  template: TEXT,
  onProgress: FUNCTION,
};

const ENCODER = withMethods("an encoder that runtime.load gave", "encode");

/** @throws FoveaError `invalid_input`, `invalid_options` */
export function checkLabels(labels: readonly string[], options: ClassifyOptions = {}): void {
  checkOptions("classifyImages", options, CLASSIFY_OPTIONS);
  if (!Array.isArray(labels) || labels.length === 0 || !labels.every((l) => typeof l === "string" && l !== "")) {
    throw new FoveaError(
      "invalid_input",
      `Labels must be a list of at least one text, and none of them empty; found ${foundText(labels)}.`,
    );
  }
  const { template } = options;
  if (template !== undefined && !template.includes("{}")) {
    throw new FoveaError(
      "invalid_input",
      `The template "${template}" has no {} in the place of the label, so that all labels would be the same.`,
    );
  }
  const twice = labels.find((label, i) => labels.indexOf(label) < i);
  if (twice === undefined) return;
  throw new FoveaError(
    "invalid_input",
    `The label "${twice}" is given twice, which would split its probability; give each label once.`,
  );
}

/** Rows of unit length. */
function normalizedRows(tensor: Tensor): readonly Float64Array[] {
  const [rows, width] = tensor.shape;
  return Array.from({ length: rows }, (_, i) => {
    const row = Float64Array.from(tensor.data.subarray(i * width, (i + 1) * width));
    const norm = Math.sqrt(row.reduce((sum, v) => sum + v * v, 0));
    return row.map((v) => v / norm);
  });
}

function softmax(logits: readonly number[]): readonly number[] {
  const top = Math.max(...logits);
  const powers = logits.map((l) => exp(l - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((p) => p / sum);
}

/** 1 / (1 + exp(-x)) without an overflow. */
function sigmoid(x: number): number {
  const power = exp(-Math.abs(x));
  return (x < 0 ? power : 1) / (1 + power);
}

/** What {@link scoreLabels} needs of an encoder. */
type Scorer = Pick<Encoder, "modelType" | "logitScale" | "logitBias" | "scoring">;

export function noSharedSpace({ modelType }: Scorer): FoveaError {
  return new FoveaError(
    "no_component",
    `A ${modelType} model has no shared space of pictures and texts, so it cannot classify by labels.`,
  );
}

/**
 * The best label for each picture by its embeddings.
 * @param images f32 [pictures, width]
 * @param texts f32 [labels, width]
 * @throws FoveaError `no_component` for a model without a scale of similarities
 */
export function scoreLabels(
  encoder: Scorer,
  images: Tensor,
  texts: Tensor,
  labels: readonly string[],
): readonly Classification[] {
  const { logitScale: scale, logitBias: bias, scoring } = encoder;
  if (scale === undefined) throw noSharedSpace(encoder);
  const textRows = normalizedRows(texts);
  return normalizedRows(images).map((image) => {
    const logits = textRows.map((text) => scale * text.reduce((sum, v, i) => sum + v * image[i], 0) + bias);
    const probabilities = scoring === "sigmoid" ? logits.map(sigmoid) : softmax(logits);
    // Far from 0 probabilities run together where logits do not.
    const best = logits.reduce((b, l, i) => (l > logits[b] ? i : b), 0);
    return { label: labels[best], probability: probabilities[best], probabilities };
  });
}

/** The template with each label in its place; signs such as `$&` mean nothing in either. */
export const labelTexts = (labels: readonly string[], template: string): readonly string[] =>
  labels.map((label) => template.replaceAll("{}", () => label));

/**
 * Finds the best label for each picture; pictures and labels are encoded in one call.
 * @throws FoveaError `invalid_input`, `no_component` for models without both towers, and what `encode` throws
 */
export async function classifyImages(
  encoder: Encoder,
  images: readonly ImageInput[],
  labels: readonly string[],
  options: ClassifyOptions = {},
): Promise<readonly Classification[]> {
  if (!ENCODER.holds(encoder)) {
    throw new FoveaError("invalid_input", `classifyImages takes ${ENCODER.text}; found ${foundText(encoder)}.`);
  }
  checkLabels(labels, options);
  const { template = "a photo of {}", ...call } = options;
  const texts = labelTexts(labels, template);
  // One call, so that its deadline, its name and its spans are those of the whole.
  const outputs = ["image_embeds", "text_embeds"];
  const { image_embeds, text_embeds } = await encoder.encode({ images, texts }, { ...call, outputs });
  if (text_embeds === undefined || image_embeds === undefined) throw noSharedSpace(encoder);
  return scoreLabels(encoder, image_embeds, text_embeds, labels);
}
