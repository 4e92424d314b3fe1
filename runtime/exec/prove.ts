/** Proofs: the steps of an artifact run on made-up contents and are compared with its expectations. */
import type { Artifact, BufferName, CompiledArtifact, Expectation } from "../abi/artifact.ts";
import type { Device, DeviceBuffer } from "../abi/device.ts";
import { type DimData, evaluateData } from "../core/dim.ts";
import { DTYPE_BYTES } from "../core/dtype.ts";
import { type Fill, fillReader, nameSeed } from "../core/fill.ts";
import { createInstanceWeights, type InstanceWeights } from "./instance_weights.ts";
import { bindSteps, slotBytes } from "./linker.ts";

export interface ProofResult {
  /** `plugin/kernel` of the first step. */
  readonly kernel: string;
  readonly covers: string;
  /** Largest absolute difference at the sampled positions. */
  readonly worst: number;
  readonly tolerance: number;
  readonly pass: boolean;
}

function filled(fill: Fill, elements: number): Uint8Array {
  const whole = fill.kind === "index" || fill.kind === "offsets";
  const data = whole ? new Int32Array(elements) : new Float32Array(elements);
  const read = fillReader(fill);
  for (let i = 0; i < elements; i++) data[i] = read(i);
  return new Uint8Array(data.buffer);
}

/** Checkpoint tensors as the expectations assume them. */
async function madeUpTensor(name: string, shape: readonly number[]): Promise<Float32Array> {
  const read = fillReader({ kind: "uniform", seed: nameSeed(name), scale: 1 });
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  for (let i = 0; i < data.length; i++) data[i] = read(i);
  return data;
}

/** Buffers of a step list at given dims. */
class Buffers {
  readonly #device: Device;
  readonly #held: DeviceBuffer[] = [];
  readonly #spaces: Readonly<Record<Exclude<BufferName["space"], "weight">, readonly DeviceBuffer[]>>;
  readonly #weights: readonly DeviceBuffer[];

  constructor(
    device: Device,
    artifact: Artifact,
    dims: Readonly<Record<string, number>>,
    weights: readonly DeviceBuffer[],
  ) {
    this.#device = device;
    this.#weights = weights;
    const size = (shape: readonly DimData[], dtype: keyof typeof DTYPE_BYTES): number =>
      shape.reduce<number>((n, d) => n * evaluateData(d, dims), DTYPE_BYTES[dtype]);
    const hold = (bytes: number): DeviceBuffer => {
      const buffer = device.allocate(Math.max(bytes, 4));
      this.#held.push(buffer);
      return buffer;
    };
    try {
      this.#spaces = {
        input: artifact.inputs.map((p) => hold(size(p.shape, p.dtype))),
        output: artifact.outputs.map((p) => hold(size(p.shape, p.dtype))),
        scratch: slotBytes(artifact, dims).map(hold),
      };
    } catch (error) {
      this.release();
      throw error;
    }
  }

  at({ space, index }: BufferName): DeviceBuffer {
    return space === "weight" ? this.#weights[index] : this.#spaces[space][index];
  }

  release(): void {
    for (const b of this.#held) this.#device.release(b);
  }
}

async function proveOne(
  device: Device,
  artifact: Artifact,
  expected: Expectation,
  buffers: Buffers,
): Promise<ProofResult> {
  const steps = artifact.steps.slice(...expected.steps);
  const output = buffers.at(expected.output);
  // What no step writes must not pass by what an earlier proof left there.
  device.write(output, 0, new Uint8Array(output.bytes).fill(0xff));
  // A later step may write the result over what an earlier one read, so contents come after the poison.
  for (const { buffer, elements, fill } of expected.fills) device.write(buffers.at(buffer), 0, filled(fill, elements));
  const bound = device.bind(
    bindSteps({ ...artifact, steps }, expected.dims, (ref) => ({ buffer: buffers.at(ref), offset: 0 })),
  );
  try {
    await device.run(bound, {});
  } finally {
    bound.release();
  }
  const bytes = new Uint8Array(output.bytes);
  await device.read(output, 0, bytes);
  const found = new Float32Array(bytes.buffer, 0, Math.floor(bytes.length / 4));
  let worst = expected.values.length === 0 ? Number.POSITIVE_INFINITY : 0;
  expected.coordinates.forEach((position, i) => {
    const difference = Math.abs(found[position] - expected.values[i]);
    worst = difference <= worst ? worst : Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  });
  const covers = steps.map((s) => s.covers).join(", ");
  return {
    kernel: steps[0]?.kernel ?? "none",
    covers,
    worst,
    tolerance: expected.tolerance,
    pass: worst <= expected.tolerance,
  };
}

/** Runs every expectation of an artifact on a device. Needs neither compiler nor evaluator. */
export async function proveArtifact(
  device: Device,
  { artifact, code }: CompiledArtifact,
): Promise<readonly ProofResult[]> {
  await device.load(code);
  const weights: InstanceWeights = createInstanceWeights(device);
  const results: ProofResult[] = [];
  try {
    await weights.load(artifact.weights, madeUpTensor);
    const resident = weights.resolve(artifact.weights);
    for (const expected of artifact.expectations) {
      const buffers = new Buffers(device, artifact, expected.dims, resident);
      try {
        results.push(await proveOne(device, artifact, expected, buffers));
      } finally {
        buffers.release();
      }
    }
  } finally {
    weights.release();
  }
  return results;
}
