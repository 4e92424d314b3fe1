/** Which components run for a geometry and the wanted outputs, and in which order. */
import type { ComponentCall, Plan, TowerSpec } from "../../runtime/abi/encoder.ts";
import { type PixelForms, pixelCall } from "../../runtime/abi/pixels.ts";
import { checkOutputs, hiddenStates, pickResults, planKey } from "../../runtime/abi/plans.ts";
import type { QwenVisionConfig } from "./config.ts";
import { axisFrequencies } from "./geometry.ts";
import { deepstackMergers, framesTag, MAX_PATCHES, qwenComponents, qwenLayers, stillWidth } from "./graphs.ts";
import { examplePatches, preparePatches, QWEN_INPUTS, splitPatches } from "./inputs.ts";

type Shapes = Readonly<Record<string, readonly number[]>>;

const same = (names: readonly string[]): Record<string, string> => Object.fromEntries(names.map((n) => [n, n]));

const deepstackOutput = (i: number): string => `deepstack_features.${i}`;

/** What blocks take beside hidden states, and the sizes of their segments. */
interface Segments {
  readonly inputs: Readonly<Record<string, string>>;
  readonly dims: { readonly segments: number; readonly longest_segment: number };
}

function segmentsOf(shapes: Shapes, offsets: string, longest: string): Segments {
  return {
    inputs: { ...same(["cos", "sin"]), cu_seqlens: offsets },
    dims: { segments: shapes[offsets][0] - 1, longest_segment: shapes[longest][0] },
  };
}

function planPatches(
  config: QwenVisionConfig,
  known: readonly string[],
  shapes: Shapes,
  wanted: readonly string[],
): Plan {
  checkOutputs(wanted, known);
  const { family, windows, positionSide, deepstack } = config;
  const pixels = pixelCall(`${family}/vision.embed`, shapes);
  const [patches, width] = pixels.shape;
  const dims = { patches };
  const frames = segmentsOf(shapes, "cu_seqlens", "longest_segment");
  const own = windows === undefined ? frames : segmentsOf(shapes, "cu_window_seqlens", "longest_window");
  const blocks = qwenLayers(config).map((instance, layer): ComponentCall => {
    const { inputs, dims: sizes } = windows?.fullLayers.includes(layer) === true ? frames : own;
    return {
      tag: `${family}/vision.block`,
      instance,
      dims: { ...dims, ...sizes },
      inputs: { hidden_states: hiddenStates(layer), ...inputs },
      outputs: { hidden_states: hiddenStates(layer + 1) },
    };
  });
  const mergers = deepstackMergers(config);
  const last = hiddenStates(config.layers);
  const embedInputs = [
    ...(windows === undefined ? [] : ["window_index"]),
    ...(positionSide === undefined ? [] : ["position_index", "position_weights"]),
  ];
  return {
    key: planKey(
      `${family} ${pixels.value}`,
      { ...dims, width, ...frames.dims, windows: own.dims.segments, window: own.dims.longest_segment },
      wanted,
    ),
    calls: [
      {
        tag: pixels.bytes && width !== stillWidth(config) ? framesTag(config) : pixels.tag,
        instance: "",
        dims,
        inputs: { patches: pixels.value, ...same(embedInputs) },
        outputs: { hidden_states: hiddenStates(0) },
      },
      ...blocks,
      ...deepstack.flatMap(({ layer }, i): ComponentCall[] =>
        wanted.includes(deepstackOutput(i))
          ? [
              {
                tag: `${family}/vision.deepstack`,
                instance: mergers[i],
                dims,
                inputs: { hidden_states: hiddenStates(layer + 1) },
                outputs: { deepstack_features: deepstackOutput(i) },
              },
            ]
          : [],
      ),
      ...(wanted.includes("pooler_output")
        ? [
            {
              tag: `${family}/vision.merge`,
              instance: "merger.",
              dims,
              inputs: { hidden_states: last, ...same(windows === undefined ? [] : ["reverse_index"]) },
              outputs: same(["pooler_output"]),
            },
          ]
        : []),
    ],
    constants: {},
    results: pickResults(wanted, { ...same(known), last_hidden_state: last }),
  };
}

/**
 * Patches [patches, channels * temporal_patch_size * patch_size ^ 2], f32, or u8 where the forms have it, then also
 * [patches, channels * patch_size ^ 2] of still images, and grids [images, 3] of all images and videos -> pooler_output [patches / merge_size ^ 2, out_hidden_size] in the order of the patches, deepstack_features.i of the same
 * shape, last_hidden_state [patches, hidden_size] (in the order of windows where the model has them, as in transformers).
 */
export function qwenTower(config: QwenVisionConfig, maxPatches: number, forms: PixelForms): TowerSpec {
  const outputs = ["pooler_output", ...config.deepstack.map((_, i) => deepstackOutput(i)), "last_hidden_state"];
  const { hiddenSize, heads, theta, bfloat16Frequencies } = config;
  const frequencies = axisFrequencies(hiddenSize / heads / 4, theta, bfloat16Frequencies);
  return {
    modality: "vision",
    components: qwenComponents(config, maxPatches, forms),
    inputs: QWEN_INPUTS,
    outputs,
    layout: ["image_grid_thw", "video_grid_thw"],
    split: (inputs, limit) => splitPatches(inputs, Math.min(limit, maxPatches), config, forms),
    growth: {
      symbol: "patches",
      bound: maxPatches < MAX_PATCHES ? "max_pixels of the processor" : "the largest that processors make",
      dims: (patches) => ({ patches, segments: 1, longest_segment: patches }),
    },
    prepare: (inputs, later) => preparePatches(inputs, config, { maxPatches, frequencies, forms }, later),
    plan: (shapes, wanted) => planPatches(config, outputs, shapes, wanted),
    exampleSizes: ["grid", "size"],
    example: (options) => examplePatches(options, config, forms, maxPatches),
  };
}
