/** The WebGPU device: a program is one pass of dispatches, submitted with the copy that reads its results back. */
import type {
  BoundProgram,
  Capabilities,
  Device,
  DeviceBuffer,
  DeviceStats,
  Launch,
  RunOptions,
} from "../../../runtime/abi/device.ts";
import { FoveaError, internal } from "../../../runtime/core/diagnostics.ts";
import type { OpenedGpu } from "./adapter.ts";
import { type Bindings, createBindings } from "./bindings.ts";
import { BufferPool } from "./buffer_pool.ts";
import { type BytePatcher, createBytePatcher } from "./byte_patch.ts";
import { webgpuCapabilities } from "./capabilities.ts";
import { type Dispatch, dispatchesOf, wordsOf } from "./dispatches.ts";
import type { HostHabits } from "./host_habits.ts";
import { Ledger } from "./ledger.ts";
import { PassClock } from "./pass_clock.ts";
import { eachPart, pieceBytesOf } from "./pieces.ts";
import { createPipelines, type Pipelines } from "./pipelines.ts";
import { ReadBack } from "./read_back.ts";
import { Stops } from "./stops.ts";
import { Uploads } from "./uploads.ts";
import { USAGE } from "./usage.ts";
import { type PlacedWords, WORDS_STRIDE, WordsHeap } from "./words_heap.ts";

const MOST_ACROSS = 65535;

interface Command {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  /** Where its words begin in their buffer, bytes: the one dynamic offset of the group. */
  readonly offsets: [number];
  readonly across: number;
  readonly down: number;
  /** Code from anyone. */
  readonly isForeign: boolean;
}

interface Program extends BoundProgram {
  readonly commands: readonly Command[];
  readonly words: PlacedWords;
  /** Runs so far. */
  runs: number;
  /** The next run, recorded while the device computes one. */
  recorded: GPUCommandBuffer | undefined;
}

export class WebGpuDevice implements Device {
  readonly kind: string = "webgpu";
  readonly target: string;
  readonly capabilities: Capabilities;
  readonly threads: number = 0;
  readonly #opened: OpenedGpu;
  readonly #gpu: GPUDevice;
  readonly #ledger: Ledger;
  /** Each in pieces, where it is larger than what a shader sees of one. */
  readonly #buffers: Map<DeviceBuffer, readonly GPUBuffer[]> = new Map();
  readonly #pieceBytes: number;
  readonly #pool: BufferPool;
  readonly #pipelines: Pipelines;
  readonly #bindings: Bindings;
  readonly #words: WordsHeap;
  readonly #patcher: BytePatcher;
  readonly #uploads: Uploads | undefined;
  readonly #reads: ReadBack;
  readonly #clock: PassClock;
  readonly #stops: Stops;
  /** Commands that are not submitted yet: runs, or bytes that are put into words. */
  #pending: GPUCommandEncoder | undefined;
  #pendingRuns = false;
  /** What is recorded before `#pending`, and the programs among it. */
  #finished: GPUCommandBuffer[] = [];
  #ran: Set<Program> = new Set();
  #pendingPatches: { readonly gpu: GPUBuffer; readonly first: number; readonly end: number }[] = [];
  /** What the device found wrong with what was submitted since the last read. */
  #judged: Promise<unknown>[] = [];
  #modulesCompiled = 0;
  #runs = 0;
  #submits = 0;
  #failure: FoveaError | undefined;

  constructor(opened: OpenedGpu, target: string, budget: number, habits: HostHabits = {}) {
    const { stagesUploads = true, mapsEarly = false } = habits;
    const { gpu, capabilities } = opened;
    this.#opened = opened;
    this.#gpu = gpu;
    this.target = target;
    this.capabilities = { ...webgpuCapabilities(target), ...capabilities };
    this.#pieceBytes = pieceBytesOf(gpu);
    this.#ledger = new Ledger(budget);
    this.#pipelines = createPipelines(gpu, this.#pieceBytes);
    this.#bindings = createBindings(gpu, this.#pipelines);
    this.#words = new WordsHeap(gpu);
    const usage = USAGE.storage | USAGE.copySource | USAGE.copyTarget;
    const most = this.#pieceBytes;
    this.#pool = new BufferPool({ device: gpu, usage, most, onDestroy: (buffer) => this.#bindings.forget(buffer) });
    this.#patcher = createBytePatcher(gpu);
    this.#clock = new PassClock(gpu);
    this.#stops = new Stops(gpu);
    this.#uploads = stagesUploads ? new Uploads(gpu) : undefined;
    this.#reads = new ReadBack({
      device: gpu,
      most: gpu.limits.maxBufferSize,
      mapsEarly,
      encoder: () => this.#encoder(),
      times: (encoder) => this.#clock.take(encoder),
      stops: () => this.#stops.take(),
      submit: () => {
        this.#submit();
        return Promise.all(this.#judged.splice(0)).then(() => {});
      },
      submitted: () => this.#recordAhead(),
    });
    gpu.addEventListener("uncapturederror", (event) => {
      const { message } = (event as GPUUncapturedErrorEvent).error;
      // The previous one is told by itself: here, or by the scope around an allocation.
      if (message.includes("due to a previous error")) return;
      this.#failure ??= new FoveaError("kernel_failed", `The device "webgpu" refused a command: ${message}`);
    });
    gpu.lost.then(({ message }) => {
      if (this.#failure?.code === "device_closed") return;
      // What commands met before belongs to the loss.
      this.#failure = new FoveaError(
        "device_lost",
        `The device "webgpu" was lost${message === "" ? "" : `: ${message.replace(/\.$/, "")}`}. Call \`reopen()\` of the runtime to open another.`,
      );
    });
  }

  async load(code: ReadonlyMap<string, Uint8Array>): Promise<number> {
    this.#check();
    const compiled = await this.#pipelines.load(code);
    this.#modulesCompiled += compiled;
    return compiled;
  }

  has(code: string): boolean {
    return this.#pipelines.has(code);
  }

  allocate(bytes: number): DeviceBuffer {
    this.#check();
    this.#ledger.take(bytes);
    const buffer: DeviceBuffer = Object.freeze({ bytes, address: 0 });
    this.#gpu.pushErrorScope("out-of-memory");
    const pieces: GPUBuffer[] = [];
    eachPart(this.#pieceBytes, 0, bytes, (_, __, from, end) => pieces.push(this.#pool.take(end - from)));
    // A buffer of nothing may be bound as well.
    this.#buffers.set(buffer, pieces.length === 0 ? [this.#pool.take(0)] : pieces);
    this.#judge(
      (message) => new FoveaError("out_of_memory", `The adapter has no room for ${bytes} bytes more: ${message}`),
    );
    return buffer;
  }

  release(buffer: DeviceBuffer): void {
    if (this.#failure?.code === "device_closed") return;
    const pieces = this.#of(buffer);
    // What was recorded may still use it.
    this.#submit();
    this.#buffers.delete(buffer);
    this.#ledger.give(buffer.bytes);
    for (const piece of pieces) this.#pool.give(piece);
  }

  write(buffer: DeviceBuffer, offset: number, data: Uint8Array): void {
    this.#check();
    const pieces = this.#of(buffer);
    eachPart(this.#pieceBytes, offset, data.length, (piece, at, from, end) =>
      this.#writePiece(pieces[piece], at, data.subarray(from, end)),
    );
  }

  #writePiece(gpu: GPUBuffer, offset: number, data: Uint8Array): void {
    // Words in the middle are copied, bytes at the ends are put into theirs.
    const head = Math.min(data.length, (4 - (offset % 4)) % 4);
    const whole = data.length - head - ((data.length - head) % 4);
    const end = offset + data.length;
    const overlaps = this.#pendingPatches.some((p) => p.gpu === gpu && p.first < end && offset < p.end);
    // What was recorded reads what was there before, and writes before this.
    if (this.#pendingRuns || overlaps) this.#submit();
    if (whole === data.length && this.#uploads?.write(() => this.#encoder(), gpu, offset, data)) {
      // What is written there next comes behind this copy.
      this.#pendingPatches.push({ gpu, first: offset, end });
      return;
    }
    if (whole > 0) this.#gpu.queue.writeBuffer(gpu, offset + head, data as Uint8Array<ArrayBuffer>, head, whole);
    for (const [from, to] of [
      [0, head],
      [head + whole, data.length],
    ]) {
      if (from === to) continue;
      const first = offset + from;
      this.#patcher.encode(this.#encoder(), gpu, first, data.subarray(from, to));
      this.#pendingPatches.push({ gpu, first: first - (first % 4), end: Math.ceil((offset + to) / 4) * 4 });
    }
  }

  async read(buffer: DeviceBuffer, offset: number, into: Uint8Array): Promise<void> {
    this.#check();
    try {
      const pieces = this.#of(buffer);
      const parts: Promise<void>[] = [];
      eachPart(this.#pieceBytes, offset, into.length, (piece, at, from, end) =>
        parts.push(this.#reads.read(pieces[piece], at, into.subarray(from, end))),
      );
      await Promise.all(parts);
    } catch (error) {
      // Where the device is lost or closed, that is why the read failed; some adapters tell a turn later.
      await new Promise((resolve) => setTimeout(resolve, 0));
      this.#check();
      throw error;
    }
    this.#check();
  }

  bind(launches: readonly Launch[]): BoundProgram {
    this.#check();
    const parts = launches.flatMap((launch) =>
      dispatchesOf(launch, {
        code: this.#pipelines.code(launch.code),
        piecesOf: (buffer) => this.#of(buffer),
        pieceBytes: this.#pieceBytes,
        mostBuffers: this.#gpu.limits.maxStorageBuffersPerShaderStage,
      }),
    );
    const words = this.#words.place(wordsOf(parts, (launch) => this.#slotOf(launch)));
    const commands = parts.map((part, i): Command => {
      const count = part.dealt.end - part.dealt.first;
      const across = Math.min(count, MOST_ACROSS);
      const offsets: [number] = [words.offset + i * WORDS_STRIDE];
      return { ...this.#commandOf(part, words.buffer), offsets, across, down: Math.ceil(count / across) };
    });
    const program: Program = {
      launches: launches.length,
      commands,
      words,
      runs: 0,
      recorded: undefined,
      release: () => {
        if (this.#failure?.code === "device_closed") return;
        this.#submit();
        words.release();
        program.recorded = undefined;
        program.runs = Number.NEGATIVE_INFINITY;
      },
    };
    return program;
  }

  #slotOf({ code, kernel }: Launch): number {
    return this.#pipelines.code(code).sandbox === true ? this.#stops.slotOf(kernel) : 0;
  }

  #commandOf(
    { launch: { code }, dealt: { seen }, buffers }: Dispatch,
    words: GPUBuffer,
  ): Pick<Command, "pipeline" | "group" | "isForeign"> {
    const isForeign = this.#pipelines.code(code).sandbox === true;
    return {
      pipeline: this.#pipelines.get(code, seen),
      group: this.#bindings.groupFor(code, seen, isForeign ? [...buffers, this.#stops.buffer] : buffers, words),
      isForeign,
    };
  }

  /** Records the run; it is submitted with the next read. */
  async run(bound: BoundProgram, { signal, onStart, onTime }: RunOptions): Promise<void> {
    this.#check();
    signal?.throwIfAborted();
    onStart?.();
    const program = bound as Program;
    const timestampWrites = onTime === undefined ? undefined : this.#clock.next(onTime);
    if (program.recorded === undefined || timestampWrites !== undefined) {
      this.#record(this.#encoder(), program, timestampWrites);
    } else {
      this.#finish();
      this.#finished.push(program.recorded);
      program.recorded = undefined;
    }
    program.runs++;
    if (program.commands.some((c) => c.isForeign)) this.#stops.expect();
    this.#ran.add(program);
    this.#pendingRuns = true;
    this.#runs++;
  }

  #record(encoder: GPUCommandEncoder, { commands }: Program, timestampWrites?: GPUComputePassTimestampWrites): void {
    const pass = encoder.beginComputePass(timestampWrites === undefined ? {} : { timestampWrites });
    let last: GPUComputePipeline | undefined;
    for (const { pipeline, group, offsets, across, down } of commands) {
      if (pipeline !== last) pass.setPipeline(pipeline);
      last = pipeline;
      pass.setBindGroup(0, group, offsets);
      pass.dispatchWorkgroups(across, down);
    }
    pass.end();
  }

  /** Records the next runs of programs that came more than once: the device is busy, and their next call need not wait for it. */
  #recordAhead(): void {
    for (const program of this.#ran) {
      if (program.runs < 2 || program.recorded !== undefined) continue;
      const encoder = this.#gpu.createCommandEncoder();
      this.#record(encoder, program);
      program.recorded = encoder.finish();
    }
    this.#ran.clear();
  }

  stats(): DeviceStats {
    const { bytesInUse, peakBytes, limitBytes } = this.#ledger;
    return {
      modulesCompiled: this.#modulesCompiled,
      bytesInUse,
      peakBytes,
      limitBytes,
      runs: this.#runs,
      details: {
        pipelines: this.#pipelines.made,
        bindGroups: this.#bindings.made,
        buffers: this.#pool.made + this.#words.made + this.#reads.buffersMade + (this.#uploads?.made ?? 0),
        submits: this.#submits,
        readBacks: this.#reads.count,
      },
    };
  }

  async close(): Promise<void> {
    if (this.#failure?.code === "device_closed") return;
    this.#failure = new FoveaError("device_closed", 'The device "webgpu" is closed; open it again to run on it.');
    for (const pieces of this.#buffers.values()) for (const piece of pieces) this.#pool.destroy(piece);
    this.#buffers.clear();
    this.#pool.clear();
    this.#reads.clear();
    this.#uploads?.clear();
    this.#clock.clear();
    this.#stops.clear();
    this.#bindings.clear();
    this.#words.clear();
    this.#opened.gpu.destroy();
  }

  #of(buffer: DeviceBuffer): readonly GPUBuffer[] {
    return this.#buffers.get(buffer) ?? internal("a buffer is used that this device does not hold");
  }

  #encoder(): GPUCommandEncoder {
    this.#pending ??= this.#gpu.createCommandEncoder();
    return this.#pending;
  }

  #finish(): void {
    if (this.#pending === undefined) return;
    this.#finished.push(this.#pending.finish());
    this.#pending = undefined;
  }

  #submit(): void {
    if (this.#pending === undefined && this.#finished.length === 0) return;
    this.#gpu.pushErrorScope("validation");
    this.#finish();
    this.#gpu.queue.submit(this.#finished.splice(0));
    this.#uploads?.submitted();
    this.#pendingRuns = false;
    this.#pendingPatches = [];
    this.#submits++;
    this.#judge((message) => new FoveaError("kernel_failed", `The device "webgpu" refused a run: ${message}`));
  }

  /** Ends an error scope; the next read rejects with what it found. */
  #judge(errorOf: (message: string) => FoveaError): void {
    const judged = this.#gpu.popErrorScope().then((error) => {
      if (error !== null) throw errorOf(error.message);
    });
    // Without a read it is nobody's.
    judged.catch(() => {});
    this.#judged.push(judged);
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
