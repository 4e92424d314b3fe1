/**
 * Components of InternVL's vision tower (Chen et al. 2024). Weight names are relative to the instance, whose prefix ends
 * with its dot; shapes of hidden states are [batch, tokens, hidden_size], the class token first. All layers share one
 * artifact per range.
 */
import type { ComponentSpec, GraphBuilder, Node } from "../../runtime/abi/encoder.ts";
import { type PixelForms, pixelComponents, pixelType } from "../../runtime/abi/pixels.ts";
import { add, type Box, type Dim, floorDiv, mul } from "../../runtime/core/dim.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import {
  activation,
  layerNorm,
  linear,
  mlp,
  type ProjectionNames,
  patchEmbedding,
  pixelShuffle,
  resizedPositions,
  rmsNorm,
  selfAttention,
} from "../../runtime/nn/mod.ts";
import type { InternVLConfig, InternVLProjectorConfig } from "./config.ts";

/** Images of one run; larger batches are split by the session. */
export const MAX_BATCH = 64;
/** Patches of one image. */
export const MAX_PATCHES = 65_536;
/** Patches along a side. */
export const MAX_SIDE = 1024;

/** The norms of queries and keys and of the projector have the default epsilons of their classes. */
const QK_EPS = 1e-6;
const PROJECTOR_EPS = 1e-5;

const PROJECTIONS: ProjectionNames = {
  query: "q_proj",
  key: "k_proj",
  value: "v_proj",
  output: "projection_layer",
};

/** Whole patches along each side of an image of the size that the model was trained with. */
export function tableSide({ imageSize, patchSize }: InternVLConfig): number {
  return Math.floor(imageSize / patchSize);
}

/** Instances of the blocks. */
export function internVLLayers({ prefix, layers }: InternVLConfig): readonly string[] {
  return Array.from({ length: layers }, (_, i) => `${prefix}encoder.layer.${i}.`);
}

/**
 * pixel_values [batch, channels, height, width], f32 or u8 with steps -> class token and patches with positions. What fills
 * no patch is left out.
 */
function embed(b: GraphBuilder, config: InternVLConfig, steps: ValueSteps | undefined): Node {
  const { hiddenSize: width, patchSize, channels } = config;
  const { batch, height: h, width: w } = b.dims;
  const [rows, columns] = [floorDiv(h, patchSize), floorDiv(w, patchSize)];
  const pixels = b.input("pixel_values", [batch, channels, h, w], pixelType(steps));
  const patches = patchEmbedding(b, pixels, "embeddings.patch_embeddings.projection.", {
    outFeatures: width,
    patchHeight: patchSize,
    patchWidth: patchSize,
    bias: true,
    steps,
  });
  const token = b.weight("embeddings.cls_token", [1, 1, width]);
  const first = (node: Node): Node => b.broadcastTo(node, [batch, 1, width]);
  if (!config.positions) return b.concat([first(token), patches], 1);
  const side = tableSide(config);
  const table = b.weight("embeddings.position_embeddings", [1, 1 + side * side, width]);
  const ofPatches = resizedPositions(
    b,
    b.reshape(b.slice(table, 1, 1, 1 + side * side), [side * side, width]),
    b.input("row_weights", [rows, side]),
    b.input("column_weights", [columns, side]),
  );
  return b.concat([first(b.add(token, b.slice(table, 1, 0, 1))), b.add(patches, ofPatches)], 1);
}

/** x + lambda_1 * attention(norm(x)), then x + lambda_2 * mlp(norm(x)). */
function block(b: GraphBuilder, x: Node, config: InternVLConfig): Node {
  const { heads, hiddenSize, intermediateSize, qkvBias: own, qkNorm, eps } = config;
  const norm = (from: Node, prefix: string): Node =>
    config.norm === "rms_norm" ? rmsNorm(b, from, prefix, eps) : layerNorm(b, from, prefix, eps);
  const scaled = (branch: Node, name: string): Node => b.mul(branch, b.weight(name, [hiddenSize]));
  const attended = selfAttention(b, norm(x, "layernorm_before."), "attention.", {
    heads,
    names: PROJECTIONS,
    bias: { query: own, key: own, value: own, output: true },
    ...(qkNorm
      ? {
          normalize: (projected: Node, which: "query" | "key"): Node =>
            rmsNorm(b, projected, which === "query" ? "attention.q_norm." : "attention.k_norm.", QK_EPS),
        }
      : {}),
  });
  const middle = b.add(x, scaled(attended, "lambda_1"));
  const inner = mlp(b, norm(middle, "layernorm_after."), "mlp.", { intermediateSize, activation: config.activation });
  return b.add(middle, scaled(inner, "lambda_2"));
}

/** Tokens of a square image of `squares` squares along a side -> [batch, squares^2, size]. */
function project(b: GraphBuilder, config: InternVLConfig, projector: InternVLProjectorConfig): Node {
  const { shuffle: factor, size: outFeatures } = projector;
  const { batch, squares } = b.dims;
  const patches: Dim = mul(squares, squares, factor * factor);
  const x = b.input("last_hidden_state", [batch, add(1, patches), config.hiddenSize]);
  const merged = pixelShuffle(b, b.slice(x, 1, 1, add(1, patches)), { squares, factor });
  const inner = linear(b, layerNorm(b, merged, "layer_norm.", PROJECTOR_EPS), "linear_1.", { outFeatures });
  return linear(b, activation(b, inner, projector.activation), "linear_2.", { outFeatures });
}

/** The components in the order of their calls. */
export function internVLComponents(config: InternVLConfig, forms: PixelForms): readonly ComponentSpec[] {
  const { hiddenSize: width, eps, patchSize, prefix, projector } = config;
  const batch = { min: 1, max: MAX_BATCH };
  const pixels = { min: patchSize, max: MAX_SIDE * patchSize };
  const tokens: Box = { batch, tokens: { min: 2, max: 1 + MAX_PATCHES } };
  const hidden = (b: GraphBuilder): Node => b.input("hidden_states", [b.dims.batch, b.dims.tokens, width]);
  return [
    ...pixelComponents(
      forms,
      { tag: "internvl/vision.embed", symbols: { batch, height: pixels, width: pixels }, instances: [prefix] },
      (b, steps) => b.output("hidden_states", embed(b, config, steps)),
    ),
    {
      tag: "internvl/vision.block",
      symbols: tokens,
      // Processors make images of the size that the model was trained with.
      ranges: {
        ends: {
          tokens: [1 + tableSide(config) * tableSide(config)].filter((end) => end > 2 && end <= MAX_PATCHES),
        },
      },
      instances: internVLLayers(config),
      build: (b) => b.output("hidden_states", block(b, hidden(b), config)),
    },
    ...(config.finalNorm
      ? [
          {
            tag: "internvl/vision.final",
            symbols: tokens,
            instances: [prefix],
            build: (b: GraphBuilder): void => {
              b.output("last_hidden_state", layerNorm(b, hidden(b), "layernorm.", eps));
            },
          },
        ]
      : []),
    ...(projector === undefined
      ? []
      : [
          {
            tag: "internvl/vision.project",
            precise: true,
            symbols: { batch, squares: { min: 1, max: Math.floor(256 / projector.shuffle) } },
            instances: ["multi_modal_projector."],
            build: (b: GraphBuilder): void => b.output("projected", project(b, config, projector)),
          },
        ]),
  ];
}
