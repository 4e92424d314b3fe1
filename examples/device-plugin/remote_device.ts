/** A device in another process: what it is asked to do travels by HTTP, and artifacts run there. */
import { FoveaError, KernelError } from "fovea";
import {
  ABI_VERSION,
  type BoundProgram,
  type Device,
  type DeviceBuffer,
  type DeviceSpec,
  type DeviceStats,
  definePlugin,
  type Launch,
  type OpenOptions,
  type Plugin,
  type RunOptions,
} from "fovea/abi";
import { wasmPlugin } from "fovea/wasm";
import {
  type About,
  type Answer,
  type Command,
  decodeMessage,
  encodeMessage,
  type Opened,
  type SentError,
  type SentLaunch,
} from "./protocol.ts";

const KIND = "remote";
const [WASM] = wasmPlugin.devices as readonly DeviceSpec[];

interface Program extends BoundProgram {
  readonly id: number;
}

interface Connection {
  readonly url: string;
  readonly target: string;
  readonly session: string;
  readonly limitBytes: number;
}

/** An error as it was in the other process. */
function errorOf({ code, message, kernel }: SentError): Error {
  if (kernel !== undefined) return new KernelError(KIND, kernel.step, kernel.reason);
  return new FoveaError(code, message);
}

/** @throws FoveaError `device_lost` where nobody answers */
async function post(url: string, body: Uint8Array<ArrayBuffer> | string): Promise<Response> {
  try {
    return await fetch(url, { method: "POST", body });
  } catch (cause) {
    throw new FoveaError("device_lost", `The remote device at ${url} does not answer. Is its process still there?`, {
      cause,
    });
  }
}

class RemoteDevice implements Device {
  readonly kind: string = KIND;
  readonly target: string;
  readonly capabilities: Device["capabilities"];
  readonly threads: number = 0;
  readonly #connection: Connection;
  readonly #buffers: Map<DeviceBuffer, number> = new Map();
  readonly #codes: Set<string> = new Set();
  /** What was asked for and not sent: it travels with the next call that waits. */
  #commands: Command[] = [];
  #bytes: Uint8Array[] = [];
  /** Calls follow one another. */
  #last: Promise<unknown> = Promise.resolve();
  #lastId = 0;
  #inUse = 0;
  #peak = 0;
  #compiled = 0;
  #runs = 0;
  #closed = false;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.target = connection.target;
    this.capabilities = WASM.targetCapabilities(connection.target);
  }

  async load(code: ReadonlyMap<string, Uint8Array>): Promise<number> {
    this.#check();
    const fresh = [...code].filter(([digest]) => !this.#codes.has(digest));
    const codes = fresh.map(([digest, bytes]) => ({ digest, bytes: bytes.length }));
    this.#push(
      { type: "load", codes },
      fresh.map(([, bytes]) => bytes),
    );
    const { compiled } = await this.#send();
    for (const [digest] of fresh) this.#codes.add(digest);
    this.#compiled += compiled;
    return compiled;
  }

  has(code: string): boolean {
    return this.#codes.has(code);
  }

  allocate(bytes: number): DeviceBuffer {
    this.#check();
    const left = this.#connection.limitBytes - this.#inUse;
    if (bytes > left)
      throw new FoveaError("out_of_memory", `The remote device has ${left} bytes left; ${bytes} were asked for.`);
    const buffer: DeviceBuffer = Object.freeze({ bytes, address: 0 });
    const id = ++this.#lastId;
    this.#buffers.set(buffer, id);
    this.#inUse += bytes;
    this.#peak = Math.max(this.#peak, this.#inUse);
    this.#push({ type: "allocate", buffer: id, bytes });
    return buffer;
  }

  release(buffer: DeviceBuffer): void {
    if (this.#closed) return;
    this.#push({ type: "release", buffer: this.#of(buffer) });
    this.#buffers.delete(buffer);
    this.#inUse -= buffer.bytes;
  }

  write(buffer: DeviceBuffer, offset: number, data: Uint8Array): void {
    this.#check();
    // The caller may change its bytes before they travel.
    this.#push({ type: "write", buffer: this.#of(buffer), offset, bytes: data.length }, [data.slice()]);
  }

  async read(buffer: DeviceBuffer, offset: number, into: Uint8Array): Promise<void> {
    this.#check();
    this.#push({ type: "read", buffer: this.#of(buffer), offset, bytes: into.length });
    const { take } = await this.#send();
    into.set(take(into.length));
  }

  bind(launches: readonly Launch[]): BoundProgram {
    this.#check();
    const id = ++this.#lastId;
    const sent = launches.map(
      ({ args, ...launch }): SentLaunch => ({
        ...launch,
        args: args.map((a) => (typeof a === "number" ? a : { buffer: this.#of(a.buffer), offset: a.offset })),
      }),
    );
    this.#push({ type: "bind", program: id, launches: sent });
    const program: Program = {
      id,
      launches: launches.length,
      release: () => {
        if (!this.#closed) this.#push({ type: "unbind", program: id });
      },
    };
    return program;
  }

  async run(program: BoundProgram, { signal, onStart }: RunOptions): Promise<void> {
    this.#check();
    signal?.throwIfAborted();
    onStart?.();
    this.#push({ type: "run", program: (program as Program).id });
    const stop = (): void => void post(`${this.#address}/abort`, "").catch(() => {});
    signal?.addEventListener("abort", stop);
    try {
      await this.#send();
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", stop);
    }
    this.#runs++;
  }

  stats(): DeviceStats {
    const { limitBytes } = this.#connection;
    return {
      modulesCompiled: this.#compiled,
      bytesInUse: this.#inUse,
      peakBytes: this.#peak,
      limitBytes,
      runs: this.#runs,
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#last;
    await post(`${this.#address}/close`, "").catch(() => {});
  }

  get #address(): string {
    return `${this.#connection.url}/sessions/${this.#connection.session}`;
  }

  #of(buffer: DeviceBuffer): number {
    const id = this.#buffers.get(buffer);
    if (id === undefined) throw new Error("internal: a buffer is used that this device does not hold");
    return id;
  }

  #push(command: Command, bytes: readonly Uint8Array[] = []): void {
    this.#commands.push(command);
    this.#bytes.push(...bytes);
  }

  /** Sends everything that was asked for. @throws FoveaError as the other process found it */
  #send(): Promise<{ readonly compiled: number; readonly take: (bytes: number) => Uint8Array }> {
    const message = encodeMessage(this.#commands, this.#bytes);
    this.#commands = [];
    this.#bytes = [];
    const sent = this.#last.then(async () => {
      const response = await post(`${this.#address}/run`, message);
      const { value, take } = decodeMessage<Answer>(new Uint8Array(await response.arrayBuffer()));
      if (value.error !== undefined) throw errorOf(value.error);
      return { compiled: value.compiled, take };
    });
    this.#last = sent.catch(() => {});
    return sent;
  }

  #check(): void {
    if (this.#closed)
      throw new FoveaError("device_closed", 'The device "remote" is closed; open it again to run on it.');
  }
}

async function aboutOf(url: string): Promise<About | string> {
  try {
    const response = await fetch(`${url}/about`);
    return (await response.json()) as About;
  } catch (error) {
    return `nobody answers at ${url} (${error instanceof Error ? error.message : String(error)})`;
  }
}

/**
 * A plugin whose device computes in the process that serves at `url` (`server.ts`). Code for it is that of the WebAssembly
 * device.
 */
export function remotePlugin(url: string): Plugin {
  const device: DeviceSpec = {
    kind: KIND,
    targets: WASM.targets,
    targetCapabilities: WASM.targetCapabilities,
    probe: async () => {
      const about = await aboutOf(url);
      if (typeof about === "string") return { unavailable: about };
      return { target: about.target, capabilities: WASM.targetCapabilities(about.target) };
    },
    open: async (_host, { target, memory }: OpenOptions) => {
      const about = target === undefined ? await aboutOf(url) : { target };
      if (typeof about === "string")
        throw new FoveaError("device_unavailable", `The device "${KIND}" is not available: ${about}.`);
      WASM.targetCapabilities(about.target);
      const wanted = { target: about.target, ...(memory === undefined ? {} : { memory }) };
      const response = await post(`${url}/open`, JSON.stringify(wanted));
      const opened = (await response.json()) as Opened | SentError;
      if ("code" in opened) throw errorOf(opened);
      return new RemoteDevice({ url, target: about.target, ...opened });
    },
  };
  return definePlugin({
    name: "@example/remote-device",
    version: "1.0.0",
    abi: ABI_VERSION,
    devices: [device],
    kernels: (wasmPlugin.kernels ?? []).map((kernel) => ({ ...kernel, device: KIND })),
  });
}
