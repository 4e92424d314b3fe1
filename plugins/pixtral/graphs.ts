/**
 * Components of Pixtral's vision tower (Agrawal et al. 2024). Images of any size lie one behind the other, and a patch sees
 * those of its own image. Weight names are relative to the instance, whose prefix ends with its dot; shapes of hidden states
 * are [1, patches, hidden_size]. All layers share one artifact per range.
 */
import type { ComponentSpec, GraphBuilder, Node } from "../../runtime/abi/encoder.ts";
import { type PixelForms, pixelComponents, pixelType } from "../../runtime/abi/pixels.ts";
import { add, type Box, floorDiv, mul } from "../../runtime/core/dim.ts";
import type { RangeSpec } from "../../runtime/core/range.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import { gatedMlp, mlp, type ProjectionNames, pixelProduct, rmsNorm, selfAttention } from "../../runtime/nn/mod.ts";
import type { PixtralConfig, PixtralProjectorConfig } from "./config.ts";

/** Images of one run; larger requests are split by the session. */
export const MAX_IMAGES = 256;
/** Patches of all images of one run: 16 of 1024 x 1024 pixels where patches have 16. */
export const MAX_PATCHES = 65_536;
/** Patches along a side. */
export const MAX_SIDE = 1024;

/** 512 and 1024 pixels square where patches have 16; beyond lie several images. */
const BY_PATCHES: RangeSpec = { ends: { patches: [1024, 4096] } };

/** Of every norm of the tower. */
const EPS = 1e-5;

const PROJECTIONS: ProjectionNames = { query: "q_proj", key: "k_proj", value: "v_proj", output: "o_proj" };

/** Instances of the blocks. */
export function pixtralLayers({ prefix, layers }: PixtralConfig): readonly string[] {
  return Array.from({ length: layers }, (_, i) => `${prefix}transformer.layers.${i}.`);
}

/**
 * pixel_values [images, channels, height, width], f32 or u8 with steps, and patch_index [patches] -> hidden states after
 * `ln_pre`.
 */
function embed(b: GraphBuilder, config: PixtralConfig, steps: ValueSteps | undefined): Node {
  const { hiddenSize, patchSize, channels } = config;
  const { images, height: h, width: w, patches } = b.dims;
  const [rows, columns] = [floorDiv(h, patchSize), floorDiv(w, patchSize)];
  const pixels = b.input("pixel_values", [images, channels, h, w], pixelType(steps));
  const whole = b.slice(b.slice(pixels, 2, 0, mul(rows, patchSize)), 3, 0, mul(columns, patchSize));
  const values = channels * patchSize * patchSize;
  const all = b.reshape(b.patchify(whole, patchSize, patchSize), [mul(images, rows, columns), values]);
  // Padding is left out before it costs a product.
  const own = b.gather(all, b.input("patch_index", [patches], "i32"));
  const kernel = b.weight("patch_conv.weight", [hiddenSize, channels, patchSize, patchSize]);
  const embedded = pixelProduct(b, own, b.reshape(kernel, [hiddenSize, values]), { layout: "planes", steps });
  return b.reshape(rmsNorm(b, embedded, "ln_pre.", EPS), [1, patches, hiddenSize]);
}

/** x + attention(norm(x)), then x + mlp(norm(x)). */
function block(b: GraphBuilder, x: Node, config: PixtralConfig): Node {
  const { heads, hiddenSize, intermediateSize } = config;
  const { segments, longest_segment: longestSegment, patches } = b.dims;
  const table = (name: string): Node => b.input(name, [patches, hiddenSize / heads / 2]);
  const attended = selfAttention(b, rmsNorm(b, x, "attention_norm.", EPS), "attention.", {
    heads,
    names: PROJECTIONS,
    bias: false,
    rotary: { cos: table("cos"), sin: table("sin") },
    cuSeqlens: b.input("cu_seqlens", [add(segments, 1)], "i32"),
    longestSegment,
  });
  const middle = b.add(x, attended);
  const inner = rmsNorm(b, middle, "ffn_norm.", EPS);
  const options = { intermediateSize, activation: config.activation, bias: false };
  return b.add(middle, gatedMlp(b, inner, "feed_forward.", options));
}

/** Normalised patches, squares of them through one layer: [patches, width] and merge_index [tokens, size^2] -> [tokens, width]. */
function merge(b: GraphBuilder, x: Node, width: number, { size, eps }: { size: number; eps: number }): Node {
  const squares = b.gather(rmsNorm(b, x, "norm.", eps), b.input("merge_index", [b.dims.tokens, size * size], "i32"));
  // The checkpoint's columns go channel by channel, a square's patches side by side; ours patch by patch.
  const stored = b.weight("patch_merger.merging_layer.weight", [width, width * size * size]);
  const byPatch = b.transpose(b.reshape(stored, [width, width, size * size]), [0, 2, 1]);
  const weight = b.reshape(byPatch, [width, size * size * width]);
  return b.matmul(b.reshape(squares, [b.dims.tokens, size * size * width]), weight, { transposeB: true });
}

function project(b: GraphBuilder, config: PixtralConfig, projector: PixtralProjectorConfig): Node {
  const { hiddenSize: width } = config;
  const { patches } = b.dims;
  const { bias, size } = projector;
  const x = b.reshape(b.input("last_hidden_state", [1, patches, width]), [patches, width]);
  const tokens = projector.merge === undefined ? x : merge(b, x, width, projector.merge);
  const names = ["linear_1", "linear_2"] as const;
  return mlp(b, tokens, "", {
    intermediateSize: size,
    outFeatures: size,
    activation: projector.activation,
    bias,
    names,
  });
}

/** The components in the order of their calls. */
export function pixtralComponents(config: PixtralConfig, forms: PixelForms): readonly ComponentSpec[] {
  const { hiddenSize: width, patchSize, prefix, projector } = config;
  const images = { min: 1, max: MAX_IMAGES };
  const pixels = { min: patchSize, max: MAX_SIDE * patchSize };
  const patches = { min: 1, max: MAX_PATCHES };
  const square = projector?.merge === undefined ? 0 : projector.merge.size * projector.merge.size;
  const merged: Box =
    square === 0
      ? { patches }
      : {
          patches: { min: square, max: MAX_PATCHES - (MAX_PATCHES % square), multipleOf: square },
          tokens: { min: 1, max: Math.floor(MAX_PATCHES / square) },
        };
  return [
    ...pixelComponents(
      forms,
      {
        tag: "pixtral/vision.embed",
        symbols: { images, height: pixels, width: pixels, patches },
        instances: [prefix],
      },
      (b, steps) => b.output("hidden_states", embed(b, config, steps)),
    ),
    {
      tag: "pixtral/vision.block",
      symbols: { segments: images, longest_segment: patches, patches },
      ranges: BY_PATCHES,
      relations: [
        ["longest_segment", "<=", "patches"],
        ["segments", "<=", "patches"],
      ],
      instances: pixtralLayers(config),
      build: (b) => {
        const x = b.input("hidden_states", [1, b.dims.patches, width]);
        b.output("hidden_states", block(b, x, config));
      },
    },
    ...(projector === undefined
      ? []
      : [
          {
            tag: "pixtral/vision.project",
            precise: true,
            symbols: merged,
            instances: ["multi_modal_projector."],
            build: (b: GraphBuilder): void => b.output("projected", project(b, config, projector)),
          },
        ]),
  ];
}
