/** The loops that call kernels: the leader's, the helpers', and the one of a device without workers. */
import {
  ACTIVE,
  FAILED,
  LAUNCHES,
  LEADER_WAITS,
  MESSAGES,
  NEXT,
  noteFailure,
  OPEN,
  RUN,
  SCRATCH,
  SCRATCH_STRIDE,
  SLEEPERS,
  STEP,
  STOP,
  TABLE,
  WAKE,
} from "./control.ts";
import {
  ARGS_WORD,
  CHUNK_WORD,
  CODE_WORD,
  FIRST_WORD,
  GRID_WORD,
  PARTS_WORD,
  RECORD_WORDS,
  SHARED_WORD,
} from "./launch_table.ts";

/** A kernel: address of its arguments, first and last (exclusive) item or part of one, address of private scratch. */
export type Kernel = (args: number, begin: number, end: number, scratch: number) => void;

/** How long a worker spins before it sleeps; waking up costs 8 to 26 us. */
const HELPER_SPIN_MS = 0.05;
const LEADER_SPIN_MS = 0.1;
const LOADS_PER_CLOCK = 64;

/** Spins until the word differs from `value` or time is up; true when it differs. */
function spin(control: Int32Array<SharedArrayBuffer>, word: number, value: number, ms: number): boolean {
  const end = performance.now() + ms;
  do {
    for (let i = 0; i < LOADS_PER_CLOCK; i++) if (Atomics.load(control, word) !== value) return true;
  } while (performance.now() < end);
  return false;
}

/** One worker of a pool. Worker 0 leads: it walks the launch list; the others join the steps that it opens. */
export class PoolLoop {
  readonly kernels: Kernel[] = [];
  readonly #memory: WebAssembly.Memory;
  readonly #control: Int32Array<SharedArrayBuffer>;
  readonly #worker: number;
  #words: Int32Array;

  constructor(memory: WebAssembly.Memory, control: Int32Array<SharedArrayBuffer>, worker: number) {
    this.#memory = memory;
    this.#control = control;
    this.#worker = worker;
    this.#words = new Int32Array(memory.buffer);
  }

  /** Leader: runs a launch list to its end; false when it was stopped early. */
  lead(run: number, table: number, launches: number, scratch: number, stride: number): boolean {
    const control = this.#control;
    control[RUN] = run;
    control[TABLE] = table;
    control[LAUNCHES] = launches;
    control[SCRATCH] = scratch;
    control[SCRATCH_STRIDE] = stride;
    Atomics.store(control, FAILED, 0);
    this.#see(table, launches);
    for (let step = 0; step < launches; step++) {
      if (Atomics.load(control, STOP) === run) return false;
      const shared = this.#words[table / 4 + step * RECORD_WORDS + SHARED_WORD] === 1;
      // No helper reads these words now: the door of the step before was closed and everyone left.
      control[STEP] = step;
      Atomics.store(control, NEXT, 0);
      if (shared) this.#open();
      this.#work();
      if (shared) this.#close();
    }
    return Atomics.load(control, STOP) !== run;
  }

  /** Helper: joins steps until a message beyond the first `handled` waits; sleeps while there are none. */
  help(handled: number): void {
    const control = this.#control;
    let seen = Atomics.load(control, WAKE);
    for (;;) {
      if (Atomics.load(control, OPEN) === 1) this.#join();
      if (Atomics.load(control, MESSAGES) !== handled) return;
      if (!spin(control, WAKE, seen, HELPER_SPIN_MS)) {
        Atomics.add(control, SLEEPERS, 1);
        Atomics.wait(control, WAKE, seen);
        Atomics.sub(control, SLEEPERS, 1);
      }
      seen = Atomics.load(control, WAKE);
    }
  }

  #join(): void {
    const control = this.#control;
    Atomics.add(control, ACTIVE, 1);
    if (Atomics.load(control, OPEN) === 1) {
      this.#see(control[TABLE], control[LAUNCHES]);
      this.#work();
    }
    if (Atomics.sub(control, ACTIVE, 1) === 1 && Atomics.load(control, LEADER_WAITS) === 1) {
      Atomics.notify(control, ACTIVE);
    }
  }

  #open(): void {
    const control = this.#control;
    Atomics.store(control, OPEN, 1);
    Atomics.add(control, WAKE, 1);
    if (Atomics.load(control, SLEEPERS) > 0) Atomics.notify(control, WAKE);
  }

  /** Lets nobody in any more and waits for those inside: a helper that was never scheduled is not waited for. */
  #close(): void {
    const control = this.#control;
    Atomics.store(control, OPEN, 0);
    for (;;) {
      const active = Atomics.load(control, ACTIVE);
      if (active === 0) return;
      if (spin(control, ACTIVE, active, LEADER_SPIN_MS)) continue;
      Atomics.store(control, LEADER_WAITS, 1);
      // The last helper to leave notifies, so one sleep per value is enough.
      const still = Atomics.load(control, ACTIVE);
      if (still !== 0) Atomics.wait(control, ACTIVE, still);
      Atomics.store(control, LEADER_WAITS, 0);
    }
  }

  /** Claims chunks of the current step until none is left or the run is stopped. */
  #work(): void {
    const control = this.#control;
    const words = this.#words;
    const run = control[RUN];
    const record = (control[TABLE] >>> 0) / 4 + control[STEP] * RECORD_WORDS;
    const kernel = this.kernels[words[record + CODE_WORD]];
    const args = words[record + ARGS_WORD];
    const grid = words[record + GRID_WORD];
    const chunk = words[record + CHUNK_WORD];
    const first = words[record + FIRST_WORD];
    const parts = words[record + PARTS_WORD];
    const scratch = control[SCRATCH] + this.#worker * control[SCRATCH_STRIDE];
    try {
      for (;;) {
        if (Atomics.load(control, STOP) === run) return;
        const begin = first + Atomics.add(control, NEXT, 1) * chunk;
        if (begin >= grid) return;
        const end = Math.min(begin + chunk, grid);
        if (parts === 1) kernel(args, begin, end, scratch);
        else {
          for (let call = begin * parts; call < end * parts; call++) {
            if (Atomics.load(control, STOP) === run) return;
            kernel(args, call, call + 1, scratch);
          }
        }
      }
    } catch (error) {
      noteFailure(control, error instanceof Error ? error.message : String(error));
    }
  }

  /** Makes sure that the view reaches the table; the memory may have grown since the last run. */
  #see(table: number, launches: number): void {
    if ((table >>> 0) + launches * RECORD_WORDS * 4 <= this.#words.byteLength) return;
    // Growing by nothing makes every engine hand out a buffer of the present length.
    this.#memory.grow(0);
    this.#words = new Int32Array(this.#memory.buffer);
  }
}

/** A walk over a launch list that can pause between chunks. */
export class InlineLoop {
  readonly #kernels: readonly Kernel[];
  readonly #words: () => Int32Array;
  readonly #launches: number;
  readonly #scratch: number;
  /** Launch that runs, or that failed. */
  step = 0;
  /** Next item, or part where the launch has some. */
  #next = 0;

  /** @param words a current view of the records; memory may move between slices. */
  constructor(kernels: readonly Kernel[], words: () => Int32Array, launches: number, scratch: number) {
    this.#kernels = kernels;
    this.#words = words;
    this.#launches = launches;
    this.#scratch = scratch;
  }

  /** Launch that it is at, or where it ended. */
  get position(): number {
    return Math.max(0, Math.min(this.step, this.#launches - 1));
  }

  /** Works until `deadline` (`performance.now()` milliseconds); true when all is done. */
  advance(deadline: number): boolean {
    const words = this.#words();
    for (; this.step < this.#launches; this.step++) {
      const record = this.step * RECORD_WORDS;
      const kernel = this.#kernels[words[record + CODE_WORD]];
      const args = words[record + ARGS_WORD];
      const parts = words[record + PARTS_WORD];
      const grid = words[record + GRID_WORD] * parts;
      const chunk = parts === 1 ? words[record + CHUNK_WORD] : 1;
      this.#next = Math.max(this.#next, words[record + FIRST_WORD] * parts);
      while (this.#next < grid) {
        if (performance.now() >= deadline) return false;
        const begin = this.#next;
        this.#next = Math.min(begin + chunk, grid);
        kernel(args, begin, this.#next, this.#scratch);
      }
      this.#next = 0;
    }
    return true;
  }
}
