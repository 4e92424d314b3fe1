/** What callers give, checked and turned into what the components take. */
import type { CheckLater, ExampleOptions, Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import { checkInputLength, integerValues, refuseInput, sizesText } from "../../runtime/abi/inputs.ts";
import { examplePixels, type PixelForms, preparePixels } from "../../runtime/abi/pixels.ts";
import type { QwenVisionConfig } from "./config.ts";
import {
  frameSegments,
  type Grid,
  gridPatches,
  inverseOrder,
  longestSegment,
  type PatchPlaces,
  patchOrder,
  patchPlaces,
  positionWeights,
  reordered,
  rotaryAngles,
  totalPatches,
  windowOrder,
} from "./geometry.ts";
import { patchWidth, stillWidth, unitPatches } from "./graphs.ts";

/** Names of the patches: the tower's own, and a whole model's. */
const PATCHES: readonly string[] = ["hidden_states", "pixel_values", "pixel_values_videos"];
/** Names of the frames, rows and columns of patches of each image or video. */
const GRIDS: readonly string[] = ["grid_thw", "image_grid_thw", "video_grid_thw"];

/** Tensor names that {@link preparePatches} takes: one of the patches and one of the grids. */
export const QWEN_INPUTS: readonly string[] = [...PATCHES, ...GRIDS];

/** The one input out of `names` that was given. */
function soleInput(inputs: Tensors, names: readonly string[]): string {
  const given = names.filter((name) => inputs[name] !== undefined);
  if (given.length === 0) {
    refuseInput(
      `The input "${names[0]}" (or ${names.slice(1).join(", ")}) is missing; this tower cannot run without it.`,
    );
  }
  if (given.length > 1) {
    refuseInput(
      `The inputs ${given.join(" and ")} are given at once; encode images and videos in calls of their own, or join them under "${names[0]}".`,
    );
  }
  return given[0];
}

/** A request by the names that its caller chose. */
interface Request {
  readonly patchName: string;
  readonly patches: Tensor;
  readonly gridName: string;
  readonly grids: readonly Grid[];
}

/** Frames, rows and columns of every image, each checked alone. */
function readGrids(name: string, t: Tensor, { mergeSize }: QwenVisionConfig): readonly Grid[] {
  if (t.shape.length !== 2 || t.shape[0] < 1 || t.shape[1] !== 3) {
    refuseInput(
      `The input "${name}" has shape ${sizesText(t.shape)}, expected ${sizesText(["images", 3])} with at least one image: its frames, rows and columns of patches.`,
    );
  }
  const sizes = integerValues(name, t);
  return Array.from({ length: t.shape[0] }, (_, i) => {
    const [frames, rows, columns] = sizes.subarray(3 * i, 3 * i + 3);
    const found = `Image ${i} has a grid of ${frames}x${rows}x${columns} patches`;
    if (frames < 1 || rows < 1 || columns < 1) {
      refuseInput(`${found} in "${name}"; frames, rows and columns must be at least 1.`);
    }
    if (rows % mergeSize !== 0 || columns % mergeSize !== 0) {
      refuseInput(
        `${found} in "${name}"; rows and columns must be multiples of ${mergeSize}, because ${mergeSize}x${mergeSize} patches are merged: resize the image.`,
      );
    }
    return { frames, rows, columns };
  });
}

function readRequest(inputs: Tensors, config: QwenVisionConfig, { steps }: PixelForms): Request {
  for (const name of Object.keys(inputs)) {
    if (!QWEN_INPUTS.includes(name)) {
      refuseInput(`There is no input "${name}"; this tower takes ${QWEN_INPUTS.join(", ")}.`);
    }
  }
  const [patchName, gridName] = [soleInput(inputs, PATCHES), soleInput(inputs, GRIDS)];
  const patches = inputs[patchName];
  const { channels, temporalPatchSize, patchSize } = config;
  const width = patchWidth(config);
  const stills = patches.dtype === "u8" && steps !== undefined ? [stillWidth(config)] : [];
  if (patches.shape.length !== 2 || ![width, ...stills].includes(patches.shape[1])) {
    const still = stills.map((own) => `, or ${sizesText(["patches", own])} of one frame for still images`);
    refuseInput(
      `The input "${patchName}" has shape ${sizesText(patches.shape)}, expected ${sizesText(["patches", width])}: a row for each patch of ${channels} channels, ${temporalPatchSize} frames and ${patchSize}x${patchSize} pixels${still}.`,
    );
  }
  const grids = readGrids(gridName, inputs[gridName], config);
  const expected = totalPatches(grids);
  if (patches.shape[0] !== expected) {
    const shown = grids.slice(0, 4).map((g) => `${g.frames}x${g.rows}x${g.columns}`);
    const all = `${shown.join(" + ")}${grids.length > shown.length ? " + ..." : ""}`;
    refuseInput(
      `The input "${patchName}" holds ${patches.shape[0]} patches, but "${gridName}" tells of ${all} = ${expected}; give a row for each patch of every grid.`,
    );
  }
  checkInputLength(patchName, patches);
  return { patchName, patches, gridName, grids };
}

/**
 * Parts of a request with at most `limit` patches each, cut between frames: patches see their own frame alone, so that
 * results one below the other are those of the whole. A larger frame is a part of its own.
 * @throws FoveaError `invalid_input` as {@link preparePatches}
 */
export function splitPatches(
  inputs: Tensors,
  limit: number,
  config: QwenVisionConfig,
  forms: PixelForms,
): readonly Tensors[] {
  const { patchName, patches, gridName, grids } = readRequest(inputs, config, forms);
  if (patches.shape[0] <= limit) return [inputs];
  const packs: Grid[][] = [];
  let room = 0;
  for (const { rows, columns, frames } of grids) {
    for (let left = frames; left > 0; ) {
      let taken = Math.min(left, Math.floor(room / (rows * columns)));
      if (taken < 1) {
        packs.push([]);
        taken = Math.min(left, Math.max(1, Math.floor(limit / (rows * columns))));
        room = limit;
      }
      packs[packs.length - 1].push({ frames: taken, rows, columns });
      room -= taken * rows * columns;
      left -= taken;
    }
  }
  const [, width] = patches.shape;
  let from = 0;
  return packs.map((pack) => {
    const count = totalPatches(pack);
    const data = patches.data.subarray(from * width, (from + count) * width);
    from += count;
    const sizes = pack.flatMap(({ frames, rows, columns }) => [frames, rows, columns]);
    return {
      [patchName]: { ...patches, shape: [count, width], data },
      [gridName]: { dtype: "i32", shape: [pack.length, 3], data: Int32Array.from(sizes) },
    };
  });
}

const i32 = (shape: readonly number[], data: Int32Array): Tensor => ({ dtype: "i32", shape, data });
const f32 = (shape: readonly number[], data: Float32Array): Tensor => ({ dtype: "f32", shape, data });

/** A number for the plan, which sees shapes alone: there are no values. */
const sizeOnly = (size: number): Tensor => ({ dtype: "u8", shape: [size, 0], data: new Uint8Array(0) });

/** Order and segments of windows, and the places of the patches in that order. */
function windowTables(
  grids: readonly Grid[],
  places: PatchPlaces,
  side: number,
  config: QwenVisionConfig,
): { readonly tables: Tensors; readonly places: PatchPlaces } {
  const { mergeSize } = config;
  const { order, offsets } = windowOrder(grids, mergeSize, side);
  const index = patchOrder(order, mergeSize);
  const segments = offsets.map((units) => units * unitPatches(config));
  return {
    places: { rows: reordered(places.rows, index), columns: reordered(places.columns, index) },
    tables: {
      window_index: i32([index.length], index),
      reverse_index: i32([order.length], inverseOrder(order)),
      cu_window_seqlens: i32([segments.length], segments),
      longest_window: sizeOnly(longestSegment(segments)),
    },
  };
}

export interface PrepareOptions {
  readonly maxPatches: number;
  /** Of the rotary pairs along an axis. */
  readonly frequencies: Float32Array;
  readonly forms: PixelForms;
}

/**
 * Patches [patches, width] and grids [images, 3] -> the patches and the tables of the geometry: `cos`, `sin`
 * f32 [patches, head_dim / 2], `cu_seqlens` i32 [frames + 1], the size `longest_segment`; with windows `window_index` i32
 * [patches], `reverse_index` i32 [merged patches], `cu_window_seqlens` i32 [windows + 1], the size `longest_window`; with
 * learned positions `position_index` i32 and `position_weights` f32 [4, patches].
 * @throws FoveaError `invalid_input`
 */
export function preparePatches(
  inputs: Tensors,
  config: QwenVisionConfig,
  { maxPatches, frequencies, forms }: PrepareOptions,
  later?: CheckLater,
): Tensors {
  const { patchName, patches: given, grids } = readRequest(inputs, config, forms);
  const large = grids.find(({ rows, columns }) => rows * columns > maxPatches);
  if (large !== undefined) {
    const { rows, columns } = large;
    refuseInput(
      `A frame of ${rows}x${columns} = ${rows * columns} patches is larger than what this model takes at once, ${maxPatches} patches; resize it, as the processor does with its largest number of pixels.`,
    );
  }
  const patches = preparePixels(patchName, given, forms, later);
  const { mergeSize, windows, positionSide } = config;
  const [count] = given.shape;
  const inOrder = patchPlaces(grids, mergeSize);
  const windowed = windows === undefined ? undefined : windowTables(grids, inOrder, windows.side, config);
  const angles = rotaryAngles(windowed?.places ?? inOrder, frequencies);
  const pairs = 2 * frequencies.length;
  const segments = frameSegments(grids);
  const learned = positionSide === undefined ? undefined : positionWeights(grids, inOrder, positionSide);
  return {
    ...patches,
    cos: f32([count, pairs], angles.cos),
    sin: f32([count, pairs], angles.sin),
    cu_seqlens: i32([segments.length], segments),
    longest_segment: sizeOnly(longestSegment(segments)),
    ...windowed?.tables,
    ...(learned === undefined
      ? {}
      : {
          position_index: i32([4, count], learned.index),
          position_weights: f32([4, count], learned.weights),
        }),
  };
}

/** Side of the pictures of a benchmark that names none, in patches: 448 pixels where a patch has 14, or what the model takes at once. */
const EXAMPLE_SIDE = 32;

/** The grid of an example's images. @throws FoveaError `invalid_input` for pixels that are no whole merge blocks */
function exampleGrid({ grid, size }: ExampleOptions, config: QwenVisionConfig, maxPatches: number): Grid {
  if (grid !== undefined) return { frames: grid[0], rows: grid[1], columns: grid[2] };
  const { patchSize, mergeSize } = config;
  const blocks = Math.min(Math.ceil(EXAMPLE_SIDE / mergeSize), Math.floor(Math.sqrt(maxPatches) / mergeSize));
  const whole = blocks * mergeSize * patchSize;
  const [height, width] = size ?? [whole, whole];
  const step = patchSize * mergeSize;
  if (height % step !== 0 || width % step !== 0) {
    refuseInput(
      `Images of ${height}x${width} pixels are no whole blocks of ${step}x${step}; give multiples of ${step}.`,
    );
  }
  return { frames: 1, rows: height / patchSize, columns: width / patchSize };
}

/** `batch` equal still images. */
export function examplePatches(
  options: ExampleOptions,
  config: QwenVisionConfig,
  forms: PixelForms,
  maxPatches: number,
): Tensors {
  const grid = exampleGrid(options, config, maxPatches);
  const patches = options.batch * gridPatches(grid);
  const width = forms.processor === "u8" ? stillWidth(config) : patchWidth(config);
  const sizes = Array.from({ length: options.batch }, () => [grid.frames, grid.rows, grid.columns]).flat();
  return {
    hidden_states: examplePixels([patches, width], options.seed, forms),
    grid_thw: i32([options.batch, 3], Int32Array.from(sizes)),
  };
}
