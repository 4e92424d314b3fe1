/** What one thread of this engine can reach at most: arithmetic in registers, and copies within each level of memory. */
import { type Code, f32x4, get, i32, set, v128 } from "../kernels/wasm/asm/code.ts";
import { type KernelModule, kernelModule } from "../kernels/wasm/asm/module.ts";
import { relaxedMultiplyAdd } from "../kernels/wasm/device/probe.ts";
import { advance, countDown } from "../kernels/wasm/emit/loops.ts";
import type { Ceilings } from "./benchmark.ts";

/** Chains of dependent sums: more than twice the latency of a multiplication and an addition, and within 16 registers. */
const CHAINS = 12;
/** Turns of the loop in one call. */
const TURNS = 100_000;
const TRIES = 15;

const KIB = 1024;
/** Bytes of source and destination together: within the second level of the cache, within the third, and beyond. */
const SETS = [256 * KIB, 8 * KIB * KIB, 256 * KIB * KIB];
const VECTORS = 4;
const PAGE = 64 * KIB;

type Kernel = (args: number, begin: number, end: number, scratch: number) => void;

/** sum = sum * a + b in every chain, `end` times; nothing is the same in two chains, so that no engine computes it once. */
function arithmetic(): KernelModule {
  const fused = relaxedMultiplyAdd() === "fused";
  return kernelModule((frame) => {
    const [a, b] = frame.locals("v128", 2);
    const sums = frame.locals("v128", CHAINS);
    const step = (sum: Code): Code =>
      fused ? f32x4.relaxedMadd(sum, get(a), get(b)) : f32x4.add(f32x4.mul(sum, get(a)), get(b));
    return [
      set(a, v128.load(get(frame.args))),
      set(b, v128.load(get(frame.args), 16)),
      sums.map((sum, i) => set(sum, f32x4.of(i))),
      countDown(
        frame.end,
        sums.map((sum) => set(sum, step(get(sum)))),
      ),
      sums.map((sum, i) => v128.store(get(frame.scratch), get(sum), 16 * i)),
    ];
  });
}

/** Copies `end` runs of 64 bytes from `begin` to `scratch`. */
function copying(): KernelModule {
  return kernelModule((frame) => {
    const vectors = frame.locals("v128", VECTORS);
    return countDown(frame.end, [
      vectors.map((vector, i) => set(vector, v128.load(get(frame.begin), 16 * i))),
      vectors.map((vector, i) => v128.store(get(frame.scratch), get(vector), 16 * i)),
      advance(frame.begin, i32.of(16 * VECTORS)),
      advance(frame.scratch, i32.of(16 * VECTORS)),
    ]);
  });
}

/** The shortest of some runs in milliseconds: a ceiling is what was reached once. */
function shortest(run: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TRIES; i++) {
    const begin = performance.now();
    run();
    best = Math.min(best, performance.now() - begin);
  }
  return best;
}

export function measureCeilings(): Ceilings {
  const most = Math.max(...SETS);
  const memory = new WebAssembly.Memory({ initial: 1 + most / PAGE, maximum: 65536 });
  new Float32Array(memory.buffer).fill(1);
  new Float32Array(memory.buffer, 0, 4).fill(0.5);
  const instance = ({ bytes }: KernelModule): Kernel => {
    const module = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
    return new WebAssembly.Instance(module, { e: { m: memory } }).exports.f as Kernel;
  };
  const compute = instance(arithmetic());
  const gflops = (TURNS * CHAINS * 4 * 2) / shortest(() => compute(0, 0, TURNS, KIB)) / 1e6;
  const copy = instance(copying());
  const copies = SETS.map((bytes) => {
    const half = bytes / 2;
    // Small sets are copied often enough for the clock.
    const times = Math.max(1, Math.round((16 * KIB * KIB) / bytes));
    const ms = shortest(() => {
      for (let i = 0; i < times; i++) copy(0, PAGE, half / (16 * VECTORS), PAGE + half);
    });
    return { bytes, gbytes: (times * bytes) / ms / 1e6 };
  });
  return { gflops, copies };
}
