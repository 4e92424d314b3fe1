/** What the tower takes, which components run for it, and in which order. */
import type { ComponentCall, Plan, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import {
  examplePatchImages,
  type PatchGrid,
  type PatchImages,
  patchGrid,
  preparePatchImages,
  squaresAlong,
} from "../../runtime/abi/patch_images.ts";
import { type PixelCall, type PixelForms, pixelCall } from "../../runtime/abi/pixels.ts";
import { checkOutputs, hiddenStates, layerCalls, pickResults, planKey } from "../../runtime/abi/plans.ts";
import type { Bindings } from "../../runtime/core/dim.ts";
import { bicubicMatrix } from "../../runtime/media/interpolation.ts";
import type { InternVLConfig } from "./config.ts";
import { internVLComponents, internVLLayers, MAX_PATCHES, MAX_SIDE, tableSide } from "./graphs.ts";

const imagesOf = ({ patchSize, channels }: InternVLConfig): PatchImages => ({
  patchSize,
  channels,
  maxSide: MAX_SIDE,
  maxPatches: MAX_PATCHES,
});

/** Bicubic weights of the position table: `row_weights` [rows, side], `column_weights` [columns, side]. */
function positionWeights({ rows, columns }: PatchGrid, side: number): Tensors {
  return {
    row_weights: { dtype: "f32", shape: [rows, side], data: bicubicMatrix(side, rows) },
    column_weights: { dtype: "f32", shape: [columns, side], data: bicubicMatrix(side, columns) },
  };
}

function planImages(
  config: InternVLConfig,
  known: readonly string[],
  pixels: PixelCall,
  wanted: readonly string[],
): Plan {
  checkOutputs(wanted, known);
  const { prefix, projector, layers } = config;
  const [batch, , height, width] = pixels.shape;
  const grid = patchGrid(imagesOf(config), height, width);
  const dims = { batch, tokens: 1 + grid.rows * grid.columns };
  const constants = config.positions ? positionWeights(grid, tableSide(config)) : {};
  const own = Object.fromEntries(Object.keys(constants).map((name) => [name, name]));
  const last = config.finalNorm ? "last_hidden_state" : hiddenStates(layers);
  const calls: ComponentCall[] = [
    {
      tag: pixels.tag,
      instance: prefix,
      dims: { batch, height, width },
      inputs: { pixel_values: pixels.value, ...own },
      outputs: { hidden_states: hiddenStates(0) },
    },
    ...layerCalls("internvl/vision.block", dims, internVLLayers(config)),
  ];
  if (config.finalNorm) {
    calls.push({
      tag: "internvl/vision.final",
      instance: prefix,
      dims,
      inputs: { hidden_states: hiddenStates(layers) },
      outputs: { last_hidden_state: last },
    });
  }
  if (projector !== undefined && wanted.includes("projected")) {
    calls.push({
      tag: "internvl/vision.project",
      instance: "multi_modal_projector.",
      dims: { batch, squares: squaresAlong(grid, projector.shuffle) },
      inputs: { last_hidden_state: last },
      outputs: { projected: "projected" },
    });
  }
  return {
    key: planKey(`internvl ${pixels.value}`, { batch, height, width }, wanted),
    calls,
    constants,
    results: pickResults(wanted, { last_hidden_state: last, projected: "projected" }),
  };
}

/** Sizes of one image, about square, that becomes so many tokens. */
function imageDims(tokens: number, { patchSize, projector }: InternVLConfig): Bindings {
  const rows = Math.ceil(Math.sqrt(tokens - 1));
  const columns = Math.ceil((tokens - 1) / rows);
  const squares = Math.floor(rows / (projector?.shuffle ?? 1));
  return { batch: 1, tokens, height: rows * patchSize, width: columns * patchSize, squares };
}

/**
 * pixel_values [batch, channels, height, width], f32, or u8 where the forms have it -> last_hidden_state
 * [batch, 1 + patches, hidden_size] and projected [batch, patches / shuffle^2, text hidden_size], which needs square images.
 */
export function internVLTower(config: InternVLConfig, forms: PixelForms): TowerSpec {
  const outputs = [...(config.projector === undefined ? [] : ["projected"]), "last_hidden_state"];
  return {
    modality: "vision",
    components: internVLComponents(config, forms),
    inputs: ["pixel_values"],
    outputs,
    layout: ["num_patches"],
    growth: { symbol: "tokens", dims: (tokens) => imageDims(tokens, config) },
    prepare: (inputs, later) => preparePatchImages(inputs, imagesOf(config), forms, later),
    plan: (shapes, wanted) => planImages(config, outputs, pixelCall("internvl/vision.embed", shapes), wanted),
    exampleSizes: ["size"],
    example: (options) => examplePatchImages(options, config.imageSize, imagesOf(config), forms),
  };
}
