/** What code for a target may rely on, and the figures that the cover's roofline starts from. */
import type { Capabilities, TuningRecord } from "../../../runtime/abi/device.ts";
import { FoveaError } from "../../../runtime/core/diagnostics.ts";

/**
 * Some thousand rows of a large MLP: little beside the values of a whole long sequence, and so long that what workers wait for
 * each other at the end of a step does not show (with a quarter of it batches of 8 took 3 % longer).
 */
const BLOCK_BYTES = 64 << 20;

/** Fast enough on every engine that was tried: none spills its registers. */
const SIMD128: Capabilities = {
  simd128: true,
  relaxedMadd: false,
  tileRows: 2,
  tileColumns: 16,
  tileTurn: 1,
  tileSpread: false,
  integerRows: 2,
  integerColumns: 16,
  flopsPerSecond: 54e9,
  bytesPerSecond: 10e9,
  launchSeconds: 1e-6,
  blockBytes: BLOCK_BYTES,
};

/**
 * Capabilities by target, best target first. `wasm-simd128-6x8` is for engines whose splat loads cost an instruction more,
 * `wasm-simd128-3x12` for places where the engine tests the bounds of memory in code, which adds an instruction to every load:
 * it has fewest loads for a multiplication of those tiles whose sums stay in registers.
 * - `simd128`: 128-bit vectors.
 * - `relaxedMadd`: `f32x4.relaxed_madd` exists, with which results may differ in the last bits between engines, and with it the
 *   other relaxed instructions, of which `i32x4.relaxed_dot_i8x16_i7x16_add_s` is used where all engines agree.
 * - `tileRows` x `tileColumns`: register tile of the matrix product that runs fastest.
 * - `tileTurn`: steps of K in a turn of its inner loop.
 * - `tileSpread`: each number of the f32 left-hand side of large products, and of queries and weights in attention, is stored
 *   four times side by side, in scratch, so that the inner loop loads vectors from one pointer.
 * - `integerRows` x `integerColumns`: as `tileRows` x `tileColumns`, for products of integers.
 * - `blockBytes`: memory that the values inside of an MLP may take, which is then run over some rows at a time (absent: any).
 * - `flopsPerSecond`, `bytesPerSecond`: one thread of a 2026 server core; `launchSeconds`: cost of starting a step.
 */
const TARGETS: Readonly<Record<string, Capabilities>> = {
  "wasm-relaxed": {
    simd128: true,
    relaxedMadd: true,
    tileRows: 6,
    tileColumns: 8,
    tileTurn: 4,
    tileSpread: false,
    integerRows: 6,
    integerColumns: 8,
    flopsPerSecond: 60e9,
    bytesPerSecond: 10e9,
    launchSeconds: 1e-6,
    blockBytes: BLOCK_BYTES,
  },
  "wasm-simd128": SIMD128,
  "wasm-simd128-6x8": { ...SIMD128, tileRows: 6, tileColumns: 8, tileSpread: true },
  "wasm-simd128-3x12": { ...SIMD128, tileRows: 3, tileColumns: 12, tileTurn: 2, integerRows: 3, integerColumns: 12 },
};

/**
 * Measured in whole products (docs/performance.md), not by a race at the first use: within milliseconds engines still run
 * unoptimised code, and a target that changes from one start to the next finds nothing in the cache.
 */
export const TUNED: readonly TuningRecord[] = [
  { engine: "JavaScriptCore", found: "wasm-simd128", target: "wasm-simd128-6x8" },
];

/** Target names that can be pinned, best first. */
export const WASM_TARGETS: readonly string[] = Object.keys(TARGETS);

/** @throws FoveaError `unknown_target` that lists the known names. */
export function wasmCapabilities(target: string): Capabilities {
  const found = Object.hasOwn(TARGETS, target) ? TARGETS[target] : undefined;
  if (found !== undefined) return found;
  throw new FoveaError(
    "unknown_target",
    `The device "wasm" has no target "${target}"; expected one of ${WASM_TARGETS.join(", ")}.`,
  );
}
