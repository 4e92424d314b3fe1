/** Which components run for a geometry and the wanted outputs, and in which order. */
import type { ComponentCall, Plan, TowerSpec } from "../../runtime/abi/encoder.ts";
import { type PixelForms, pixelCall } from "../../runtime/abi/pixels.ts";
import { checkOutputs, hiddenStates, layerCalls, pickResults, planKey } from "../../runtime/abi/plans.ts";
import type { Bindings } from "../../runtime/core/dim.ts";
import type { PixtralConfig } from "./config.ts";
import { pixtralComponents, pixtralLayers } from "./graphs.ts";
import { exampleImages, prepareImages, splitImages } from "./inputs.ts";

type Shapes = Readonly<Record<string, readonly number[]>>;

function planImages(config: PixtralConfig, known: readonly string[], shapes: Shapes, wanted: readonly string[]): Plan {
  checkOutputs(wanted, known);
  const { prefix, layers, projector } = config;
  const pixels = pixelCall("pixtral/vision.embed", shapes);
  const [images, , height, width] = pixels.shape;
  const [patches] = shapes.patch_index;
  const [longest_segment] = shapes.longest_segment;
  const last = hiddenStates(layers);
  const calls: ComponentCall[] = [
    {
      tag: pixels.tag,
      instance: prefix,
      dims: { images, height, width, patches },
      inputs: { pixel_values: pixels.value, patch_index: "patch_index" },
      outputs: { hidden_states: hiddenStates(0) },
    },
    ...layerCalls("pixtral/vision.block", { segments: images, longest_segment, patches }, pixtralLayers(config), {
      cos: "cos",
      sin: "sin",
      cu_seqlens: "cu_seqlens",
    }),
  ];
  if (projector !== undefined && wanted.includes("projected")) {
    const merges = projector.merge !== undefined;
    calls.push({
      tag: "pixtral/vision.project",
      instance: "multi_modal_projector.",
      dims: merges ? { patches, tokens: shapes.merge_index[0] } : { patches },
      inputs: { last_hidden_state: last, ...(merges ? { merge_index: "merge_index" } : {}) },
      outputs: { projected: "projected" },
    });
  }
  return {
    key: planKey(`pixtral ${pixels.value}`, { images, height, width, patches, longest_segment }, wanted),
    calls,
    constants: {},
    results: pickResults(wanted, { last_hidden_state: last, projected: "projected" }),
  };
}

/** Sizes of one image, about square, of so many patches. */
function imageDims(patches: number, { patchSize, projector }: PixtralConfig): Bindings {
  const columns = Math.ceil(Math.sqrt(patches));
  const square = projector?.merge?.size ?? 1;
  return {
    images: 1,
    height: Math.ceil(patches / columns) * patchSize,
    width: columns * patchSize,
    patches,
    segments: 1,
    longest_segment: patches,
    tokens: Math.floor(patches / (square * square)),
  };
}

/**
 * pixel_values [images, channels, height, width], f32, or u8 where the forms have it, and image_sizes i32 [images, 2] ->
 * last_hidden_state [1, patches, hidden_size] and projected [tokens, text hidden_size], image by image, without the
 * padding's patches.
 */
export function pixtralTower(config: PixtralConfig, forms: PixelForms): TowerSpec {
  const outputs = [...(config.projector === undefined ? [] : ["projected"]), "last_hidden_state"];
  return {
    modality: "vision",
    components: pixtralComponents(config, forms),
    inputs: ["pixel_values", "image_sizes"],
    outputs,
    layout: ["image_sizes"],
    split: (inputs, limit) => splitImages(inputs, limit, config),
    growth: { symbol: "patches", dims: (patches) => imageDims(patches, config) },
    joinAxes: { last_hidden_state: 1 },
    prepare: (inputs, later) => prepareImages(inputs, config, forms, later),
    plan: (shapes, wanted) => planImages(config, outputs, shapes, wanted),
    exampleSizes: ["size"],
    example: (options) => exampleImages(options, config, forms),
  };
}
