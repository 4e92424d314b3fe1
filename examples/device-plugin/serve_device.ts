/** The other side: a fovea device behind HTTP, one for each session. */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { FoveaError, KernelError } from "fovea";
import type { BoundProgram, Device, DeviceBuffer, DeviceHost, DeviceSpec, Launch } from "fovea/abi";
import { wasmPlugin } from "fovea/wasm";
import {
  type About,
  type Answer,
  type Command,
  decodeMessage,
  encodeMessage,
  type OpenRequest,
  type SentError,
} from "./protocol.ts";

const [WASM] = wasmPlugin.devices as readonly DeviceSpec[];

function sentError(error: unknown): SentError {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof KernelError) {
    const { code, device, step, reason } = error;
    return { code, message, kernel: { device, step, reason } };
  }
  return { code: error instanceof FoveaError ? error.code : "remote_failed", message };
}

class Session {
  readonly #device: Device;
  readonly #buffers: Map<number, DeviceBuffer> = new Map();
  readonly #programs: Map<number, BoundProgram> = new Map();
  #running: AbortController | undefined;

  constructor(device: Device) {
    this.#device = device;
  }

  /** Carries out a list of commands up to the first that fails. */
  async run(message: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    const { value: commands, take } = decodeMessage<readonly Command[]>(message);
    const found: Uint8Array[] = [];
    let compiled = 0;
    try {
      for (const command of commands) {
        if (command.type === "load") {
          const codes = new Map(command.codes.map(({ digest, bytes }) => [digest, take(bytes)]));
          compiled += await this.#device.load(codes);
        } else if (command.type === "read") found.push(await this.#read(command));
        else if (command.type === "run") await this.#runProgram(command.program);
        else this.#now(command, take);
      }
      return encodeMessage({ compiled } satisfies Answer, found);
    } catch (error) {
      return encodeMessage({ compiled, error: sentError(error) } satisfies Answer, []);
    }
  }

  abort(): void {
    this.#running?.abort(new Error("The caller no longer wants this run."));
  }

  close(): Promise<void> {
    return this.#device.close();
  }

  #now(command: Exclude<Command, { type: "load" | "read" | "run" }>, take: (bytes: number) => Uint8Array): void {
    const device = this.#device;
    if (command.type === "allocate") this.#buffers.set(command.buffer, device.allocate(command.bytes));
    else if (command.type === "release") {
      device.release(this.#buffer(command.buffer));
      this.#buffers.delete(command.buffer);
    } else if (command.type === "write")
      device.write(this.#buffer(command.buffer), command.offset, take(command.bytes));
    else if (command.type === "bind") {
      const launches = command.launches.map(
        ({ args, ...launch }): Launch => ({
          ...launch,
          args: args.map((a) => (typeof a === "number" ? a : { buffer: this.#buffer(a.buffer), offset: a.offset })),
        }),
      );
      this.#programs.set(command.program, device.bind(launches));
    } else {
      this.#programs.get(command.program)?.release();
      this.#programs.delete(command.program);
    }
  }

  async #read({ buffer, offset, bytes }: { buffer: number; offset: number; bytes: number }): Promise<Uint8Array> {
    const into = new Uint8Array(bytes);
    await this.#device.read(this.#buffer(buffer), offset, into);
    return into;
  }

  async #runProgram(id: number): Promise<void> {
    const program = this.#programs.get(id);
    if (program === undefined) throw new FoveaError("bad_request", `There is no program ${id} in this session.`);
    this.#running = new AbortController();
    await this.#device.run(program, { signal: this.#running.signal });
  }

  #buffer(id: number): DeviceBuffer {
    const buffer = this.#buffers.get(id);
    if (buffer !== undefined) return buffer;
    throw new FoveaError("bad_request", `There is no buffer ${id} in this session.`);
  }
}

async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of request) parts.push(part as Uint8Array);
  return new Uint8Array(Buffer.concat(parts));
}

export interface ServedDevice {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves the WebAssembly device of this process to this machine alone: code that comes in is run.
 * @param port a free one unless given
 */
export async function serveDevice(port = 0): Promise<ServedDevice> {
  const host: DeviceHost = { name: "remote", cores: 1 };
  const sessions = new Map<string, Session>();
  const open = async ({ target, memory }: OpenRequest): Promise<object> => {
    const device = await WASM.open(host, { threads: 0, target, ...(memory === undefined ? {} : { memory }) });
    const session = randomUUID();
    sessions.set(session, new Session(device));
    return { session, limitBytes: device.stats().limitBytes };
  };
  const about = async (): Promise<About> => {
    const found = await WASM.probe(host);
    return { target: "target" in found ? found.target : WASM.targets[0], host: "fovea" };
  };
  const answer = async (path: string, body: Uint8Array): Promise<Uint8Array | object> => {
    if (path === "/about") return about();
    if (path === "/open") return open(JSON.parse(new TextDecoder().decode(body)) as OpenRequest);
    const [, id, what] = /^\/sessions\/([\w-]+)\/(run|abort|close)$/.exec(path) ?? [];
    const session = sessions.get(id ?? "");
    if (session === undefined) throw new FoveaError("bad_request", `There is nothing at ${path}.`);
    if (what === "run") return session.run(body);
    if (what === "abort") session.abort();
    else {
      sessions.delete(id);
      await session.close();
    }
    return {};
  };
  const server = createServer(async (request, response) => {
    let result: Uint8Array | object;
    try {
      result = await answer(request.url ?? "", await bodyOf(request));
    } catch (error) {
      result = sentError(error);
      response.statusCode = 400;
    }
    response.end(result instanceof Uint8Array ? result : JSON.stringify(result));
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      for (const session of sessions.values()) await session.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
