/** Proofs: the steps of an artifact run on made-up contents and are compared with its expectations. */
import type { Artifact, BufferName, Expectation, ExpectationFill, WeightUse } from "../abi/artifact.ts";
import type { Address, Device, DeviceBuffer, Launch } from "../abi/device.ts";
import { decodeFloats } from "../core/base64.ts";
import { FoveaError, KernelError } from "../core/diagnostics.ts";
import type { Bindings } from "../core/dim.ts";
import { evaluateData } from "../core/dim_data.ts";
import { countElements, DTYPE_BYTES } from "../core/dtype.ts";
import { type Fill, fillBuffer, fillPieces, fillRun, nameSeed } from "../core/fill.ts";
import { f16ToF32 } from "../core/half.ts";
import { createInstanceWeights, type InstanceWeights, stagingBytes, type TensorReader } from "./instance_weights.ts";
import { ARENA_ALIGNMENT, bindSteps, slotBytes } from "./linker.ts";

export interface ProofResult {
  /** `plugin/kernel` of the first step. */
  readonly kernel: string;
  readonly covers: string;
  readonly dims: Bindings;
  /** Largest absolute difference at the sampled positions. */
  readonly worst: number;
  readonly tolerance: number;
  readonly pass: boolean;
  /** What stopped it before it had a result, as the end of a sentence. */
  readonly stopped?: string;
}

/** A failed proof as a sentence. */
export function failureText(tag: string, result: ProofResult): string {
  const { kernel, covers, dims, worst, tolerance, stopped } = result;
  const sizes = Object.entries(dims).map(([name, value]) => `${name} ${value}`);
  const at = `its result for "${covers}" of component "${tag}" at ${sizes.join(", ") || "its one size"}`;
  if (stopped !== undefined) return `there is no ${at.slice(4)}: ${stopped} (step ${kernel}).`;
  const found = worst === Number.MAX_VALUE || !Number.isFinite(worst) ? "no value or NaN" : worst.toPrecision(3);
  return `${at} is off by ${found} (step ${kernel}); at most ${tolerance.toPrecision(3)} passes.`;
}

/** An artifact whose proof failed and that nothing can replace. */
export class ProofError extends FoveaError {
  constructor(tag: string, range: string, failure: ProofResult) {
    super(
      "proof_failed",
      `Component "${tag}" for ${range} failed its proof: ${failureText(tag, failure)} Remove or update the plugin that brings this kernel, or let fovea put it aside with compile: { strict: false }.`,
      { exitCode: 1 },
    );
    this.name = "ProofError";
  }
}

/** Checkpoint tensors as the expectations assume them; large ones are as many pages that nothing touched. */
const madeUpTensor: TensorReader = async (name, shape, _signal, into) => {
  const fill: Fill = { kind: "uniform", seed: nameSeed(name), scale: 1 };
  return fillBuffer(fill, countElements(shape), into) as Float32Array;
};

function writeFill(device: Device, { buffer, offset }: Address, { fill, elements, runs }: ExpectationFill): void {
  const write = (first: number, data: ReturnType<typeof fillRun>): void =>
    device.write(
      buffer,
      offset + first * data.BYTES_PER_ELEMENT,
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    );
  for (const [first, end] of runs ?? []) write(first, fillRun(fill, first, end - first));
  if (runs !== undefined) return;
  let at = 0;
  for (const piece of fillPieces(fill, elements)) {
    write(at, piece);
    at += piece.length;
  }
}

/** Elements that are written. */
const filled = ({ elements, runs }: ExpectationFill): number =>
  runs === undefined ? elements : runs.reduce((n, [first, end]) => n + end - first, 0);

/** Bytes of a compared element. */
const elementBytes = ({ outputType }: Pick<Expectation, "outputType">): number => DTYPE_BYTES[outputType ?? "f32"];

/** Most bytes of a proof beside weights: devices may commit memory that a proof hardly touches. */
const MOST_CONTENTS = 2 ** 30;

/** Where a proof's values lie in one buffer, as in the programs that the steps are made for, and its bytes. */
interface Placed {
  readonly offsets: ReadonlyMap<string, number>;
  readonly bytes: number;
}

function placeContents(artifact: Artifact, { steps, dims, fills, output }: Expectation): Placed {
  const refs = artifact.steps
    .slice(...steps)
    .flatMap(({ args }) => args.flatMap((a) => ("buffer" in a ? [a.buffer] : [])));
  let slots: readonly number[] | undefined;
  const bytesOf = (space: "input" | "output" | "scratch", index: number): number => {
    if (space === "scratch") {
      slots ??= slotBytes(artifact, dims);
      return slots[index];
    }
    const { shape, dtype } = (space === "input" ? artifact.inputs : artifact.outputs)[index];
    return shape.reduce<number>((n, d) => n * evaluateData(d, dims), DTYPE_BYTES[dtype]);
  };
  const offsets = new Map<string, number>();
  let end = 0;
  for (const { space, index } of [output, ...fills.map((f) => f.buffer), ...refs]) {
    const key = `${space} ${index}`;
    if (space === "weight" || offsets.has(key)) continue;
    offsets.set(key, end);
    end += Math.ceil(bytesOf(space, index) / ARENA_ALIGNMENT) * ARENA_ALIGNMENT;
  }
  return { offsets, bytes: Math.max(end, 4) };
}

/** What a proof reads and writes beside weights. */
class Contents {
  readonly #device: Device;
  readonly #artifact: Artifact;
  readonly #weights: InstanceWeights;
  readonly #offsets: ReadonlyMap<string, number>;
  readonly #arena: DeviceBuffer;

  constructor(device: Device, artifact: Artifact, { offsets, bytes }: Placed, weights: InstanceWeights) {
    this.#device = device;
    this.#artifact = artifact;
    this.#weights = weights;
    this.#offsets = offsets;
    this.#arena = device.allocate(bytes);
  }

  at({ space, index }: BufferName): Address {
    if (space === "weight") return { buffer: this.#weights.resolve([this.#artifact.weights[index]])[0], offset: 0 };
    return { buffer: this.#arena, offset: this.#offsets.get(`${space} ${index}`) as number };
  }

  release(): void {
    this.#device.release(this.#arena);
  }
}

/** Launches of a proof: the last step only where its result is compared. */
function launchesOf(artifact: Artifact, expected: Expectation, contents: Contents): readonly Launch[] {
  const steps = artifact.steps.slice(...expected.steps);
  const launches = bindSteps({ ...artifact, steps, blocks: [] }, expected.dims, (ref) => contents.at(ref));
  const last = launches[launches.length - 1];
  if (expected.items === undefined || last === undefined) return launches;
  const parts = expected.items.map(([first, end]) => ({ ...last, first, grid: Math.min(end, last.grid) }));
  return [...launches.slice(0, -1), ...parts];
}

type Found = Float32Array | Int32Array | Uint8Array;

/** The compared rows of the output, one behind the other. */
async function readRows(
  device: Device,
  { buffer, offset }: Address,
  expected: Pick<Expectation, "rows" | "width" | "outputType">,
): Promise<Found> {
  const { rows, width, outputType } = expected;
  const rowBytes = width * elementBytes(expected);
  const found = new Uint8Array(rows.length * rowBytes);
  await Promise.all(
    rows.map((row, i) =>
      device.read(buffer, offset + row * rowBytes, found.subarray(i * rowBytes, (i + 1) * rowBytes)),
    ),
  );
  if (outputType === "u8") return found;
  if (outputType === "f16") {
    const values = new Float32Array(found.length / 2);
    f16ToF32(new Uint16Array(found.buffer), values);
    return values;
  }
  return outputType === "i32" ? new Int32Array(found.buffer) : new Float32Array(found.buffer);
}

/** Largest difference of the compared elements; infinite where one is missing. */
function worstDifference(found: Found, { rows, columns, width, values }: Expectation): number {
  const expected = decodeFloats(values);
  let worst = expected.length === 0 ? Number.POSITIVE_INFINITY : 0;
  for (let i = 0; i < rows.length; i++) {
    for (let j = 0; j < columns.length; j++) {
      const value = expected[i * columns.length + j];
      if (!Number.isFinite(value)) continue;
      const difference = Math.abs(found[i * width + columns[j]] - value);
      worst = difference <= worst ? worst : Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
    }
  }
  return worst;
}

async function proveOne(
  device: Device,
  artifact: Artifact,
  expected: Expectation,
  placed: Placed,
  weights: InstanceWeights,
  signal: AbortSignal | undefined,
): Promise<ProofResult> {
  const steps = artifact.steps.slice(...expected.steps);
  const { tolerance, dims } = expected;
  const answer = (worst: number, stopped?: string): ProofResult => ({
    kernel: steps[0]?.kernel ?? "none",
    covers: steps.map((s) => s.covers).join(", "),
    ...{ dims, worst, tolerance, pass: worst <= tolerance },
    ...(stopped === undefined ? {} : { stopped }),
  });
  const contents = new Contents(device, artifact, placed, weights);
  try {
    const output = contents.at(expected.output);
    // What no step writes must not pass by what an earlier proof left there.
    const poison = new Uint8Array(expected.width * elementBytes(expected)).fill(0xff);
    for (const row of expected.rows) device.write(output.buffer, output.offset + row * poison.length, poison);
    // A later step may write the result over what an earlier one read, so contents come after the poison.
    for (const one of expected.fills) writeFill(device, contents.at(one.buffer), one);
    const bound = device.bind(launchesOf(artifact, expected, contents));
    try {
      await device.run(bound, signal === undefined ? {} : { signal });
    } finally {
      bound.release();
    }
    return answer(worstDifference(await readRows(device, output, expected), expected));
  } catch (error) {
    if (error instanceof KernelError) return answer(Number.POSITIVE_INFINITY, error.reason);
    if (error instanceof FoveaError && error.code === "kernel_failed") return answer(Number.POSITIVE_INFINITY);
    throw error;
  } finally {
    contents.release();
  }
}

export interface ProveOptions {
  /** Positions of expectations that were proven before. */
  readonly proven?: ReadonlySet<number>;
  /** Predicted milliseconds that may be spent. No limit unless given. */
  readonly budgetMs?: number;
  /** The one expectation that is proven whatever it takes: the first in order, unless the cheapest is asked for. */
  readonly least?: "cheapest";
  /** Code blobs that some proof ran already: others come first. Grows. */
  readonly seenCode?: Set<string>;
  /** Made-up weights that other artifacts of the component use as well; the caller gives them back. */
  readonly weights?: InstanceWeights;
  /** Ends the proofs. */
  readonly signal?: AbortSignal;
}

export interface Proof {
  /** By position in the artifact's expectations; those that were left out are absent. */
  readonly results: ReadonlyMap<number, ProofResult>;
  /** Predicted milliseconds that were spent. */
  readonly spentMs: number;
}

const LAUNCH_MS = 0.5;

/** What a device does in a millisecond, by the figures of its target: equal artifacts spend the same everywhere. */
interface Rates {
  readonly flops: number;
  readonly bytes: number;
}

function ratesOf({ capabilities }: Device): Rates {
  const figure = (name: string): number => {
    const value = capabilities[name];
    // Figures of a target are those of a card; what computes on the processor instead has others.
    return typeof value === "number" && value > 0 && capabilities.software !== true ? value : 1e9;
  };
  // A tenth of what kernels reach: proofs run code that its engine has not optimised yet, on memory that was never touched, and
  // every byte is made up, written and read.
  return { flops: figure("flopsPerSecond") / 10_000, bytes: figure("bytesPerSecond") / 10_000 };
}

/** Predicted milliseconds of a weight: made up, written, read, packed by its prologue's steps. */
function weightLoadMs(use: WeightUse, rates: Rates): number {
  const steps = use.prologue?.steps ?? [];
  const flops = steps.reduce((sum, { flops: own }) => sum + evaluateData(own, {}), 0);
  return (Math.max(use.bytes, stagingBytes(use)) * 2) / rates.bytes + flops / rates.flops + LAUNCH_MS * steps.length;
}

/** Predicted milliseconds of proving one expectation beside its weights. */
function predictedMs(
  { steps }: Artifact,
  { steps: [from, end], dims, fills, items, rows, width }: Expectation,
  rates: Rates,
): number {
  const bytes = fills.reduce((n, f) => n + filled(f) * 4, rows.length * width * 8);
  const flops = steps.slice(from, end).reduce((sum, step, i) => {
    const grid = evaluateData(step.grid, dims);
    const isLast = i === end - from - 1;
    const run = isLast && items !== undefined ? items.reduce((n, [a, b]) => n + b - a, 0) : grid;
    return sum + (evaluateData(step.flops, dims) * run) / Math.max(1, grid);
  }, 0);
  return bytes / rates.bytes + flops / rates.flops + LAUNCH_MS;
}

/** Weights that the steps of an expectation read. */
function weightsOf({ steps, weights }: Artifact, { steps: [from, end] }: Expectation): readonly WeightUse[] {
  const read = new Set<WeightUse>();
  for (const { args } of steps.slice(from, end))
    for (const a of args) if ("buffer" in a && a.buffer.space === "weight") read.add(weights[a.buffer.index]);
  return [...read];
}

/** An expectation by its position, and what proving it takes. */
interface ProofPlan {
  readonly at: number;
  readonly needed: readonly WeightUse[];
  /** Predicted milliseconds beside the weights. */
  readonly runMs: number;
}

/** Open expectations: code that no proof ran comes first, then claims without a proof, cheap ones first. */
function provingOrder(
  artifact: Artifact,
  rates: Rates,
  { proven = new Set(), seenCode = new Set() }: ProveOptions,
): readonly ProofPlan[] {
  const codes = new Set(seenCode);
  const claims = new Set([...proven].map((at) => artifact.expectations[at]?.steps[0]));
  return artifact.expectations
    .map((expected, at) => {
      const [needed, runMs] = [weightsOf(artifact, expected), predictedMs(artifact, expected, rates)];
      const ms = needed.reduce((sum, use) => sum + weightLoadMs(use, rates), runMs);
      return { at, needed, runMs, ms, steps: expected.steps };
    })
    .sort((a, b) => a.ms - b.ms || a.at - b.at)
    .filter(({ at }) => !proven.has(at))
    .map((e) => {
      const code = artifact.steps[e.steps[1] - 1]?.code ?? "";
      const rank = codes.has(code) ? (claims.has(e.steps[0]) ? 2 : 1) : 0;
      codes.add(code);
      claims.add(e.steps[0]);
      return { ...e, rank };
    })
    .sort((a, b) => a.rank - b.rank || a.ms - b.ms || a.at - b.at);
}

const isOutOfMemory = (error: unknown): boolean => error instanceof FoveaError && error.code === "out_of_memory";

/**
 * Runs expectations of an artifact whose code the device has; those that its memory does not hold are left out, as are those
 * of more than a GiB. Needs neither compiler nor evaluator. A kernel that the engine stops has failed. @throws the signal's reason on abort
 */
export async function proveArtifact(device: Device, artifact: Artifact, options: ProveOptions = {}): Promise<Proof> {
  const { budgetMs = Number.POSITIVE_INFINITY, signal } = options;
  const rates = ratesOf(device);
  const open = provingOrder(artifact, rates, options);
  const results = new Map<number, ProofResult>();
  if (open.length === 0) return { results, spentMs: 0 };
  const weights = options.weights ?? createInstanceWeights(device);
  let spentMs = 0;
  try {
    const msOf = ({ needed, runMs }: ProofPlan): number =>
      needed.reduce((sum, use) => (weights.has(use) ? sum : sum + weightLoadMs(use, rates)), runMs);
    const cheapest = open.reduce((a, b) => (msOf(b) < msOf(a) ? b : a));
    const first = options.least === "cheapest" ? cheapest : open[0];
    for (const plan of msOf(open[0]) <= budgetMs ? open : [first]) {
      const { at, needed } = plan;
      const expected = artifact.expectations[at];
      const placed = placeContents(artifact, expected);
      if (placed.bytes > MOST_CONTENTS) continue;
      const ms = msOf(plan);
      if (results.size > 0 && spentMs + ms > budgetMs) break;
      spentMs += ms;
      try {
        await weights.load(needed, madeUpTensor, signal);
        results.set(at, await proveOne(device, artifact, expected, placed, weights, signal));
        options.seenCode?.add(artifact.steps[expected.steps[1] - 1]?.code ?? "");
      } catch (error) {
        if (!isOutOfMemory(error)) throw error;
      }
    }
  } finally {
    if (options.weights === undefined) weights.release();
  }
  return { results, spentMs };
}
