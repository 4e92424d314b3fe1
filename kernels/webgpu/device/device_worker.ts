/** The worker that a device lives in. Runtime-neutral: the host's worker entry imports this file and calls `start`. */
import type { BoundProgram, DeviceBuffer, DeviceTime, Launch } from "../../../runtime/abi/device.ts";
import { FoveaError, internal, KernelError } from "../../../runtime/core/diagnostics.ts";
import { openGpuDevice } from "./adapter.ts";
import { WebGpuDevice } from "./device.ts";
import {
  type AnswerMessage,
  type FromWorker,
  receivedBytes,
  type SentError,
  type SentLaunch,
  sentBytes,
  type ToWorker,
  type WorkerData,
  type WorkerPort,
} from "./worker_protocol.ts";

function errorOf(error: unknown): SentError {
  if (error instanceof KernelError)
    return { code: error.code, message: error.message, stopped: { step: error.step, reason: error.reason } };
  if (error instanceof FoveaError) return { code: error.code, message: error.message };
  return { code: "kernel_failed", message: error instanceof Error ? error.message : String(error) };
}

class Served {
  readonly #device: WebGpuDevice;
  readonly #buffers: Map<number, DeviceBuffer> = new Map();
  readonly #programs: Map<number, BoundProgram> = new Map();
  #times: (readonly [number, DeviceTime])[] = [];

  constructor(device: WebGpuDevice) {
    this.#device = device;
  }

  get stats(): ReturnType<WebGpuDevice["stats"]> {
    return this.#device.stats();
  }

  /** Times that came to be known since the last call. */
  takeTimes(): readonly (readonly [number, DeviceTime])[] {
    return this.#times.splice(0);
  }

  #buffer(id: number): DeviceBuffer {
    return this.#buffers.get(id) ?? internal(`buffer ${id} is used that the worker does not hold`);
  }

  #launch({ args, ...launch }: SentLaunch): Launch {
    const own = args.map((a) => (typeof a === "number" ? a : { buffer: this.#buffer(a.buffer), offset: a.offset }));
    return { ...launch, args: own, flops: 0, workerScratch: 0 };
  }

  /** Resolves to an answer's value. */
  async handle(message: ToWorker): Promise<AnswerMessage["value"]> {
    const device = this.#device;
    switch (message.type) {
      case "load":
        return device.load(message.code);
      case "allocate":
        this.#buffers.set(message.buffer, device.allocate(message.bytes));
        return undefined;
      case "release":
        device.release(this.#buffer(message.buffer));
        this.#buffers.delete(message.buffer);
        return undefined;
      case "write":
        device.write(this.#buffer(message.buffer), message.offset, receivedBytes(message.data));
        return undefined;
      case "bind":
        this.#programs.set(message.program, device.bind(message.launches.map((l) => this.#launch(l))));
        return undefined;
      case "unbind":
        this.#programs.get(message.program)?.release();
        this.#programs.delete(message.program);
        return undefined;
      case "run": {
        const { program, timed } = message;
        await device.run(
          this.#programs.get(program) ?? internal(`program ${program} is not bound`),
          timed === undefined ? {} : { onTime: (time) => this.#times.push([timed, time]) },
        );
        return undefined;
      }
      case "read": {
        const found = message.reads.map(({ bytes, into }) =>
          into === undefined ? new Uint8Array(bytes) : receivedBytes(into),
        );
        await Promise.all(
          message.reads.map(({ buffer, offset }, i) => device.read(this.#buffer(buffer), offset, found[i])),
        );
        return message.reads.map(({ into }, i) => (into === undefined ? sentBytes(found[i]) : undefined));
      }
      case "close":
        await device.close();
        return undefined;
    }
  }
}

export async function start(port: WorkerPort): Promise<void> {
  const { target } = port.data as WorkerData;
  const post = (message: FromWorker): void => port.postMessage(message);
  let served: Promise<Served | undefined>;
  /** What a message without an answer met; the next answer tells. */
  let failure: SentError | undefined;
  port.onMessage((received) => {
    const message = received as ToWorker;
    void served.then(async (own) => {
      if (own === undefined) return;
      try {
        const value = await own.handle(message);
        if (!("request" in message)) return;
        const error = failure;
        failure = undefined;
        const { request } = message;
        post({
          type: "answer",
          request,
          ...(value === undefined ? {} : { value }),
          ...(error === undefined ? {} : { error }),
          stats: own.stats,
          times: own.takeTimes(),
        });
      } catch (error) {
        if (!("request" in message)) failure ??= errorOf(error);
        else post({ type: "answer", request: message.request, error: failure ?? errorOf(error), stats: own.stats });
      }
    });
  });
  served = (async () => {
    const opened = await openGpuDevice(() => port.gpu());
    if ("unavailable" in opened) {
      post({ type: "absent", reason: opened.unavailable });
      return undefined;
    }
    post({ type: "opened", capabilities: opened.capabilities });
    const { mapsEarly = false } = port;
    return new Served(new WebGpuDevice(opened, target, Number.MAX_SAFE_INTEGER, { stagesUploads: false, mapsEarly }));
  })();
}
