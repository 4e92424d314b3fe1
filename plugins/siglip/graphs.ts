/**
 * SigLIP's components. Weight names are relative to the instance, whose prefix ends with its dot; shapes of hidden states
 * are [batch, tokens, hidden_size].
 *
 * Blocks say nothing of their layer, so that all layers of a tower share one artifact per range.
 */
import type { ComponentSpec, GraphBuilder, Node } from "../../runtime/abi/encoder.ts";
import { featurePort } from "../../runtime/abi/feature_projector.ts";
import { type PixelForms, pixelComponents, pixelType } from "../../runtime/abi/pixels.ts";
import { add, type Box } from "../../runtime/core/dim.ts";
import type { RangeSpec } from "../../runtime/core/range.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import {
  featureProjector,
  foldValueSteps,
  lastWidth,
  layerNorm,
  linear,
  patchEmbedding,
  transformerBlock,
} from "../../runtime/nn/mod.ts";
import { attentionPool } from "./attention_pool.ts";
import {
  patchesPerSide,
  type SiglipFixedVisionConfig,
  type SiglipNaflexVisionConfig,
  type SiglipProjector,
  type SiglipTextConfig,
  type SiglipTransformerConfig,
  type SiglipVisionConfig,
} from "./config.ts";

/** Images or texts of one run; larger batches are split by the session. */
export const MAX_BATCH = 64;

/** Patches of a NaFlex image with its padding: 16 times what the processor gives unless told otherwise. */
export const MAX_PATCHES = 4096;

/** One picture or prompt is the interactive case, up to 8 a request of a server. */
const BATCH_ENDS = [1, 8];

/** 256 is the processor's own number of patches, 1024 the largest that the model's authors evaluate. */
const PATCH_ENDS = [256, 1024];

const BATCH: Box = { batch: { min: 1, max: MAX_BATCH } };
const BY_BATCH: RangeSpec = { ends: { batch: BATCH_ENDS } };

type Part = (tag: string, instances: readonly string[], build: (b: GraphBuilder) => void) => ComponentSpec;

function partsOf(tower: string, symbols: Box, ranges: RangeSpec): Part {
  return (tag, instances, build) => ({ tag: `${tower}.${tag}`, symbols, ranges, instances, build });
}

/** Patches of an image of the model's size. */
export function fixedPatches(config: SiglipFixedVisionConfig): number {
  const side = patchesPerSide(config);
  return side * side;
}

/** Tags begin with this. */
export function visionTag(config: SiglipVisionConfig): string {
  return config.kind === "naflex" ? "siglip2/vision" : "siglip/vision";
}

export function visionLayer(layer: number): string {
  return `vision_model.encoder.layers.${layer}.`;
}

export function textLayer(layer: number): string {
  return `text_model.encoder.layers.${layer}.`;
}

const layerNames = (config: SiglipTransformerConfig, name: (layer: number) => string): string[] =>
  Array.from({ length: config.layers }, (_, i) => name(i));

const masked = (keyMask: Node | undefined): { readonly keyMask?: Node } => (keyMask === undefined ? {} : { keyMask });

function block(b: GraphBuilder, x: Node, config: SiglipTransformerConfig, keyMask?: Node): Node {
  const { heads, intermediateSize, activation, eps } = config;
  return transformerBlock(b, x, "", { heads, intermediateSize, activation, eps, ...masked(keyMask) });
}

/** pixel_values [batch, channels, image_size, image_size], f32 or u8 with steps -> hidden states. */
function embedFixed(b: GraphBuilder, config: SiglipFixedVisionConfig, steps: ValueSteps | undefined): void {
  const { hiddenSize: width, imageSize, patchSize, channels } = config;
  const pixels = b.input("pixel_values", [b.dims.batch, channels, imageSize, imageSize], pixelType(steps));
  const patches = patchEmbedding(b, pixels, "embeddings.patch_embedding.", {
    outFeatures: width,
    patchHeight: patchSize,
    patchWidth: patchSize,
    bias: true,
    steps,
  });
  const positions = b.weight("embeddings.position_embedding.weight", [fixedPatches(config), width]);
  b.output("hidden_states", b.add(patches, positions));
}

/**
 * Normalised patches, of which padding is 0, through the layer `patch_embedding`. Padding of bytes is 0 as well, which is
 * black and no mean: `patch_weights` [batch, patches], 1 for patches and 0 for padding, leave the mean out there.
 */
function naflexProduct(b: GraphBuilder, pixels: Node, width: number, steps: ValueSteps | undefined): Node {
  const name = "embeddings.patch_embedding.";
  if (steps === undefined) return linear(b, pixels, name, { outFeatures: width });
  const values = lastWidth(pixels, "A patch embedding");
  const { weight, shift } = foldValueSteps(b, b.weight(`${name}weight`, [width, values]), "interleaved", steps);
  const product = b.matmul(b.cast(pixels), weight, { transposeB: true });
  const biased = b.add(product, b.weight(`${name}bias`, [width]));
  const { batch, patches } = b.dims;
  const own = b.reshape(b.input("patch_weights", [batch, patches]), [batch, patches, 1]);
  return shift === undefined ? biased : b.sub(biased, b.mul(own, shift));
}

/**
 * pixel_values [batch, patches, channels * patch_size ^ 2], f32 or u8 with steps -> hidden states. Each patch's position is
 * a weighted mean of the table, with the product of `row_weights` and `column_weights` [batch, patches, side] as weights.
 */
function embedNaflex(b: GraphBuilder, config: SiglipNaflexVisionConfig, steps: ValueSteps | undefined): void {
  const { hiddenSize: width, positionSide: side, patchSize, channels } = config;
  const { batch, patches } = b.dims;
  const pixels = b.input("pixel_values", [batch, patches, channels * patchSize * patchSize], pixelType(steps));
  const rows = b.reshape(b.input("row_weights", [batch, patches, side]), [batch, patches, side, 1]);
  const columns = b.reshape(b.input("column_weights", [batch, patches, side]), [batch, patches, 1, side]);
  const mix = b.reshape(b.mul(rows, columns), [batch, patches, side * side]);
  const positions = b.matmul(mix, b.weight("embeddings.position_embedding.weight", [side * side, width]));
  b.output("hidden_states", b.add(naflexProduct(b, pixels, width, steps), positions));
}

/** Instance of the projector. */
export const PROJECTOR = "multi_modal_projector.";

/** Means over squares of patches [batch, side * side, width]; rows and columns that no whole square has are left out. */
function squareMeans(b: GraphBuilder, x: Node, side: number, square: number): Node {
  const { batch } = b.dims;
  const width = lastWidth(x, "A pooled picture");
  const squares = Math.floor(side / square);
  let picture = b.reshape(x, [batch, side, side, width]);
  if (squares * square < side) for (const axis of [1, 2]) picture = b.slice(picture, axis, 0, squares * square);
  const split = b.reshape(picture, [batch, squares, square, squares, square, width]);
  const together = b.reshape(b.transpose(split, [0, 1, 3, 5, 2, 4]), [
    batch,
    squares * squares,
    width,
    square * square,
  ]);
  const sums = b.reshape(b.unary("reduce_sum", together), [batch, squares * squares, width]);
  return b.mul(sums, b.constant(1 / (square * square)));
}

/**
 * last_hidden_state, or the hidden states that LLaVA reads -> the vectors that stand for the picture in a language model,
 * [batch, patches or squares, its width].
 */
function project(b: GraphBuilder, config: SiglipFixedVisionConfig, projector: SiglipProjector): Node {
  const input = (name: string): Node => b.input(name, [b.dims.batch, fixedPatches(config), config.hiddenSize]);
  if (projector.kind === "features") {
    const states = projector.features.map((_, i) => input(featurePort(i)));
    return featureProjector(b, states, "", projector);
  }
  const x = input("last_hidden_state");
  if (projector.kind === "linear") return linear(b, x, "linear.", { outFeatures: projector.width });
  const { hiddenSize: width, eps } = config;
  // Gemma's norms keep what differs from 1.
  const scale = b.add(b.weight("mm_soft_emb_norm.weight", [width]), b.constant(1));
  const normed = b.rmsNorm(squareMeans(b, x, patchesPerSide(config), projector.square), scale, eps);
  return b.matmul(normed, b.weight("mm_input_projection_weight", [width, projector.width]));
}

/** The vision tower's components, in the order of their calls. */
export function visionComponents(
  config: SiglipVisionConfig,
  forms: PixelForms,
  projector: SiglipProjector | undefined,
): readonly ComponentSpec[] {
  const { hiddenSize: width, kind } = config;
  const symbols: Box = kind === "naflex" ? { ...BATCH, patches: { min: 1, max: MAX_PATCHES } } : BATCH;
  const ranges: RangeSpec = kind === "naflex" ? { ends: { patches: PATCH_ENDS } } : BY_BATCH;
  const part = partsOf(visionTag(config), symbols, ranges);
  const embedding = { tag: `${visionTag(config)}.embed`, symbols, ranges, instances: ["vision_model."] };
  const input = (b: GraphBuilder, name: string): Node =>
    b.input(name, [b.dims.batch, kind === "naflex" ? b.dims.patches : fixedPatches(config), width]);
  const mask = (b: GraphBuilder): Node | undefined =>
    kind === "naflex" ? b.input("key_mask", [b.dims.batch, b.dims.patches]) : undefined;
  return [
    ...pixelComponents(forms, embedding, (b, steps) =>
      kind === "naflex" ? embedNaflex(b, config, steps) : embedFixed(b, config, steps),
    ),
    part("block", layerNames(config, visionLayer), (b) => {
      b.output("hidden_states", block(b, input(b, "hidden_states"), config, mask(b)));
    }),
    part("final", ["vision_model."], (b) => {
      b.output("last_hidden_state", layerNorm(b, input(b, "hidden_states"), "post_layernorm.", config.eps));
    }),
    ...(config.pools
      ? [
          {
            ...part("pool", ["vision_model."], (b) => {
              const { heads, intermediateSize, activation, eps } = config;
              const x = input(b, "last_hidden_state");
              const options = { heads, intermediateSize, activation, eps, ...masked(mask(b)) };
              b.output("pooler_output", attentionPool(b, x, "head.", options));
            }),
            precise: true,
          },
        ]
      : []),
    ...(kind === "fixed" && projector !== undefined
      ? [
          {
            ...part("project", [PROJECTOR], (b) => b.output("projected", project(b, config, projector))),
            precise: true,
          },
        ]
      : []),
  ];
}

/** The text tower's components, in the order of their calls. */
export function textComponents(config: SiglipTextConfig): readonly ComponentSpec[] {
  const { hiddenSize: width, maxPositions } = config;
  const part = partsOf("siglip/text", { ...BATCH, tokens: { min: 1, max: maxPositions } }, BY_BATCH);
  const hidden = (b: GraphBuilder): Node => b.input("hidden_states", [b.dims.batch, b.dims.tokens, width]);
  return [
    part("embed", ["text_model."], (b) => {
      const { batch, tokens } = b.dims;
      const words = b.gather(
        b.weight("embeddings.token_embedding.weight", [config.vocabSize, width]),
        b.input("input_ids", [batch, tokens], "i32"),
      );
      const positions = b.slice(b.weight("embeddings.position_embedding.weight", [maxPositions, width]), 0, 0, tokens);
      b.output("hidden_states", b.add(words, positions));
    }),
    // Text attends both ways: it is no language model.
    part("block", layerNames(config, textLayer), (b) => {
      const x = hidden(b);
      b.output("hidden_states", block(b, x, config, b.input("key_mask", [b.dims.batch, b.dims.tokens])));
    }),
    part("final", ["text_model."], (b) => {
      b.output("last_hidden_state", layerNorm(b, hidden(b), "final_layer_norm.", config.eps));
    }),
    // The norm treats rows alone, so taking the row first gives the same and costs one row.
    {
      ...part("pool", ["text_model."], (b) => {
        const { batch, tokens } = b.dims;
        const last = b.reshape(b.slice(hidden(b), 1, add(tokens, -1), tokens), [batch, width]);
        const normed = layerNorm(b, last, "final_layer_norm.", config.eps);
        b.output("pooler_output", linear(b, normed, "head.", { outFeatures: config.projectionSize }));
      }),
      precise: true,
    },
  ];
}
