/** What the tower takes, which components run for it, and in which order. */
import type { ComponentCall, Plan, TowerSpec } from "../../runtime/abi/encoder.ts";
import {
  examplePatchImages,
  type PatchImages,
  patchGrid,
  preparePatchImages,
  squaresAlong,
} from "../../runtime/abi/patch_images.ts";
import { type PixelCall, type PixelForms, pixelCall } from "../../runtime/abi/pixels.ts";
import { checkOutputs, hiddenStates, layerCalls, pickResults, planKey } from "../../runtime/abi/plans.ts";
import type { Bindings } from "../../runtime/core/dim.ts";
import type { Idefics3Config } from "./config.ts";
import { CONNECTOR, idefics3Components, idefics3Layers, MAX_PATCHES, MAX_SIDE, TOWER, tableSide } from "./graphs.ts";
import { positionIds } from "./positions.ts";

const tilesOf = ({ patchSize, channels }: Idefics3Config): PatchImages => ({
  patchSize,
  channels,
  maxSide: MAX_SIDE,
  maxPatches: MAX_PATCHES,
});

function planTiles(
  config: Idefics3Config,
  known: readonly string[],
  pixels: PixelCall,
  wanted: readonly string[],
): Plan {
  checkOutputs(wanted, known);
  const { connector, layers } = config;
  const [batch, , height, width] = pixels.shape;
  const grid = patchGrid(tilesOf(config), height, width);
  const tokens = grid.rows * grid.columns;
  const dims = { batch, tokens };
  const last = "last_hidden_state";
  const calls: ComponentCall[] = [
    {
      tag: pixels.tag,
      instance: TOWER,
      dims: { batch, height, width },
      inputs: { pixel_values: pixels.value, position_ids: "position_ids" },
      outputs: { hidden_states: hiddenStates(0) },
    },
    ...layerCalls("idefics3/vision.block", dims, idefics3Layers(config)),
    {
      tag: "idefics3/vision.final",
      instance: TOWER,
      dims,
      inputs: { hidden_states: hiddenStates(layers) },
      outputs: { [last]: last },
    },
  ];
  if (connector !== undefined && wanted.includes("projected")) {
    calls.push({
      tag: "idefics3/vision.project",
      instance: CONNECTOR,
      dims: { batch, squares: squaresAlong(grid, connector.shuffle) },
      inputs: { [last]: last },
      outputs: { projected: "projected" },
    });
  }
  return {
    key: planKey(`idefics3 ${pixels.value}`, { batch, height, width }, wanted),
    calls,
    constants: {
      position_ids: { dtype: "i32", shape: [tokens], data: positionIds(grid, tableSide(config)) },
    },
    results: pickResults(wanted, { [last]: last, projected: "projected" }),
  };
}

/** Sizes of one tile, about square, that becomes so many tokens. */
function tileDims(tokens: number, { patchSize, connector }: Idefics3Config): Bindings {
  const rows = Math.ceil(Math.sqrt(tokens));
  const columns = Math.ceil(tokens / rows);
  const squares = Math.max(1, Math.floor(rows / (connector?.shuffle ?? 1)));
  return { batch: 1, tokens, height: rows * patchSize, width: columns * patchSize, squares };
}

/**
 * pixel_values [tiles, channels, height, width], f32, or u8 where the forms have it -> last_hidden_state
 * [tiles, patches, hidden_size] (after `post_layernorm`) and projected [tiles, patches / scale_factor^2, text hidden_size],
 * which needs square tiles.
 */
export function idefics3Tower(config: Idefics3Config, forms: PixelForms): TowerSpec {
  const outputs = [...(config.connector === undefined ? [] : ["projected"]), "last_hidden_state"];
  return {
    modality: "vision",
    components: idefics3Components(config, forms),
    inputs: ["pixel_values"],
    outputs,
    layout: ["rows", "cols", "num_frames"],
    growth: { symbol: "tokens", dims: (tokens) => tileDims(tokens, config) },
    prepare: (inputs, later) => preparePatchImages(inputs, tilesOf(config), forms, later),
    plan: (shapes, wanted) => planTiles(config, outputs, pixelCall("idefics3/vision.embed", shapes), wanted),
    exampleSizes: ["size"],
    example: (options) => examplePatchImages(options, config.imageSize, tilesOf(config), forms),
  };
}
