/**
 * Components of the vision tower of Idefics3 (Laurençon et al. 2024) and SmolVLM (Marafioti et al. 2025): SigLIP's, whose
 * pictures may have any size. Weight names are relative to the instance, whose prefix ends with its dot; shapes of hidden
 * states are [batch, tokens, hidden_size]. All layers share one artifact per range.
 */
import type { ComponentSpec, GraphBuilder, Node } from "../../runtime/abi/encoder.ts";
import { type PixelForms, pixelComponents, pixelType } from "../../runtime/abi/pixels.ts";
import { type Box, floorDiv, mul } from "../../runtime/core/dim.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import { layerNorm, linear, patchEmbedding, pixelShuffle, transformerBlock } from "../../runtime/nn/mod.ts";
import type { Idefics3Config, Idefics3ConnectorConfig } from "./config.ts";

/** Tiles of one run; larger batches are split by the session. */
export const MAX_BATCH = 64;
/** Patches of one tile. */
export const MAX_PATCHES = 65_536;
/** Patches along a side. */
export const MAX_SIDE = 1024;

/** Instance of all parts but the layers and the connector. */
export const TOWER = "vision_model.";
/** Instance of the projection. */
export const CONNECTOR = "connector.";

/** Rows and columns of the table of positions. */
export function tableSide({ imageSize, patchSize }: Idefics3Config): number {
  return Math.floor(imageSize / patchSize);
}

/** Instances of the blocks. */
export function idefics3Layers({ layers }: Idefics3Config): readonly string[] {
  return Array.from({ length: layers }, (_, i) => `${TOWER}encoder.layers.${i}.`);
}

/**
 * pixel_values [batch, channels, height, width], f32 or u8 with steps, and `position_ids` i32 [patches] -> patches with
 * positions. What fills no patch is left out.
 */
function embed(b: GraphBuilder, config: Idefics3Config, steps: ValueSteps | undefined): Node {
  const { hiddenSize: width, patchSize, channels } = config;
  const { batch, height: h, width: w } = b.dims;
  const patches = patchEmbedding(
    b,
    b.input("pixel_values", [batch, channels, h, w], pixelType(steps)),
    "embeddings.patch_embedding.",
    { outFeatures: width, patchHeight: patchSize, patchWidth: patchSize, bias: true, steps },
  );
  const side = tableSide(config);
  const table = b.weight("embeddings.position_embedding.weight", [side * side, width]);
  const ids = b.input("position_ids", [mul(floorDiv(h, patchSize), floorDiv(w, patchSize))], "i32");
  return b.add(patches, b.gather(table, ids));
}

/** Squares of patches of a square tile, `squares` along a side -> tokens of the language model [batch, squares^2, size]. */
function project(b: GraphBuilder, { hiddenSize }: Idefics3Config, connector: Idefics3ConnectorConfig): Node {
  const { shuffle: factor, size: outFeatures } = connector;
  const { batch, squares } = b.dims;
  const x = b.input("last_hidden_state", [batch, mul(squares, squares, factor * factor), hiddenSize]);
  const merged = pixelShuffle(b, x, { squares, factor });
  return linear(b, merged, "modality_projection.proj.", { outFeatures, bias: false });
}

/** The components in the order of their calls. */
export function idefics3Components(config: Idefics3Config, forms: PixelForms): readonly ComponentSpec[] {
  const { hiddenSize, heads, intermediateSize, activation, eps, patchSize, connector } = config;
  const batch = { min: 1, max: MAX_BATCH };
  const pixels = { min: patchSize, max: MAX_SIDE * patchSize };
  const tokens: Box = { batch, tokens: { min: 1, max: MAX_PATCHES } };
  const hidden = (b: GraphBuilder): Node => b.input("hidden_states", [b.dims.batch, b.dims.tokens, hiddenSize]);
  const trained = tableSide(config) * tableSide(config);
  return [
    ...pixelComponents(
      forms,
      { tag: "idefics3/vision.embed", symbols: { batch, height: pixels, width: pixels }, instances: [TOWER] },
      (b, steps) => b.output("hidden_states", embed(b, config, steps)),
    ),
    {
      tag: "idefics3/vision.block",
      symbols: tokens,
      // Processors make tiles of the size that the model was trained with.
      ranges: { ends: { tokens: trained > 1 && trained < MAX_PATCHES ? [trained] : [] } },
      instances: idefics3Layers(config),
      build: (b) => {
        const options = { heads, intermediateSize, activation, eps };
        b.output("hidden_states", transformerBlock(b, hidden(b), "", options));
      },
    },
    {
      tag: "idefics3/vision.final",
      symbols: tokens,
      instances: [TOWER],
      build: (b) => b.output("last_hidden_state", layerNorm(b, hidden(b), "post_layernorm.", eps)),
    },
    ...(connector === undefined
      ? []
      : [
          {
            tag: "idefics3/vision.project",
            precise: true,
            symbols: { batch, squares: { min: 1, max: Math.floor(256 / connector.shuffle) } },
            instances: [CONNECTOR],
            build: (b: GraphBuilder): void => b.output("projected", project(b, config, connector)),
          },
        ]),
  ];
}
