/** A device without workers: kernels run on the caller's thread, in slices. */

import { noteRelease, RELEASE_WORDS } from "./foreign_call.ts";
import type { Channel } from "./isolate_channel.ts";
import { noIsolates } from "./isolate_refusal.ts";
import type { Isolates } from "./isolates.ts";
import { RECORD_WORDS } from "./launch_table.ts";
import { type Code, type CompileCode, kernelFailure, LinearDevice, type Work } from "./linear_device.ts";
import { LinearMemory } from "./memory.ts";
import { InlineLoop, type Kernel } from "./run_loop.ts";
import { type LinkGlued, linkKernel } from "./sandbox.ts";

/** Work between two turns of the event loop unless told otherwise; a timer waits for at most a few of them. */
const SLICE_MS = 5;

/**
 * Lets timers and messages through. A message channel would be quicker, but ping-pong over one starves timers on every
 * runtime; a zero timeout costs 1 to 4 ms.
 */
function turn(): Promise<void> {
  const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => unknown };
  return new Promise((resolve) => {
    if (setImmediate !== undefined) setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}

export interface InlineOptions {
  readonly sliceMs?: number;
  /** Links components by glue, which makes code; such components are refused without it. */
  readonly glued?: LinkGlued;
  /** Workers of their own for kernels that want them, or why there are none. */
  readonly isolates?: Isolates | string;
}

export class InlineDevice extends LinearDevice {
  readonly #kernels: Kernel[] = [];
  readonly #releases = new Int32Array(RELEASE_WORDS);
  /** Milliseconds of work since the event loop last turned for us: many short runs in a row must yield too. */
  #worked = 0;
  #interrupted = false;
  readonly #sliceMs: number;
  readonly #glued: LinkGlued | undefined;
  readonly #isolates: Isolates | string;
  #loop: InlineLoop | undefined;

  constructor(
    target: string,
    bound: number,
    compile: CompileCode,
    { sliceMs = SLICE_MS, glued, isolates = "there are no workers here" }: InlineOptions = {},
  ) {
    super(target, 0, new LinearMemory(bound, false), compile);
    this.#sliceMs = sliceMs;
    this.#glued = glued;
    this.#isolates = isolates;
  }

  protected async install(codes: readonly Code[]): Promise<void> {
    const isolates = this.#isolates;
    const shared = new Map<WebAssembly.Module, WebAssembly.Exports>();
    for (const { index, module, entry, sandbox } of codes) {
      if (entry !== undefined) {
        const exported =
          shared.get(module) ?? new WebAssembly.Instance(module, { e: { m: this.memory.memory } }).exports;
        shared.set(module, exported);
        this.#kernels[index] = exported[entry] as Kernel;
        continue;
      }
      const link = (isolate?: Channel): Kernel =>
        linkKernel(
          { module, ...(sandbox === undefined ? {} : { sandbox }) },
          this.memory.memory,
          this.#releases,
          this.#glued,
          isolate,
        );
      if (sandbox?.memory !== "worker") this.#kernels[index] = link();
      else if (typeof isolates === "string") throw noIsolates(isolates);
      else this.#kernels[index] = link((await isolates.start({ index, module, sandbox }, 1))[0]);
    }
  }

  protected async execute(work: Work): Promise<void> {
    this.#interrupted = false;
    const words = (): Int32Array => this.memory.words(work.table, work.launches * RECORD_WORDS);
    const loop = new InlineLoop(this.#kernels, words, work.launches, work.scratch);
    this.#loop = loop;
    while (!this.#interrupted) {
      const begin = performance.now();
      let done: boolean;
      try {
        done = loop.advance(begin + Math.max(0, this.#sliceMs - this.#worked));
      } catch (cause) {
        if (typeof this.#isolates !== "string") this.#isolates.reap();
        throw kernelFailure(work.kernels[loop.step], cause instanceof Error ? cause.message : String(cause), cause);
      }
      this.#worked += performance.now() - begin;
      if (done) return;
      await turn();
      this.#worked = 0;
    }
  }

  protected released(address: number, bytes: number): void {
    noteRelease(this.#releases, address, bytes);
  }

  protected interrupt(): void {
    this.#interrupted = true;
  }

  protected position(): number {
    return this.#loop?.position ?? 0;
  }

  protected onBusy(): void {}

  protected async shutDown(): Promise<void> {
    this.#kernels.length = 0;
    if (typeof this.#isolates !== "string") await this.#isolates.end();
  }
}
