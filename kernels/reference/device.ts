/** The reference device: the evaluator behind the device interface; slow, exact, on the caller's thread, always there. */
import type {
  BoundProgram,
  Capabilities,
  Device,
  DeviceBuffer,
  DeviceHost,
  DeviceSpec,
  DeviceStats,
  Launch,
  OpenOptions,
  RunOptions,
} from "../../runtime/abi/device.ts";
import { FoveaError, internal } from "../../runtime/core/diagnostics.ts";
import { REFERENCE_TARGET, referenceCapabilities } from "./capabilities.ts";
import { decodeCode, type ReferenceCode } from "./code.ts";
import { runLaunch } from "./launch.ts";
import { DEFAULT_BUDGET, ReferenceMemory } from "./memory.ts";

/** Work between two turns of the event loop; about 10 ms. */
const FLOPS_BETWEEN_YIELDS = 4e6;

interface Program extends BoundProgram {
  position: number;
  readonly list: readonly { readonly launch: Launch; readonly code: ReferenceCode }[];
  released: boolean;
}

const eventLoopTurn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

class ReferenceDevice implements Device {
  readonly kind: string = "reference";
  readonly target: string = REFERENCE_TARGET;
  readonly capabilities: Capabilities = referenceCapabilities(REFERENCE_TARGET);
  readonly threads: number = 0;
  readonly #memory: ReferenceMemory;
  readonly #codes: Map<string, ReferenceCode> = new Map();
  #modulesCompiled = 0;
  #runs = 0;
  #closed = false;

  constructor(budget: number) {
    this.#memory = new ReferenceMemory(budget);
  }

  async load(code: ReadonlyMap<string, Uint8Array>): Promise<number> {
    this.#check();
    const fresh = [...code].filter(([digest]) => !this.#codes.has(digest));
    const decoded = fresh.map(([digest, bytes]) => [digest, decodeCode(digest, bytes)] as const);
    for (const [digest, made] of decoded) this.#codes.set(digest, made);
    this.#modulesCompiled += decoded.length;
    return decoded.length;
  }

  has(code: string): boolean {
    return this.#codes.has(code);
  }

  allocate(bytes: number): DeviceBuffer {
    this.#check();
    return this.#memory.allocate(bytes);
  }

  release(buffer: DeviceBuffer): void {
    // Closing gave all buffers back already.
    if (!this.#closed) this.#memory.release(buffer);
  }

  write(buffer: DeviceBuffer, offset: number, data: Uint8Array): void {
    this.#check();
    this.#memory.window(buffer, offset, data.length).set(data);
  }

  async read(buffer: DeviceBuffer, offset: number, into: Uint8Array): Promise<void> {
    this.#check();
    into.set(this.#memory.window(buffer, offset, into.length));
  }

  bind(launches: readonly Launch[]): BoundProgram {
    this.#check();
    const list = launches.map((launch) => ({
      launch,
      code: this.#codes.get(launch.code) ?? internal(`code ${launch.code} is bound before it is loaded`),
    }));
    const program: Program = {
      launches: list.length,
      position: 0,
      list,
      released: false,
      release: () => {
        program.released = true;
      },
    };
    return program;
  }

  async run(bound: BoundProgram, { signal, onStart }: RunOptions): Promise<void> {
    const program = bound as Program;
    this.#check();
    signal?.throwIfAborted();
    if (program.released) internal("a released program is run");
    onStart?.();
    let work = 0;
    for (const [position, { launch, code }] of program.list.entries()) {
      program.position = position;
      work += launch.flops;
      if (work >= FLOPS_BETWEEN_YIELDS) {
        work = launch.flops;
        await eventLoopTurn();
        this.#check();
        signal?.throwIfAborted();
      }
      runLaunch(this.#memory, code, launch);
    }
    this.#runs++;
  }

  stats(): DeviceStats {
    const { bytesInUse, peakBytes, limitBytes } = this.#memory;
    return { modulesCompiled: this.#modulesCompiled, bytesInUse, peakBytes, limitBytes, runs: this.#runs };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#memory.clear();
  }

  #check(): void {
    if (this.#closed) {
      throw new FoveaError("device_closed", 'The device "reference" is closed; open it again to run on it.');
    }
  }
}

/** @throws FoveaError `unknown_target`, `invalid_options` */
async function open(_host: DeviceHost, options: OpenOptions): Promise<Device> {
  referenceCapabilities(options.target ?? REFERENCE_TARGET);
  if (options.threads !== undefined && options.threads !== 0) {
    throw new FoveaError(
      "invalid_options",
      `The device "reference" computes on the caller's thread and has no workers; found \`threads\` ${options.threads}, expected 0.`,
    );
  }
  const budget = options.memory ?? DEFAULT_BUDGET;
  if (!Number.isFinite(budget) || budget < 1) {
    throw new FoveaError("invalid_options", `\`memory\` is ${budget}; expected a number of bytes.`);
  }
  return new ReferenceDevice(budget);
}

export const REFERENCE_DEVICE: DeviceSpec = {
  kind: "reference",
  targets: [REFERENCE_TARGET],
  probe: async () => ({ target: REFERENCE_TARGET, capabilities: referenceCapabilities(REFERENCE_TARGET) }),
  targetCapabilities: referenceCapabilities,
  open,
};
