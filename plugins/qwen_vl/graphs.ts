/**
 * Components of the vision towers of Qwen2-VL (Wang et al. 2024), Qwen2.5-VL (Bai et al. 2025) and Qwen3-VL (2025). The
 * patches of all images of a run lie in one row, [patches, width], and segments tell them apart. Weight names are relative
 * to the instance, whose prefix ends with its dot.
 *
 * Whether a block looks at windows or at whole frames is said by its segments alone: both share a structure.
 */
import type { ComponentSpec, GraphBuilder, Node } from "../../runtime/abi/encoder.ts";
import { type PixelForms, pixelComponents, pixelType } from "../../runtime/abi/pixels.ts";
import { add, type Box, mul, symbol } from "../../runtime/core/dim.ts";
import type { RangeSpec } from "../../runtime/core/range.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import { activation, gatedMlp, layerNorm, linear, mlp, pixelProduct, rmsNorm } from "../../runtime/nn/mod.ts";
import type { QwenVisionConfig } from "./config.ts";

/** Patches of one run: what published processors allow for one image. */
export const MAX_PATCHES = 65536;

const EPS = 1e-6;

/** What the checkpoints of a family call the layers of their perceptrons. */
const NAMES = {
  qwen2_vl: { mlp: ["fc1", "fc2"], norm: "ln_q.", merger: ["mlp.0.", "mlp.2."] },
  qwen2_5_vl: { mlp: [], norm: "ln_q.", merger: ["mlp.0.", "mlp.2."] },
  qwen3_vl: { mlp: ["linear_fc1", "linear_fc2"], norm: "norm.", merger: ["linear_fc1.", "linear_fc2."] },
} as const;

/** Patches of a merge block. */
export function unitPatches({ mergeSize }: QwenVisionConfig): number {
  return mergeSize * mergeSize;
}

/** Values of a patch: channels, frames, rows, columns. */
export function patchWidth({ channels, temporalPatchSize, patchSize }: QwenVisionConfig): number {
  return channels * temporalPatchSize * patchSize * patchSize;
}

/** Values of a patch of a still image, whose frames are all the same. */
export function stillWidth({ channels, patchSize }: QwenVisionConfig): number {
  return channels * patchSize * patchSize;
}

/** The component that embeds frames of bytes, beside that for still images. */
export function framesTag({ family }: QwenVisionConfig): string {
  return `${family}/vision.embed_frames_u8`;
}

/** Instances of the blocks. */
export function qwenLayers({ layers }: QwenVisionConfig): readonly string[] {
  return Array.from({ length: layers }, (_, i) => `blocks.${i}.`);
}

/** Instances of DeepStack's mergers, in the order of their layers. */
export function deepstackMergers({ deepstack }: QwenVisionConfig): readonly string[] {
  return deepstack.map(({ merger }) => `deepstack_merger_list.${merger}.`);
}

function norm(b: GraphBuilder, x: Node, prefix: string, { family }: QwenVisionConfig): Node {
  return family === "qwen2_5_vl" ? rmsNorm(b, x, prefix, EPS) : layerNorm(b, x, prefix, EPS);
}

/** Learned positions of every patch [patches, hidden_size], interpolated between four rows of their table. */
function learnedPositions(b: GraphBuilder, side: number, width: number): Node {
  const { patches } = b.dims;
  const table = b.weight("pos_embed.weight", [side * side, width]);
  const corners = b.gather(table, b.input("position_index", [4, patches], "i32"));
  const weights = b.input("position_weights", [4, patches]);
  const corner = (at: number): Node => {
    const own = (values: Node, size: number): Node => b.reshape(b.slice(values, 0, at, at + 1), [patches, size]);
    return b.mul(own(corners, width), own(weights, 1));
  };
  return b.add(b.add(corner(0), corner(1)), b.add(corner(2), corner(3)));
}

/** How patches come: bytes have steps that normalise them; still ones have one frame instead of equal ones. */
interface PatchForm {
  readonly steps: ValueSteps | undefined;
  readonly still: boolean;
}

/** The convolution's weight as rows over a patch; for still patches those of all frames are summed. */
function patchWeight(b: GraphBuilder, config: QwenVisionConfig, still: boolean): Node {
  const { hiddenSize: width, channels, temporalPatchSize, patchSize } = config;
  const kernel = b.weight("patch_embed.proj.weight", [width, channels, temporalPatchSize, patchSize, patchSize]);
  if (!still) return b.reshape(kernel, [width, patchWidth(config)]);
  const frames = Array.from({ length: temporalPatchSize }, (_, t) => b.slice(kernel, 2, t, t + 1));
  return b.reshape(frames.reduce(b.add), [width, stillWidth(config)]);
}

/** patches [patches, patch width or that of still ones] -> hidden states, in the order of windows where there are any. */
function embed(b: GraphBuilder, config: QwenVisionConfig, { steps, still }: PatchForm): Node {
  const { hiddenSize: width, positionSide } = config;
  const { patches } = b.dims;
  const values = still ? stillWidth(config) : patchWidth(config);
  const product = pixelProduct(
    b,
    b.input("patches", [patches, values], pixelType(steps)),
    patchWeight(b, config, still),
    { layout: "planes", steps },
  );
  if (config.windows !== undefined) return b.gather(product, b.input("window_index", [patches], "i32"));
  if (positionSide === undefined) return product;
  const biased = b.add(product, b.weight("patch_embed.proj.bias", [width]));
  return b.add(biased, learnedPositions(b, positionSide, width));
}

/** Self-attention whose query, key and value projections are stored as one. */
function attend(b: GraphBuilder, x: Node, { hiddenSize: width, heads }: QwenVisionConfig): Node {
  const { patches, segments, longest_segment } = b.dims;
  const headDim = width / heads;
  const all = b.reshape(linear(b, x, "attn.qkv.", { outFeatures: 3 * width }), [1, patches, 3, heads, headDim]);
  const third = (at: number): Node => b.reshape(b.slice(all, 2, at, at + 1), [1, patches, heads, headDim]);
  const [cos, sin] = ["cos", "sin"].map((name) => b.input(name, [patches, headDim / 2]));
  const mixed = b.attention(b.rotary(third(0), cos, sin), b.rotary(third(1), cos, sin), third(2), {
    cuSeqlens: b.input("cu_seqlens", [add(segments, 1)], "i32"),
    longestSegment: longest_segment,
  });
  return linear(b, b.reshape(mixed, [patches, width]), "attn.proj.", { outFeatures: width });
}

/** x + attention(norm1(x)), then x + mlp(norm2(x)). */
function block(b: GraphBuilder, x: Node, config: QwenVisionConfig): Node {
  const { family } = config;
  const middle = b.add(x, attend(b, norm(b, x, "norm1.", config), config));
  const ready = norm(b, middle, "norm2.", config);
  const [first, second] = NAMES[family].mlp;
  const mixed =
    first === undefined
      ? gatedMlp(b, ready, "mlp.", config)
      : mlp(b, ready, "mlp.", { ...config, names: [first, second] });
  return b.add(middle, mixed);
}

/** hidden states [patches, hidden_size] -> [patches / merge block, out_hidden_size]; the norm comes before or after merging. */
function merge(b: GraphBuilder, x: Node, config: QwenVisionConfig, normFirst: boolean): Node {
  const { family, hiddenSize, outHiddenSize } = config;
  const names = NAMES[family];
  const unit = unitPatches(config);
  const width = unit * hiddenSize;
  const joined = (values: Node): Node => {
    const blocks = b.windows(values, 0, unit, unit);
    return b.reshape(blocks, [blocks.shape[0], width]);
  };
  const ready = normFirst ? joined(norm(b, x, names.norm, config)) : norm(b, joined(x), names.norm, config);
  const inner = activation(b, linear(b, ready, names.merger[0], { outFeatures: width }), "gelu");
  return linear(b, inner, names.merger[1], { outFeatures: outHiddenSize });
}

/** The components in the order of their first calls. @param maxPatches of one run */
export function qwenComponents(
  config: QwenVisionConfig,
  maxPatches: number,
  forms: PixelForms,
): readonly ComponentSpec[] {
  const { family, hiddenSize, windows } = config;
  const unit = unitPatches(config);
  const patches: Box = { patches: { min: unit, max: maxPatches, multipleOf: unit } };
  const segmented: Box = {
    ...patches,
    segments: { min: 1, max: maxPatches / unit },
    longest_segment: { min: unit, max: maxPatches, multipleOf: unit },
  };
  const windowPatches = windows === undefined ? maxPatches : windows.side * windows.side * unit;
  const bySegment: RangeSpec = windowPatches < maxPatches ? { ends: { longest_segment: [windowPatches] } } : {};
  const hidden = (b: GraphBuilder): Node => b.input("hidden_states", [b.dims.patches, hiddenSize]);
  const mergers = deepstackMergers(config);
  const embedding = { symbols: patches, instances: [""] };
  return [
    ...pixelComponents(forms, { ...embedding, tag: `${family}/vision.embed` }, (b, steps) =>
      b.output("hidden_states", embed(b, config, { steps, still: steps !== undefined })),
    ),
    ...(forms.steps === undefined || config.temporalPatchSize === 1
      ? []
      : [
          {
            ...{ ...embedding, tag: framesTag(config), lazy: true, precise: true },
            build: (b: GraphBuilder): void =>
              b.output("hidden_states", embed(b, config, { steps: forms.steps, still: false })),
          },
        ]),
    {
      tag: `${family}/vision.block`,
      symbols: segmented,
      ranges: bySegment,
      relations: [
        ["longest_segment", "<=", "patches"],
        [mul(unit, symbol("segments")), "<=", "patches"],
      ],
      instances: qwenLayers(config),
      build: (b) => b.output("hidden_states", block(b, hidden(b), config)),
    },
    ...(mergers.length === 0
      ? []
      : [
          {
            tag: `${family}/vision.deepstack`,
            precise: true,
            symbols: patches,
            instances: mergers,
            build: (b: GraphBuilder) => b.output("deepstack_features", merge(b, hidden(b), config, false)),
          },
        ]),
    {
      tag: `${family}/vision.merge`,
      precise: true,
      symbols: patches,
      instances: ["merger."],
      build: (b) => {
        const merged = merge(b, hidden(b), config, true);
        const [units] = merged.shape;
        const inOrder = windows === undefined ? merged : b.gather(merged, b.input("reverse_index", [units], "i32"));
        b.output("pooler_output", inOrder);
      },
    },
  ];
}
