/**
 * Components of Llama 4's vision tower (Meta 2025). An image comes as square tiles that do not see each other, so tiles are
 * the batch. Weight names are relative to the instance, whose prefix ends with its dot; shapes of hidden states are
 * [batch, tokens, hidden_size], the class token last. All layers share one artifact per range.
 */
import type { ComponentSpec, GraphBuilder, Node } from "../../runtime/abi/encoder.ts";
import { type PixelForms, pixelComponents, pixelType } from "../../runtime/abi/pixels.ts";
import { type Box, mul } from "../../runtime/core/dim.ts";
import type { RangeSpec } from "../../runtime/core/range.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import {
  activation,
  layerNorm,
  linear,
  mlp,
  type ProjectionNames,
  pixelProduct,
  pixelShuffle,
  selfAttention,
} from "../../runtime/nn/mod.ts";
import type { Llama4Config } from "./config.ts";

/** Tiles of an image, its overview among them, unless the processor says otherwise. */
export const TILES = 17;

/** Every norm and activation of the tower, whatever `norm_eps` and `hidden_act` say: so does the reference. */
const EPS = 1e-5;
const ACTIVATION = "gelu";

const PROJECTIONS: ProjectionNames = { query: "q_proj", key: "k_proj", value: "v_proj", output: "o_proj" };

/** Patches along each side of a tile. */
export function tileSide({ imageSize, patchSize }: Llama4Config): number {
  return imageSize / patchSize;
}

/** Patches and class token. */
export function tileTokens(config: Llama4Config): number {
  const side = tileSide(config);
  return side * side + 1;
}

/** Tokens of a tile after the pixel shuffle. */
export function shuffledTokens(config: Llama4Config): number {
  const squares = tileSide(config) / config.shuffle;
  return squares * squares;
}

/** Instances of the blocks. */
export function llama4Layers({ prefix, layers }: Llama4Config): readonly string[] {
  return Array.from({ length: layers }, (_, i) => `${prefix}model.layers.${i}.`);
}

/** pixel_values [batch, channels, image_size, image_size], f32 or u8 with steps -> hidden states after `layernorm_pre`. */
function embed(b: GraphBuilder, config: Llama4Config, steps: ValueSteps | undefined): Node {
  const { hiddenSize: width, imageSize, patchSize, channels } = config;
  const pixels = b.input("pixel_values", [b.dims.batch, channels, imageSize, imageSize], pixelType(steps));
  // The checkpoint keeps the convolution as a matrix over patches.
  const matrix = b.weight("patch_embedding.linear.weight", [width, channels * patchSize * patchSize]);
  const patches = pixelProduct(b, b.patchify(pixels, patchSize, patchSize), matrix, { layout: "planes", steps });
  const token = b.reshape(b.weight("class_embedding", [width]), [1, 1, width]);
  const tokens = b.concat([patches, b.broadcastTo(token, [b.dims.batch, 1, width])], 1);
  const positions = b.weight("positional_embedding_vlm", [tileTokens(config), width]);
  return layerNorm(b, b.add(tokens, positions), "layernorm_pre.", EPS);
}

/** x + attention(norm(x)), then x + mlp(norm(x)); neighbouring elements of queries and keys turn as pairs. */
function block(b: GraphBuilder, x: Node, config: Llama4Config): Node {
  const { heads, hiddenSize, intermediateSize } = config;
  const table = (name: string): Node => b.input(name, [tileTokens(config), hiddenSize / heads / 2]);
  const attended = selfAttention(b, layerNorm(b, x, "input_layernorm.", EPS), "self_attn.", {
    heads,
    names: PROJECTIONS,
    rotary: { cos: table("cos"), sin: table("sin"), interleaved: true },
  });
  const middle = b.add(x, attended);
  const inner = layerNorm(b, middle, "post_attention_layernorm.", EPS);
  return b.add(middle, mlp(b, inner, "mlp.", { intermediateSize, activation: ACTIVATION }));
}

/** Patches after the last norm, squares of them as one token, through two layers that are both activated. */
function adapt(b: GraphBuilder, x: Node, config: Llama4Config): Node {
  const { outputSize: outFeatures, shuffle: factor } = config;
  const side = tileSide(config);
  const squares = side / factor;
  // The norm treats rows alone, so leaving the class token out first gives the same.
  const patches = layerNorm(b, b.slice(x, 1, 0, side * side), "layernorm_post.", EPS);
  const layer = (from: Node, name: string): Node =>
    activation(b, linear(b, from, `vision_adapter.mlp.${name}.`, { outFeatures, bias: false }), ACTIVATION);
  return layer(layer(pixelShuffle(b, patches, { squares, factor }), "fc1"), "fc2");
}

/** The components in the order of their calls. @param tiles most tiles of one run */
export function llama4Components(config: Llama4Config, tiles: number, forms: PixelForms): readonly ComponentSpec[] {
  const { hiddenSize, outputSize, projectedSize, prefix } = config;
  const symbols: Box = { batch: { min: 1, max: tiles } };
  // A small picture is a single tile; anything else comes with its overview.
  const ranges: RangeSpec = { ends: { batch: tiles > 1 ? [1] : [] } };
  const named = (name: string, instances: readonly string[]): Omit<ComponentSpec, "build"> => ({
    tag: `llama4/vision.${name}`,
    symbols,
    ranges,
    instances,
  });
  const part = (name: string, instances: readonly string[], build: (b: GraphBuilder) => void): ComponentSpec => ({
    ...named(name, instances),
    build,
  });
  const hidden = (b: GraphBuilder): Node => b.input("hidden_states", [b.dims.batch, tileTokens(config), hiddenSize]);
  return [
    ...pixelComponents(forms, named("embed", [prefix]), (b, steps) =>
      b.output("hidden_states", embed(b, config, steps)),
    ),
    part("block", llama4Layers(config), (b) => b.output("hidden_states", block(b, hidden(b), config))),
    { ...part("adapt", [prefix], (b) => b.output("last_hidden_state", adapt(b, hidden(b), config))), precise: true },
    ...(projectedSize === undefined
      ? []
      : [
          {
            ...part("project", ["multi_modal_projector."], (b) => {
              const x = b.input("last_hidden_state", [b.dims.batch, shuffledTokens(config), outputSize]);
              const projected = linear(b, x, "linear_1.", { outFeatures: projectedSize, bias: false });
              b.output("projected", b.reshape(projected, [mul(b.dims.batch, shuffledTokens(config)), projectedSize]));
            }),
            precise: true,
          },
        ]),
  ];
}
