/** LLaVA-NeXT's tower: CLIP's over tiles, and the projector over what they show of their pictures. */
import type { Plan, TowerSpec } from "../../runtime/abi/encoder.ts";
import { type FeatureProjector, projectorCall } from "../../runtime/abi/feature_projector.ts";
import { type PixelForms, pixelCall } from "../../runtime/abi/pixels.ts";
import { checkOutputs, hiddenStates, pickResults, planKey } from "../../runtime/abi/plans.ts";
import type { ClipVisionConfig } from "./config.ts";
import { mostRows, visionComponents } from "./graphs.ts";
import { seeingCalls } from "./plan.ts";
import { countTokens, type TileGeometry } from "./tile_geometry.ts";
import { exampleTiles, picturesOf, prepareTiles, splitTiles } from "./tile_inputs.ts";

type Shapes = Readonly<Record<string, readonly number[]>>;

const OUTPUTS = ["projected", "last_hidden_state"];

function planTiles(
  config: ClipVisionConfig,
  projector: FeatureProjector,
  shapes: Shapes,
  wanted: readonly string[],
): Plan {
  checkOutputs(wanted, OUTPUTS);
  const pixels = pixelCall("clip/vision.embed", shapes);
  const dims = { batch: pixels.shape[0] };
  const calls = seeingCalls(config, pixels, wanted, projector);
  const [, rows] = shapes.token_index;
  if (wanted.includes("projected")) {
    const call = projectorCall("clip/vision.project_tiles", "", { ...dims, rows }, projector);
    const tokens = { token_index: "token_index", is_newline: "is_newline" };
    calls.push({ ...call, inputs: { ...call.inputs, ...tokens } });
  }
  return {
    key: planKey(`clip tiles ${pixels.value}`, { ...dims, rows }, wanted),
    calls,
    constants: {},
    results: pickResults(wanted, { last_hidden_state: hiddenStates(config.layers), projected: "projected" }),
  };
}

/**
 * pixel_values [tiles, channels, image_size, image_size], f32, or u8 where the forms have it, and image_sizes i32 [pictures, 2] ->
 * last_hidden_state [tiles, 1 + patches, hidden_size] and projected [rows, the language model's width], picture by picture.
 */
export function tilesTower(
  config: ClipVisionConfig,
  forms: PixelForms,
  projector: FeatureProjector,
  geometry: TileGeometry,
): TowerSpec {
  return {
    modality: "vision",
    components: visionComponents(config, forms, projector, geometry),
    inputs: ["pixel_values", "image_sizes"],
    outputs: OUTPUTS,
    layout: ["image_sizes", "feature_lens"],
    split: (inputs, limit) => splitTiles(inputs, limit, config, geometry),
    growth: { symbol: "batch", dims: (batch) => ({ batch, rows: mostRows(batch, geometry) }) },
    resultRows: ({ image_sizes }) => {
      const rows = picturesOf(image_sizes, geometry).map(({ sides, within }) => countTokens(sides, within, geometry));
      return { projected: rows.reduce((all, own) => all + own, 0) };
    },
    prepare: (inputs, later) => prepareTiles(inputs, config, geometry, forms, later),
    plan: (shapes, wanted) => planTiles(config, projector, shapes, wanted),
    exampleSizes: ["size"],
    example: (options) => exampleTiles(options, config, geometry, forms),
  };
}
