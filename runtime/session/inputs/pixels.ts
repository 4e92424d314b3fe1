/** Cuts of pictures on the device: the components that resample and order pixels, compiled when they are first needed. */
import type { Device } from "../../abi/device.ts";
import type {
  ComponentCall,
  ComponentSpec,
  PixelImage,
  PixelPlan,
  PixelSize,
  Plan,
  Processors,
  Tensor,
  Tensors,
} from "../../abi/encoder.ts";
import { internal } from "../../core/diagnostics.ts";
import type { Bindings, Interval } from "../../core/dim.ts";
import { freeBuffer, largeBuffer } from "../../core/free_buffer.ts";
import {
  cutBytes,
  cutSize,
  LONGEST_SIDE,
  type PictureResize,
  type PixelCut,
  type PixelLayout,
  type ResampleTable,
  sourceSpan,
} from "../../core/pixel_cut.ts";
import type { ForwardContext } from "../../exec/forward_context.ts";
import type { ResolvedCall } from "../../exec/linker.ts";
import { rgbImage } from "../../media/image.ts";
import { blockSide, checkBlocks, cutPixels } from "../../media/pixel_cut.ts";
import { orderedPatches, orderedPlanes, resizedPixels } from "../../nn/mod.ts";
import type { ComponentProvider } from "../artifacts/artifacts.ts";
import type { ReadyComponent } from "../artifacts/ready_component.ts";
import type { Home } from "../config/settings.ts";
import { withSlot } from "../towers/call_slot.ts";
import { createSegmentRunner, type LinkedSegment, linkSegments, partitionPlan } from "../towers/segments.ts";

const SIDE: Interval = { min: 1, max: LONGEST_SIDE };
/** A filter that is stretched over the longest side reads it all, and up to three taps more. */
const TAPS: Interval = { min: 4, max: LONGEST_SIDE + 1, multipleOf: 4 };

function resizeComponent(narrow: boolean): ComponentSpec {
  return {
    tag: `media/resize${narrow ? "" : "_wide"}`,
    symbols: { source_height: SIDE, source_width: SIDE, height: SIDE, width: SIDE, column_taps: TAPS, row_taps: TAPS },
    build: (b) => resizedPixels(b, narrow),
    instances: [""],
  };
}

function orderComponent({ patch, merge = 1, channelsLast = false }: PixelLayout): ComponentSpec {
  if (patch === undefined) {
    return { tag: "media/planes", symbols: { height: SIDE, width: SIDE }, build: orderedPlanes, instances: [""] };
  }
  const blocks: Interval = { min: 1, max: Math.floor(LONGEST_SIDE / (patch * merge)) };
  return {
    tag: `media/patches ${patch} ${merge}${channelsLast ? " channels last" : ""}`,
    symbols: { block_rows: blocks, block_columns: blocks },
    build: (b) => orderedPatches(b, { patch, merge, channelsLast }),
    instances: [""],
  };
}

const i32 = (shape: readonly number[], data: Int32Array): Tensor => ({ dtype: "i32", shape, data });

function tableTensors(axis: string, { starts, weights, taps, bits }: ResampleTable): Tensors {
  return {
    [`${axis}_starts`]: i32([starts.length], starts),
    [`${axis}_weights`]: i32([starts.length, taps], weights),
    [`${axis}_bits`]: i32([1], Int32Array.of(bits)),
  };
}

/** Starts from `top` on; those of outputs that read nothing stay inside. */
function from(top: number, table: ResampleTable): ResampleTable {
  return top === 0 ? table : { ...table, starts: table.starts.map((s) => Math.max(0, s - top)) };
}

/**
 * Products up to which a picture is cut by the caller's thread, with the same bits: they take it 0.07 ms, and the device as long to
 * begin one run (docs/performance.md).
 */
const FEW_PRODUCTS = 2 ** 16;

/** Cuts whose linked plans are kept: as many geometries come in turns. */
const KEPT_CUTS = 16;

/** Products of both resamplings, and of those before. */
function productsOf({ columns, rows, of }: PictureResize): number {
  const [top, end] = sourceSpan(rows);
  const own = 3 * columns.starts.length * ((end - top) * columns.taps + rows.starts.length * rows.taps);
  return of === undefined ? own : own + productsOf(of);
}

/** Order of the samples in a decoded picture: what a resize makes for the next. */
const AS_PICTURE: PixelLayout = { patch: 1, channelsLast: true };

/** The call of a component whose ports have the names of the plan's values. */
function callOf(spec: ComponentSpec, dims: Bindings, ports: readonly string[], output: string): ComponentCall {
  const inputs = Object.fromEntries(ports.map((name) => [name, name]));
  return { tag: spec.tag, instance: "", dims, inputs, outputs: { [output]: output } };
}

/** The size of the picture for whose plan components are made ready; sides are prime, so that no resize is left out. */
const TYPICAL = { width: 641, height: 479 };

const specsOf = (
  { columns, rows }: PictureResize,
  layout: PixelLayout,
): readonly [resize: ComponentSpec, order: ComponentSpec] => [
  resizeComponent(columns.narrow && rows.narrow),
  orderComponent(layout),
];

/** The components that carry out a processor's plans. */
export function cutComponents(pixels: NonNullable<Processors["pixels"]>): readonly ComponentSpec[] {
  const before = (of: PictureResize | undefined): readonly ComponentSpec[] =>
    of === undefined ? [] : [...before(of.of), ...specsOf(of, AS_PICTURE)];
  const specs = pixels([TYPICAL]).cuts.flatMap((cut) => [...before(cut.of), ...specsOf(cut, cut.layout)]);
  return [...new Map(specs.map((spec) => [spec.tag, spec])).values()];
}

/** What a plan is to see of a picture. */
export const pictureSize = (image: PixelImage): PixelSize => image.reducedFrom ?? image;

/** A cut's plan, and what it was linked from. */
interface LinkedCut {
  readonly artifacts: readonly ResolvedCall["artifact"][];
  readonly segments: readonly LinkedSegment[];
}

export interface PixelCutter {
  /** Compiles what a processor's plans need, so that a sealed runtime can carry them out. */
  prepare(pixels: NonNullable<Processors["pixels"]>): Promise<void>;
  /**
   * Carries out a plan: the input that it names, u8, and its other tensors.
   * @throws FoveaError `image.shape`, `out_of_memory`; the signal's reason on abort
   */
  cut(images: readonly PixelImage[], plan: PixelPlan, context: ForwardContext): Promise<Tensors>;
  /** What {@link cut} gives of one picture that the caller's thread cuts in no time; nothing of larger ones. */
  cutSmall(image: PixelImage, plan: PixelPlan): Tensors | undefined;
  /** Gives the memory of a cut's large input back at once; its samples are gone then. Other tensors stay. */
  release(tensors: Tensors): Promise<void>;
}

/**
 * @param home device that its components are for; the runtime's own unless given
 * @param fewProducts products up to which the caller's thread cuts
 */
export function createPixelCutter(
  artifacts: ComponentProvider,
  home?: Home,
  fewProducts: number = FEW_PRODUCTS,
): PixelCutter {
  const ready = new Map<string, Promise<ReadyComponent>>();
  const linked = new Map<string, LinkedCut>();
  /** Samples of the inputs that were made here. */
  const made = new WeakMap<Tensors, Uint8Array>();
  const isSmall = (cut: PixelCut): boolean => productsOf(cut) <= fewProducts;
  const prepare = (spec: ComponentSpec): Promise<ReadyComponent> => {
    const known = ready.get(spec.tag) ?? artifacts.prepare(spec, home === undefined ? {} : { home });
    ready.set(spec.tag, known);
    known.catch(() => ready.delete(spec.tag));
    return known;
  };

  const componentsOf = async (
    resampled: PictureResize,
    layout: PixelLayout,
  ): Promise<readonly [resize: ReadyComponent, order: ReadyComponent]> => {
    const [resize, order] = specsOf(resampled, layout);
    return [await prepare(resize), await prepare(order)];
  };

  /** Linked for the same geometry and artifacts before, or now. */
  const linkedFor = (
    plan: Plan,
    inputs: Tensors,
    resolved: readonly ResolvedCall[],
    deviceOf: (tag: string) => Device,
  ): readonly LinkedSegment[] => {
    const old = linked.get(plan.key);
    const isCurrent = old?.artifacts.every((artifact, call) => artifact === resolved[call].artifact) === true;
    const segments = isCurrent
      ? old.segments
      : linkSegments(partitionPlan(plan, deviceOf), inputs, (call) => resolved[call]);
    // The one used last comes last.
    linked.delete(plan.key);
    linked.set(plan.key, { artifacts: resolved.map(({ artifact }) => artifact), segments });
    const [oldest] = linked.keys();
    if (linked.size > KEPT_CUTS) linked.delete(oldest);
    return segments;
  };

  /** The samples of a resize of decoded pixels. */
  const resample = async (
    image: PixelImage,
    resampled: PictureResize,
    layout: PixelLayout,
    context: ForwardContext,
  ): Promise<Uint8Array> => {
    const { columns, rows } = resampled;
    const { width, height } = cutSize(resampled);
    // Only the rows that are read go to the device.
    const [top, end] = sourceSpan(rows);
    const sourceHeight = Math.max(1, end - top);
    const stride = 3 * image.width;
    const inputs: Tensors = {
      pixels: {
        dtype: "u8",
        shape: [sourceHeight, image.width, 3],
        data: image.data.subarray(top * stride, (top + sourceHeight) * stride),
      },
      ...tableTensors("column", columns),
      ...tableTensors("row", from(top, rows)),
    };
    const components = await componentsOf(resampled, layout);
    const [resize, order] = components;
    const side = blockSide(layout);
    const sizes = { source_height: sourceHeight, source_width: image.width, height, width };
    const resizeDims = { ...sizes, column_taps: columns.taps, row_taps: rows.taps };
    const orderDims: Bindings =
      layout.patch === undefined ? { height, width } : { block_rows: height / side, block_columns: width / side };
    const plan: Plan = {
      key: `pixels ${resize.spec.tag} ${order.spec.tag} ${JSON.stringify([resizeDims, orderDims])}`,
      calls: [
        callOf(resize.spec, resizeDims, Object.keys(inputs), "planes"),
        callOf(order.spec, orderDims, ["planes"], "samples"),
      ],
      constants: {},
      results: { samples: "samples" },
    };
    const resolved = await Promise.all(
      plan.calls.map(({ dims }, call) =>
        withSlot(components[call], dims, context, async (slot): Promise<ResolvedCall> => {
          const { artifact } = slot.ready ?? (await slot.obtain({ cause: "first use", dims }, context.signal));
          return { artifact, weights: [] };
        }),
      ),
    );
    const segments = linkedFor(plan, inputs, resolved, (tag) => (tag === resize.spec.tag ? resize : order).device);
    // Pictures differ in size: an arena that waited for the next of this size would keep memory from the towers.
    const runner = createSegmentRunner(artifacts.memory);
    try {
      const { results } = await runner.run(segments, inputs, plan.results, context);
      return results.samples.data as Uint8Array;
    } finally {
      runner.release();
    }
  };

  /** Resizes pictures before they are cut, and keeps the last: cuts that share a resize follow one another. */
  const resizer = (context: ForwardContext): ((image: PixelImage, of: PictureResize) => Promise<PixelImage>) => {
    let last: { readonly image: PixelImage; readonly of: PictureResize; readonly made: PixelImage } | undefined;
    const resize = async (image: PixelImage, of: PictureResize): Promise<PixelImage> => {
      if (last?.image === image && last.of === of) return last.made;
      const source = of.of === undefined ? image : await resize(image, of.of);
      const { width, height } = cutSize(of);
      last = { image, of, made: rgbImage(width, height, await resample(source, of, AS_PICTURE, context)) };
      return last.made;
    };
    return resize;
  };

  return {
    prepare: async (pixels) => {
      for (const spec of cutComponents(pixels)) await prepare(spec);
    },
    cut: async (images, { input, shape, cuts, tensors }, context) => {
      const bytes = shape.reduce((a, b) => a * b, 1);
      const whole = cuts.length === 1 && cuts[0].at === 0 && cutBytes(cuts[0]) === bytes;
      let data: Uint8Array = new Uint8Array(whole ? 0 : bytes);
      const resize = resizer(context);
      for (const [i, cut] of cuts.entries()) {
        context.check();
        const image = images[cut.picture ?? i] ?? internal(`cut ${i} has no picture among ${images.length}`);
        if (isSmall(cut)) {
          if (whole) data = new Uint8Array(bytes);
          cutPixels(image, cut, data);
          continue;
        }
        checkBlocks(cut);
        const source = cut.of === undefined ? image : await resize(image, cut.of);
        const samples = await resample(source, cut, cut.layout, context);
        if (whole) data = samples;
        else data.set(samples, cut.at);
      }
      const all: Tensors = { [input]: { dtype: "u8", shape, data }, ...tensors };
      made.set(all, data);
      return all;
    },
    cutSmall: (image, { input, shape, cuts, tensors }) => {
      if (cuts.length !== 1 || !isSmall(cuts[0])) return undefined;
      const data = new Uint8Array(shape.reduce((a, b) => a * b, 1));
      cutPixels(image, cuts[0], data);
      return { [input]: { dtype: "u8", shape, data }, ...tensors };
    },
    release: async (tensors) => {
      const data = made.get(tensors);
      made.delete(tensors);
      const buffer = data === undefined ? undefined : largeBuffer(data);
      if (buffer !== undefined) await freeBuffer(buffer);
    },
  };
}
