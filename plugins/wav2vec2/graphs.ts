/**
 * Components of wav2vec 2.0 (Baevski et al. 2020) and HuBERT (Hsu et al. 2021). Weight names are relative to the instance;
 * hidden states are [batch, frames, hidden_size].
 */
import type { ComponentSpec, GraphBuilder, Node } from "../../runtime/abi/encoder.ts";
import { type Box, ceilDiv, type Dim, mul } from "../../runtime/core/dim.ts";
import { activation, convolution1d, layerNorm, linear, mlp, selfAttention } from "../../runtime/nn/mod.ts";
import { samplesOf, type Wav2Vec2Config } from "./config.ts";
import { positionConvolution } from "./position_convolution.ts";

/** Recordings of one run, all of one length; larger requests are split. */
export const MAX_BATCH = 16;
/** Frames of one recording, and of all recordings of a run: ten minutes where a frame is 20 ms. */
export const MAX_FRAMES = 30_000;
/** Frames of a piece of a recording, which has its features without the others. */
export const PIECE_FRAMES = 16;
/** Pieces of one call, about ten seconds: what convolutions leave of them is all that there is of it at a time. */
export const MOST_PIECES = 32;

/** About ten seconds; beyond, attention takes most of the time. */
const FRAME_ENDS = [512];

/** PyTorch's default, which no configuration changes. */
const FEATURE_EPS = 1e-5;

const MLP_NAMES = ["intermediate_dense", "output_dense"] as const;

/** Pieces of a recording. */
export const piecesOf = (frames: number): number => Math.ceil(frames / PIECE_FRAMES);

export function layerInstance(layer: number): string {
  return `encoder.layers.${layer}.`;
}

/** What `moments` [pieces, size + 1, size] of moments.ts make of the first convolution x [pieces, steps, channels]. */
function normalizeChannels(b: GraphBuilder, x: Node, config: Wav2Vec2Config): Node {
  const [{ size, channels }] = config.convolutions;
  const { pieces } = b.dims;
  const filters = b.reshape(b.weight("conv_layers.0.conv.weight", [channels, 1, size]), [channels, size]);
  const filtered = b.matmul(b.input("moments", [pieces, size + 1, size]), filters, { transposeB: true });
  const roots = b.transpose(b.slice(filtered, 1, 0, size), [0, 2, 1]);
  const variance = b.reshape(b.unary("reduce_sum", b.mul(roots, roots)), [pieces, 1, channels]);
  const parameter = (name: string): Node => b.weight(`conv_layers.0.layer_norm.${name}`, [channels]);
  const scale = b.mul(b.unary("rsqrt", b.add(variance, b.constant(FEATURE_EPS))), parameter("weight"));
  const shift = b.sub(parameter("bias"), b.mul(b.slice(filtered, 1, size, size + 1), scale));
  return b.add(b.mul(x, scale), shift);
}

/** Samples [pieces, those of a piece] -> features [pieces, frames of a piece, channels of the last convolution]. */
function features(b: GraphBuilder, config: Wav2Vec2Config): Node {
  const { convolutions, convolutionBias, featureNorm } = config;
  const samples = samplesOf(config, PIECE_FRAMES);
  const wave = b.input("input_values", [b.dims.pieces, samples]);
  return convolutions.reduce(
    (x, { channels: outChannels, size, stride }, i) => {
      const grouped = featureNorm === "group" && i === 0;
      // A bias that is the same for all steps does not outlive a norm over them.
      const kernel = { outChannels, size, stride, padding: 0, bias: convolutionBias && !grouped };
      const seen = convolution1d(b, x, `conv_layers.${i}.conv.`, kernel);
      const normed = featureNorm === "layer" ? layerNorm(b, seen, `conv_layers.${i}.layer_norm.`, FEATURE_EPS) : seen;
      return activation(b, grouped ? normalizeChannels(b, normed, config) : normed, config.featureActivation);
    },
    b.reshape(wave, [b.dims.pieces, samples, 1]),
  );
}

/** Features of pieces behind those of the calls before. */
function join(b: GraphBuilder, { convolutions }: Wav2Vec2Config): Node {
  const { channels } = convolutions[convolutions.length - 1];
  const of = (name: string, pieces: Dim): Node => b.input(name, [pieces, PIECE_FRAMES, channels]);
  return b.concat([of("joined", b.dims.before), of("features", b.dims.pieces)], 0);
}

/** Features of the pieces of all recordings -> hidden states of their frames, with positions. */
function embed(b: GraphBuilder, config: Wav2Vec2Config): Node {
  const { batch, frames } = b.dims;
  const { channels } = config.convolutions[config.convolutions.length - 1];
  const pieces = ceilDiv(frames, PIECE_FRAMES);
  const given = b.input("joined", [mul(batch, pieces), PIECE_FRAMES, channels]);
  const all = b.reshape(given, [batch, mul(pieces, PIECE_FRAMES), channels]);
  const own = b.slice(all, 1, 0, frames);
  const normed = config.projectionNorm ? layerNorm(b, own, "feature_projection.layer_norm.", config.eps) : own;
  const projected = linear(b, normed, "feature_projection.projection.", { outFeatures: config.hiddenSize });
  const placed = b.add(projected, positionConvolution(b, projected, "encoder.pos_conv_embed.conv.", config));
  return config.preNorm ? placed : layerNorm(b, placed, "encoder.layer_norm.", config.eps);
}

/** Pre-norm (`do_stable_layer_norm`): x + attention(norm(x)), then x + mlp(norm(x)); else the norms of both sums. */
function block(b: GraphBuilder, x: Node, config: Wav2Vec2Config): Node {
  const { heads, intermediateSize, preNorm, eps } = config;
  const attend = (value: Node): Node => selfAttention(b, value, "attention.", { heads });
  const perceptron = (value: Node): Node =>
    mlp(b, value, "feed_forward.", { intermediateSize, activation: config.activation, names: MLP_NAMES });
  const first = (value: Node): Node => layerNorm(b, value, "layer_norm.", eps);
  const second = (value: Node): Node => layerNorm(b, value, "final_layer_norm.", eps);
  if (preNorm) {
    const middle = b.add(x, attend(first(x)));
    return b.add(middle, perceptron(second(middle)));
  }
  const middle = first(b.add(x, attend(x)));
  return second(b.add(middle, perceptron(middle)));
}

/** The components in the order of their calls; the layers share one. */
export function wav2vec2Components(config: Wav2Vec2Config): readonly ComponentSpec[] {
  // The last piece of each recording may be a frame alone.
  const most = piecesOf(MAX_FRAMES) + MAX_BATCH;
  const symbols: Box = { batch: { min: 1, max: MAX_BATCH }, frames: { min: 1, max: MAX_FRAMES } };
  const hidden = (b: GraphBuilder): Node => b.input("hidden_states", [b.dims.batch, b.dims.frames, config.hiddenSize]);
  const components: ComponentSpec[] = [
    {
      tag: "wav2vec2/audio.features",
      precise: true,
      symbols: { pieces: { min: 1, max: MOST_PIECES } },
      instances: ["feature_extractor."],
      build: (b) => b.output("features", features(b, config)),
    },
    {
      tag: "wav2vec2/audio.join",
      symbols: { before: { min: 1, max: most - 1 }, pieces: { min: 1, max: MOST_PIECES } },
      instances: [""],
      build: (b) => b.output("joined", join(b, config)),
    },
    {
      tag: "wav2vec2/audio.embed",
      precise: true,
      symbols,
      instances: [""],
      build: (b) => b.output("hidden_states", embed(b, config)),
    },
    {
      tag: "wav2vec2/audio.block",
      symbols,
      ranges: { ends: { frames: FRAME_ENDS } },
      instances: Array.from({ length: config.layers }, (_, i) => layerInstance(i)),
      build: (b) => b.output("hidden_states", block(b, hidden(b), config)),
    },
  ];
  if (config.preNorm) {
    components.push({
      tag: "wav2vec2/audio.final",
      symbols,
      instances: ["encoder."],
      build: (b) => b.output("last_hidden_state", layerNorm(b, hidden(b), "layer_norm.", config.eps)),
    });
  }
  return components;
}
