/**
 * Bound launches as 32-bit words in device memory, so that starting a run sends two numbers and no objects. One record
 * per launch, then the argument words of all launches.
 */
import type { Launch } from "../../../runtime/abi/device.ts";
import { internal } from "../../../runtime/core/diagnostics.ts";

export const RECORD_WORDS = 7;
export const CODE_WORD = 0;
export const ARGS_WORD = 1;
export const GRID_WORD = 2;
export const CHUNK_WORD = 3;
/** 1 when helpers may join. */
export const SHARED_WORD = 4;
/** First grid item. */
export const FIRST_WORD = 5;
/** Calls for each grid item. */
export const PARTS_WORD = 6;

/** 200 us of work at 20 GFLOP/s: the longest a worker goes without testing for an abort. */
const CHUNK_FLOPS = 4e6;
/** 10 us: claiming a chunk must stay cheap beside computing it. */
const SMALLEST_CHUNK_FLOPS = 2e5;
/** 15 us: below this, waking a helper costs more than it brings. */
const SOLO_FLOPS = 3e5;
/** Chunks per worker, so that one that starts late still leaves the others little to wait for. */
const CHUNKS_PER_WORKER = 4;
/** Chunks of a launch that only moves data, whose work is not known, */
const UNKNOWN_CHUNKS = 32;
/** and most items of one: they are a few kilobytes each. */
const UNKNOWN_ITEMS = 512;

export interface Division {
  /** Grid items per claim. */
  readonly chunk: number;
  readonly shared: boolean;
}

/** How `workers` divide a grid. */
export function divide(grid: number, flops: number, workers: number): Division {
  if (grid <= 1) return { chunk: 1, shared: false };
  if (flops <= 0) return { chunk: Math.min(Math.ceil(grid / UNKNOWN_CHUNKS), UNKNOWN_ITEMS), shared: workers > 1 };
  if (flops < SOLO_FLOPS) return { chunk: grid, shared: false };
  const perItem = flops / grid;
  const balanced = workers > 1 ? grid / (workers * CHUNKS_PER_WORKER) : grid;
  const items = Math.max(SMALLEST_CHUNK_FLOPS / perItem, Math.min(balanced, CHUNK_FLOPS / perItem));
  return { chunk: Math.min(grid, Math.max(1, Math.floor(items))), shared: workers > 1 };
}

/** Words that a launch list takes. */
export function tableWords(launches: readonly Launch[]): number {
  return launches.reduce((words, launch) => words + RECORD_WORDS + launch.args.length, 0);
}

/** Writes records and arguments to `words`, which begin at device address `address`. */
export function writeTable(
  words: Int32Array,
  address: number,
  launches: readonly Launch[],
  codeIndex: (code: string) => number,
  workers: number,
): void {
  let next = launches.length * RECORD_WORDS;
  launches.forEach((launch, position) => {
    const { grid, flops, parts = 1 } = launch;
    if (!Number.isInteger(grid) || grid < 0 || !(parts >= 1) || grid * parts > 0x7fffffff) {
      internal(`${launch.kernel} has a grid of ${grid} items of ${parts} parts`);
    }
    const first = launch.first ?? 0;
    if (!(first >= 0 && first <= grid)) internal(`${launch.kernel} begins at item ${first} of ${grid}`);
    const share = grid === 0 ? 0 : (grid - first) / grid;
    const { chunk, shared } = divide(grid - first, flops * share, workers);
    const record = position * RECORD_WORDS;
    words[record + CODE_WORD] = codeIndex(launch.code);
    words[record + ARGS_WORD] = address + next * 4;
    words[record + GRID_WORD] = grid;
    words[record + CHUNK_WORD] = chunk;
    words[record + SHARED_WORD] = shared ? 1 : 0;
    words[record + FIRST_WORD] = first;
    words[record + PARTS_WORD] = parts;
    for (const arg of launch.args) {
      const value = typeof arg === "number" ? arg : arg.buffer.address + arg.offset;
      if (!Number.isInteger(value) || value < -0x80000000 || value > 0xffffffff) {
        internal(`${launch.kernel} has the argument ${value}, which is not a 32-bit integer`);
      }
      words[next++] = value;
    }
  });
}
