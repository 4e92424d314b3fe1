/** Why code from anyone was stopped: a word for each kernel on the device, which comes back with the next read. */
import { STOPS } from "../../../runtime/abi/gpu_code.ts";
import { KernelError } from "../../../runtime/core/diagnostics.ts";
import { USAGE } from "./usage.ts";

/** Kernels that are told apart; later ones share the last word. */
const SLOTS = 256;

/** Words on their way to the caller. */
export interface StopsTaken {
  readonly source: GPUBuffer;
  readonly bytes: number;
  /** @throws KernelError that names the first kernel that was stopped */
  readonly deliver: (words: ArrayBuffer) => void;
}

export class Stops {
  readonly #device: GPUDevice;
  readonly #slots: Map<string, number> = new Map();
  #buffer: GPUBuffer | undefined;
  #pending = false;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  get buffer(): GPUBuffer {
    this.#buffer ??= this.#device.createBuffer({
      size: SLOTS * 4,
      usage: USAGE.storage | USAGE.copySource | USAGE.copyTarget,
    });
    return this.#buffer;
  }

  /** The word of a kernel. */
  slotOf(kernel: string): number {
    const known = this.#slots.get(kernel);
    if (known !== undefined) return known;
    const slot = Math.min(this.#slots.size, SLOTS - 1);
    this.#slots.set(kernel, slot);
    return slot;
  }

  /** Says that code from anyone runs before the next read. */
  expect(): void {
    this.#pending = true;
  }

  /** What the next read brings along, where code from anyone ran. */
  take(): StopsTaken | undefined {
    if (!this.#pending) return undefined;
    this.#pending = false;
    const deliver = (bytes: ArrayBuffer): void => {
      const words = new Uint32Array(bytes);
      for (const [kernel, slot] of this.#slots)
        if (words[slot] !== 0)
          throw new KernelError("webgpu", kernel, STOPS[words[slot]] ?? `it was stopped with ${words[slot]}`);
    };
    return { source: this.buffer, bytes: SLOTS * 4, deliver };
  }

  clear(): void {
    this.#buffer?.destroy();
    this.#buffer = undefined;
  }
}
