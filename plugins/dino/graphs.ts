/**
 * Components of DINOv2 (Oquab et al. 2023, registers: Darcet et al. 2024) and DINOv3 (Siméoni et al. 2025). Weight names are
 * relative to the instance, whose prefix ends with its dot; shapes of hidden states are [batch, tokens, hidden_size].
 * All layers share one artifact per range.
 */
import type { ComponentSpec, GraphBuilder, Node } from "../../runtime/abi/encoder.ts";
import { type PixelForms, pixelComponents, pixelType } from "../../runtime/abi/pixels.ts";
import { type Box, type Dim, mul } from "../../runtime/core/dim.ts";
import type { RangeSpec } from "../../runtime/core/range.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import {
  gatedMlp,
  gluMlp,
  layerNorm,
  layerScale,
  mlp,
  type ProjectionNames,
  patchEmbedding,
  selfAttention,
} from "../../runtime/nn/mod.ts";
import type { DinoConfig, DinoPositions } from "./config.ts";
import { prefixTokens } from "./geometry.ts";

/** Images of one run; larger batches are split by the session. */
export const MAX_BATCH = 64;
/** Patches of one image: 3584 x 3584 pixels where patches have 14. */
export const MAX_PATCHES = 65536;
/** Patches along a side. */
export const MAX_SIDE = 1024;

/** 224 pixels have up to 261 tokens, the 518 of DINOv2's last training phase 1374; dense features go beyond. */
const BY_TOKENS: RangeSpec = { ends: { tokens: [320, 1536] } };

/** What the checkpoints of a family call their parts. */
interface Names {
  readonly patches: string;
  readonly layer: (at: number) => string;
  readonly projections: ProjectionNames;
  readonly mlp: readonly [string, string];
  readonly norm: string;
}

const NAMES: Readonly<Record<DinoConfig["family"], Names>> = {
  dinov2: {
    patches: "embeddings.patch_embeddings.projection.",
    layer: (at) => `encoder.layer.${at}.`,
    projections: {
      query: "attention.query",
      key: "attention.key",
      value: "attention.value",
      output: "output.dense",
    },
    mlp: ["fc1", "fc2"],
    norm: "layernorm.",
  },
  dinov3: {
    patches: "embeddings.patch_embeddings.",
    layer: (at) => `layer.${at}.`,
    projections: { query: "q_proj", key: "k_proj", value: "v_proj", output: "o_proj" },
    mlp: ["up_proj", "down_proj"],
    norm: "norm.",
  },
};

/** Instances of the blocks. */
export function dinoLayers({ family, layers }: DinoConfig): readonly string[] {
  return Array.from({ length: layers }, (_, i) => NAMES[family].layer(i));
}

/** The class token's position [1, 1, width] and the patches' [1, rows * columns, width], resized to the grid. */
function tablePositions(b: GraphBuilder, config: DinoConfig, { side }: DinoPositions & { kind: "table" }): Node[] {
  const { hiddenSize: width } = config;
  const { rows, columns } = b.dims;
  const table = b.weight("embeddings.position_embeddings", [1, 1 + side * side, width]);
  const grid = b.reshape(b.slice(table, 1, 1, 1 + side * side), [side, side * width]);
  // Rows of the grid first, so that the weights are one matrix on the right; then the columns of every row.
  const tall = b.reshape(b.matmul(b.input("row_weights", [rows, side]), grid), [rows, side, width]);
  const placed = b.matmul(b.input("column_weights", [columns, side]), tall);
  return [b.slice(table, 1, 0, 1), b.reshape(placed, [1, mul(rows, columns), width])];
}

/**
 * pixel_values [batch, channels, rows * patch_size, columns * patch_size], f32 or u8 with steps -> class token, registers,
 * patches.
 */
function embed(b: GraphBuilder, config: DinoConfig, steps: ValueSteps | undefined): Node {
  const { hiddenSize: width, patchSize, channels, registers, positions } = config;
  const { batch, rows, columns } = b.dims;
  const side = (patches: Dim): Dim => mul(patches, patchSize);
  const pixels = b.input("pixel_values", [batch, channels, side(rows), side(columns)], pixelType(steps));
  const patches = patchEmbedding(b, pixels, NAMES[config.family].patches, {
    outFeatures: width,
    patchHeight: patchSize,
    patchWidth: patchSize,
    bias: true,
    steps,
  });
  const repeated = (tokens: Node, count: number): Node => b.broadcastTo(tokens, [batch, count, width]);
  const token = b.weight("embeddings.cls_token", [1, 1, width]);
  const own =
    registers === 0 ? [] : [repeated(b.weight("embeddings.register_tokens", [1, registers, width]), registers)];
  if (positions.kind === "rotary") return b.concat([repeated(token, 1), ...own, patches], 1);
  const [ofToken, ofPatches] = tablePositions(b, config, positions);
  return b.concat([repeated(b.add(token, ofToken), 1), ...own, b.add(patches, ofPatches)], 1);
}

function perceptron(b: GraphBuilder, x: Node, config: DinoConfig): Node {
  const { mlp: options, activation, family } = config;
  if (options.kind === "gated") return gatedMlp(b, x, "mlp.", { ...options, activation });
  if (options.kind === "plain") return mlp(b, x, "mlp.", { ...options, activation, names: NAMES[family].mlp });
  return gluMlp(b, x, "mlp.", { ...options, activation: "silu", input: "weights_in.", output: "weights_out." });
}

/** x + scale1 * attention(norm1(x)), then x + scale2 * mlp(norm2(x)). */
function block(b: GraphBuilder, x: Node, config: DinoConfig): Node {
  const { heads, eps, biases: bias, hiddenSize } = config;
  const table = (name: string): Node => b.input(name, [b.dims.tokens, hiddenSize / heads / 2]);
  const attended = selfAttention(b, layerNorm(b, x, "norm1.", eps), "attention.", {
    heads,
    bias,
    names: NAMES[config.family].projections,
    ...(config.positions.kind === "rotary" ? { rotary: { cos: table("cos"), sin: table("sin") } } : {}),
  });
  const middle = b.add(x, layerScale(b, attended, "layer_scale1."));
  return b.add(middle, layerScale(b, perceptron(b, layerNorm(b, middle, "norm2.", eps), config), "layer_scale2."));
}

/** The components in the order of their calls. */
export function dinoComponents(config: DinoConfig, forms: PixelForms): readonly ComponentSpec[] {
  const { hiddenSize: width, eps, family } = config;
  const { norm } = NAMES[family];
  const prefix = prefixTokens(config);
  const batch = { min: 1, max: MAX_BATCH };
  const tokens: Box = { batch, tokens: { min: prefix + 1, max: prefix + MAX_PATCHES } };
  const side = { min: 1, max: MAX_SIDE };
  const hidden = (b: GraphBuilder): Node => b.input("hidden_states", [b.dims.batch, b.dims.tokens, width]);
  return [
    ...pixelComponents(
      forms,
      { tag: `${family}/vision.embed`, symbols: { batch, rows: side, columns: side }, instances: [""] },
      (b, steps) => b.output("hidden_states", embed(b, config, steps)),
    ),
    {
      tag: `${family}/vision.block`,
      symbols: tokens,
      ranges: BY_TOKENS,
      instances: dinoLayers(config),
      build: (b) => b.output("hidden_states", block(b, hidden(b), config)),
    },
    {
      tag: `${family}/vision.final`,
      symbols: tokens,
      instances: [""],
      build: (b) => b.output("last_hidden_state", layerNorm(b, hidden(b), norm, eps)),
    },
    // The norm treats rows alone, so taking the row first gives the same and costs one row.
    {
      tag: `${family}/vision.pool`,
      symbols: tokens,
      instances: [""],
      build: (b) => {
        const first = b.reshape(b.slice(hidden(b), 1, 0, 1), [b.dims.batch, width]);
        b.output("pooler_output", layerNorm(b, first, norm, eps));
      },
    },
  ];
}
