/**
 * Components of Whisper's encoder (Radford et al. 2022, figure 1), of Qwen2-Audio's (Chu et al. 2024, section 2) and of
 * Voxtral's with its projector (Liu et al. 2025, section 2). Weight names are relative to the instance; hidden states are
 * [batch, tokens, width].
 */
import type { ComponentSpec, GraphBuilder, Node } from "../../runtime/abi/encoder.ts";
import type { Box } from "../../runtime/core/dim.ts";
import type { RangeSpec } from "../../runtime/core/range.ts";
import { activation, convolution1d, layerNorm, linear, mlp } from "../../runtime/nn/mod.ts";
import type { VoxtralProjector, WhisperConfig } from "./config.ts";

/** Recordings of one run; larger batches are split by the session. One of 30 seconds is 1500 tokens. */
export const MAX_BATCH = 16;

const BATCH: Box = { batch: { min: 1, max: MAX_BATCH } };
/** A single recording is the common case; its code is chosen for it alone. */
const BY_BATCH: RangeSpec = { ends: { batch: [1] } };

/** PyTorch's default, which no configuration changes. */
const EPS = 1e-5;

/** The second convolution halves time. */
export const FRAMES_PER_TOKEN = 2;

/** Instance of the projector. */
export const PROJECTOR = "multi_modal_projector.";

export function layerInstance(layer: number): string {
  return `layers.${layer}.`;
}

/** input_features [batch, mel bins, frames] -> hidden states: two convolutions with GELU, then positions. */
function stem(b: GraphBuilder, config: WhisperConfig): void {
  const { width, positions, melBins } = config;
  const features = b.input("input_features", [b.dims.batch, melBins, FRAMES_PER_TOKEN * positions]);
  const frames = b.transpose(features, [0, 2, 1]);
  const kernel = { outChannels: width, size: 3, padding: 1 };
  const fine = activation(b, convolution1d(b, frames, "conv1.", { ...kernel, stride: 1 }), "gelu");
  const coarse = activation(b, convolution1d(b, fine, "conv2.", { ...kernel, stride: FRAMES_PER_TOKEN }), "gelu");
  b.output("hidden_states", b.add(coarse, b.weight("embed_positions.weight", [positions, width])));
}

/** Attention whose keys have no bias, as in all checkpoints of these families. */
function attention(b: GraphBuilder, x: Node, config: WhisperConfig, keyMask: Node | undefined): Node {
  const { width, heads } = config;
  const [batch, tokens] = x.shape;
  const project = (name: string, bias: boolean): Node =>
    b.reshape(linear(b, x, `self_attn.${name}.`, { outFeatures: width, bias }), [batch, tokens, heads, width / heads]);
  const mixed = b.attention(
    project("q_proj", true),
    project("k_proj", false),
    project("v_proj", true),
    keyMask === undefined ? {} : { keyMask },
  );
  return linear(b, b.reshape(mixed, [batch, tokens, width]), "self_attn.out_proj.", { outFeatures: width });
}

function block(b: GraphBuilder, x: Node, config: WhisperConfig, keyMask: Node | undefined): Node {
  const middle = b.add(x, attention(b, layerNorm(b, x, "self_attn_layer_norm.", EPS), config, keyMask));
  return b.add(middle, mlp(b, layerNorm(b, middle, "final_layer_norm.", EPS), "", config));
}

/** Averages of tokens 0 and 1, 2 and 3, ...; an odd one at the end is dropped, as PyTorch's AvgPool1d does. */
function averagePairs(b: GraphBuilder, x: Node, { positions, width }: WhisperConfig): Node {
  const pairs = Math.floor(positions / 2);
  const even = b.slice(x, 1, 0, 2 * pairs);
  const rows = b.reshape(even, [b.dims.batch, pairs, 2 * width]);
  return b.mul(b.add(b.slice(rows, 2, 0, width), b.slice(rows, 2, width, 2 * width)), b.constant(0.5));
}

/** last_hidden_state -> [batch, tokens / group, width of the language model]: two layers over the tokens of a group in a row. */
function project(b: GraphBuilder, { positions, width }: WhisperConfig, projector: VoxtralProjector): Node {
  const { group, width: outFeatures } = projector;
  const x = b.input("last_hidden_state", [b.dims.batch, positions, width]);
  const rows = b.reshape(x, [b.dims.batch, positions / group, group * width]);
  const inner = activation(b, linear(b, rows, "linear_1.", { outFeatures, bias: false }), projector.activation);
  return linear(b, inner, "linear_2.", { outFeatures, bias: false });
}

/** The components in the order of their calls; the layers share one. */
export function whisperComponents(config: WhisperConfig): readonly ComponentSpec[] {
  const { width, positions, layers, family, projector } = config;
  const masked = family === "qwen2_audio";
  const part = (tag: string, instances: readonly string[], build: (b: GraphBuilder) => void): ComponentSpec => ({
    tag: `whisper/audio.${tag}`,
    symbols: BATCH,
    ranges: BY_BATCH,
    instances,
    build,
  });
  const hidden = (b: GraphBuilder): Node => b.input("hidden_states", [b.dims.batch, positions, width]);
  return [
    { ...part("stem", [""], (b) => stem(b, config)), precise: true },
    part(
      "block",
      Array.from({ length: layers }, (_, i) => layerInstance(i)),
      (b) => {
        const x = hidden(b);
        const keyMask = masked ? b.input("key_mask", [b.dims.batch, positions]) : undefined;
        b.output("hidden_states", block(b, x, config, keyMask));
      },
    ),
    part("final", [""], (b) => {
      const x = masked ? averagePairs(b, hidden(b), config) : hidden(b);
      b.output("last_hidden_state", layerNorm(b, x, "layer_norm.", EPS));
    }),
    ...(projector === undefined
      ? []
      : [
          {
            ...part("project", [PROJECTOR], (b) => b.output("projected", project(b, config, projector))),
            precise: true,
          },
        ]),
  ];
}
