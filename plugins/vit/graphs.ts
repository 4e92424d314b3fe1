/**
 * Components of ViT (Dosovitskiy et al. 2021) and of its kin, which differ in their learned tokens and in whether they pool.
 * Weight names are relative to the instance, whose prefix ends with its dot; shapes of hidden states are [batch, tokens, hidden_size]. All layers share one artifact
 * per range.
 */
import type { ComponentSpec, GraphBuilder, Node } from "../../runtime/abi/encoder.ts";
import { type PixelForms, pixelComponents, pixelType } from "../../runtime/abi/pixels.ts";
import type { Box } from "../../runtime/core/dim.ts";
import type { RangeSpec } from "../../runtime/core/range.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import {
  ACTIVATION_NAMES,
  activation,
  layerNorm,
  linear,
  mlp,
  type ProjectionNames,
  patchEmbedding,
  selfAttention,
} from "../../runtime/nn/mod.ts";
import type { VitConfig } from "./config.ts";

/** Images of one run; larger batches are split by the session. */
export const MAX_BATCH = 64;

const BATCH: Box = { batch: { min: 1, max: MAX_BATCH } };

/** One picture is the interactive case, up to 8 a request of a server; an image's tokens are a constant of the model. */
const BY_BATCH: RangeSpec = { ends: { batch: [1, 8] } };

const PROJECTIONS: ProjectionNames = {
  query: "attention.query",
  key: "attention.key",
  value: "attention.value",
  output: "output.dense",
};

/** Learned tokens and patches. */
export function vitTokens({ imageSize, patchSize, tokens }: VitConfig): number {
  const side = Math.floor(imageSize / patchSize);
  return tokens.length + side * side;
}

/** Instances of the blocks. */
export function vitLayers({ layers }: VitConfig): readonly string[] {
  return Array.from({ length: layers }, (_, i) => `encoder.layer.${i}.`);
}

/** pixel_values [batch, channels, image_size, image_size], f32 or u8 with steps -> hidden states with positions. */
function embed(b: GraphBuilder, config: VitConfig, steps: ValueSteps | undefined): Node {
  const { hiddenSize: width, imageSize, patchSize, channels } = config;
  const pixels = b.input("pixel_values", [b.dims.batch, channels, imageSize, imageSize], pixelType(steps));
  const patches = patchEmbedding(b, pixels, "embeddings.patch_embeddings.projection.", {
    outFeatures: width,
    patchHeight: patchSize,
    patchWidth: patchSize,
    bias: true,
    steps,
  });
  const learned = config.tokens.map((name) =>
    b.broadcastTo(b.weight(`embeddings.${name}`, [1, 1, width]), [b.dims.batch, 1, width]),
  );
  const positions = b.weight("embeddings.position_embeddings", [1, vitTokens(config), width]);
  return b.add(learned.length === 0 ? patches : b.concat([...learned, patches], 1), positions);
}

/** x + attention(norm(x)), then x + mlp(norm(x)). */
function block(b: GraphBuilder, x: Node, config: VitConfig): Node {
  const { heads, eps, intermediateSize, qkvBias: own } = config;
  const attended = selfAttention(b, layerNorm(b, x, "layernorm_before.", eps), "attention.", {
    heads,
    names: PROJECTIONS,
    bias: { query: own, key: own, value: own, output: true },
  });
  const middle = b.add(x, attended);
  const inner = mlp(b, layerNorm(b, middle, "layernorm_after.", eps), "", {
    intermediateSize,
    activation: config.activation,
    names: ["intermediate.dense", "output.dense"],
  });
  return b.add(middle, inner);
}

/** The first token's normalised row through the pooler's layer. */
function pool(b: GraphBuilder, x: Node, config: VitConfig, pooler: NonNullable<VitConfig["pooler"]>): Node {
  const first = b.reshape(b.slice(x, 1, 0, 1), [b.dims.batch, config.hiddenSize]);
  // The norm treats rows alone, so taking the row first gives the same and costs one row.
  const row = layerNorm(b, first, "layernorm.", config.eps);
  const dense = linear(b, row, "pooler.dense.", { outFeatures: pooler.size });
  return ACTIVATION_NAMES.includes(pooler.activation)
    ? activation(b, dense, pooler.activation)
    : b.unary(pooler.activation, dense);
}

/** The components in the order of their calls. */
export function vitComponents(config: VitConfig, forms: PixelForms): readonly ComponentSpec[] {
  const { pooler } = config;
  const named = (name: string, instances: readonly string[]): Omit<ComponentSpec, "build"> => ({
    tag: `vit/vision.${name}`,
    symbols: BATCH,
    ranges: BY_BATCH,
    instances,
  });
  const part = (name: string, instances: readonly string[], build: (b: GraphBuilder) => void): ComponentSpec => ({
    ...named(name, instances),
    build,
  });
  const hidden = (b: GraphBuilder): Node =>
    b.input("hidden_states", [b.dims.batch, vitTokens(config), config.hiddenSize]);
  return [
    ...pixelComponents(forms, named("embed", [""]), (b, steps) => b.output("hidden_states", embed(b, config, steps))),
    part("block", vitLayers(config), (b) => b.output("hidden_states", block(b, hidden(b), config))),
    part("final", [""], (b) => b.output("last_hidden_state", layerNorm(b, hidden(b), "layernorm.", config.eps))),
    ...(pooler === undefined
      ? []
      : [
          {
            ...part("pool", [""], (b) => b.output("pooler_output", pool(b, hidden(b), config, pooler))),
            precise: true,
          },
        ]),
  ];
}
