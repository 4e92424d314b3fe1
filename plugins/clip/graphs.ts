/**
 * CLIP's components. Weight names are relative to the instance, whose prefix ends with its dot; shapes of hidden states
 * are [batch, tokens, hidden_size].
 *
 * Both kinds of block say nothing of their layer, so that all layers of a tower share one artifact per range.
 */
import type { ComponentSpec, GraphBuilder, Node } from "../../runtime/abi/encoder.ts";
import { type FeatureProjector, featurePort } from "../../runtime/abi/feature_projector.ts";
import { type PixelForms, pixelComponents, pixelType } from "../../runtime/abi/pixels.ts";
import { type Box, mul } from "../../runtime/core/dim.ts";
import type { RangeSpec } from "../../runtime/core/range.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import { featureProjector, layerNorm, linear, patchEmbedding, transformerBlock } from "../../runtime/nn/mod.ts";
import type { ClipTextConfig, ClipTransformerConfig, ClipVisionConfig } from "./config.ts";
import { MAX_BATCH, type TileGeometry } from "./tile_geometry.ts";

/** One picture is the interactive case, up to 8 a request of a server; an image's tokens are a constant of the model. */
const BATCH_ENDS = [1, 8];

/** Prompts for classification rarely pass 16 tokens; without the split they would run code chosen for the longest text. */
const TOKEN_ENDS = [16];

const BATCH: Box = { batch: { min: 1, max: MAX_BATCH } };
const BY_BATCH: RangeSpec = { ends: { batch: BATCH_ENDS } };

/** Class token and patches. */
export function visionTokens(config: ClipVisionConfig): number {
  const side = Math.floor(config.imageSize / config.patchSize);
  return side * side + 1;
}

export function visionLayer(layer: number): string {
  return `vision_model.encoder.layers.${layer}.`;
}

export function textLayer(layer: number): string {
  return `text_model.encoder.layers.${layer}.`;
}

/** Instances of a tower's blocks. */
export function layerNames(config: ClipTransformerConfig, name: (layer: number) => string): readonly string[] {
  return Array.from({ length: config.layers }, (_, i) => name(i));
}

function block(b: GraphBuilder, x: Node, config: ClipTransformerConfig, keyMask?: Node): Node {
  return transformerBlock(b, x, "", {
    heads: config.heads,
    intermediateSize: config.intermediateSize,
    activation: config.activation,
    eps: config.eps,
    ...(keyMask === undefined ? {} : { causal: true, keyMask }),
  });
}

/** pixel_values [batch, channels, image_size, image_size], f32 or u8 with steps -> hidden states after `pre_layrnorm` (the checkpoint's spelling). */
function visionEmbed(b: GraphBuilder, config: ClipVisionConfig, steps: ValueSteps | undefined): void {
  const { hiddenSize: width, imageSize, patchSize, channels } = config;
  const pixels = b.input("pixel_values", [b.dims.batch, channels, imageSize, imageSize], pixelType(steps));
  const patches = patchEmbedding(b, pixels, "embeddings.patch_embedding.", {
    outFeatures: width,
    patchHeight: patchSize,
    patchWidth: patchSize,
    steps,
  });
  const token = b.reshape(b.weight("embeddings.class_embedding", [width]), [1, 1, width]);
  const tokens = b.concat([b.broadcastTo(token, [b.dims.batch, 1, width]), patches], 1);
  const positions = b.weight("embeddings.position_embedding.weight", [visionTokens(config), width]);
  b.output("hidden_states", layerNorm(b, b.add(tokens, positions), "pre_layrnorm.", config.eps));
}

/** Instance of LLaVA's projector. */
export const PROJECTOR = "multi_modal_projector.";

/** Rows of `projected` that so many tiles give at most: their patches, and an end of each row of them. */
export const mostRows = (tiles: number, { side }: TileGeometry): number => tiles * side * (side + 1);

/**
 * LLaVA-NeXT's projector: of the tiles' hidden states the tokens that `token_index` names, and where `is_newline` is 1 the vector that
 * ends a row of patches -> projected [rows, the language model's width].
 */
function projectTiles(config: ClipVisionConfig, projector: FeatureProjector, tiles: TileGeometry): ComponentSpec {
  const { hiddenSize } = config;
  const tokens = visionTokens(config);
  return {
    tag: "clip/vision.project_tiles",
    precise: true,
    symbols: { ...BATCH, rows: { min: 1, max: mostRows(MAX_BATCH, tiles) } },
    instances: [""],
    build: (b) => {
      const { batch, rows } = b.dims;
      const index = b.reshape(b.input("token_index", [1, rows], "i32"), [rows]);
      const states = projector.features.map((_, i) => {
        const all = b.input(featurePort(i), [batch, tokens, hiddenSize]);
        return b.gather(b.reshape(all, [mul(batch, tokens), hiddenSize]), index);
      });
      const read = featureProjector(b, states, PROJECTOR, { ...projector, dropsFirst: false });
      const isNewline = b.reshape(b.input("is_newline", [1, rows]), [rows, 1]);
      b.output("projected", b.op("where", [isNewline, b.weight("image_newline", [projector.width]), read]));
    },
  };
}

/** The vision tower's components, in the order of their calls; with LLaVA's projector nothing is pooled. */
export function visionComponents(
  config: ClipVisionConfig,
  forms: PixelForms,
  projector: FeatureProjector | undefined,
  tiles?: TileGeometry,
): readonly ComponentSpec[] {
  const { hiddenSize: width, projectionDim } = config;
  const tokens = visionTokens(config);
  const named = (tag: string, instances: readonly string[]): Omit<ComponentSpec, "build"> => ({
    tag: `clip/vision.${tag}`,
    symbols: BATCH,
    ranges: BY_BATCH,
    instances,
  });
  const part = (tag: string, instances: readonly string[], build: (b: GraphBuilder) => void): ComponentSpec => ({
    ...named(tag, instances),
    build,
  });
  const seeing = [
    ...pixelComponents(forms, named("embed", ["vision_model."]), (b, steps) => visionEmbed(b, config, steps)),
    part("block", layerNames(config, visionLayer), (b) => {
      const x = b.input("hidden_states", [b.dims.batch, tokens, width]);
      b.output("hidden_states", block(b, x, config));
    }),
  ];
  if (projector !== undefined && tiles !== undefined) return [...seeing, projectTiles(config, projector, tiles)];
  if (projector !== undefined) {
    const project = part("project", [PROJECTOR], (b) => {
      const states = projector.features.map((_, i) => b.input(featurePort(i), [b.dims.batch, tokens, width]));
      b.output("projected", featureProjector(b, states, "", projector));
    });
    return [...seeing, { ...project, precise: true }];
  }
  return [
    ...seeing,
    part("pool", ["vision_model."], (b) => {
      const x = b.input("hidden_states", [b.dims.batch, tokens, width]);
      const first = b.reshape(b.slice(x, 1, 0, 1), [b.dims.batch, width]);
      b.output("pooler_output", layerNorm(b, first, "post_layernorm.", config.eps));
    }),
    ...(projectionDim === undefined
      ? []
      : [
          {
            ...part("project", [""], (b) => {
              const x = b.input("pooler_output", [b.dims.batch, width]);
              b.output("image_embeds", linear(b, x, "visual_projection.", { outFeatures: projectionDim, bias: false }));
            }),
            precise: true,
          },
        ]),
  ];
}

/** The text tower's components, in the order of their calls. */
export function textComponents(config: ClipTextConfig): readonly ComponentSpec[] {
  const { hiddenSize: width, maxPositions, projectionDim } = config;
  const symbols: Box = { ...BATCH, tokens: { min: 1, max: maxPositions } };
  const byTokens: RangeSpec = { ends: { tokens: TOKEN_ENDS.filter((end) => end < maxPositions) } };
  const part = (tag: string, instances: readonly string[], build: (b: GraphBuilder) => void): ComponentSpec => ({
    tag: `clip/text.${tag}`,
    symbols,
    ranges: byTokens,
    instances,
    build,
  });
  const hidden = (b: GraphBuilder): Node => b.input("hidden_states", [b.dims.batch, b.dims.tokens, width]);
  return [
    part("embed", ["text_model."], (b) => {
      const ids = b.input("input_ids", [b.dims.batch, b.dims.tokens], "i32");
      const at = b.input("position_ids", [b.dims.tokens], "i32");
      const words = b.gather(b.weight("embeddings.token_embedding.weight", [config.vocabSize, width]), ids);
      const positions = b.gather(b.weight("embeddings.position_embedding.weight", [maxPositions, width]), at);
      b.output("hidden_states", b.add(words, positions));
    }),
    part("block", layerNames(config, textLayer), (b) => {
      const x = hidden(b);
      const keyMask = b.input("key_mask", [b.dims.batch, b.dims.tokens]);
      b.output("hidden_states", block(b, x, config, keyMask));
    }),
    part("final", ["text_model."], (b) => {
      b.output("last_hidden_state", layerNorm(b, hidden(b), "final_layer_norm.", config.eps));
    }),
    // The norm treats rows alone, so taking the row first gives the same and costs one row.
    part("pool", ["text_model."], (b) => {
      const row = b.takeRow(hidden(b), b.input("pool_index", [b.dims.batch], "i32"));
      b.output("pooler_output", layerNorm(b, row, "final_layer_norm.", config.eps));
    }),
    ...(projectionDim === undefined
      ? []
      : [
          {
            tag: "clip/text.project",
            precise: true,
            symbols: BATCH,
            ranges: BY_BATCH,
            instances: [""],
            build: (b: GraphBuilder): void => {
              const x = b.input("pooler_output", [b.dims.batch, width]);
              b.output("text_embeds", linear(b, x, "text_projection.", { outFeatures: projectionDim, bias: false }));
            },
          },
        ]),
  ];
}
