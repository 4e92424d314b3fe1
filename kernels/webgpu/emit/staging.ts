/** Lines of matrices on their way to workgroup memory, where they lie by steps of the summed dimension, a step's lines in fours. */
import type { KernelScope } from "./kernel.ts";

export const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);
export const PARTS = ["x", "y", "z", "w"] as const;

/** A matrix of which a tile is staged. */
export interface Side {
  /** Its pointer. */
  readonly name: string;
  /** Rows of A or columns of B in a tile. */
  readonly lines: number;
  /** WGSL: lines that there are, and the tile's first. */
  readonly count: string;
  readonly first: string;
  /** Steps lie one behind the other in memory; otherwise lines do. */
  readonly alongSteps: boolean;
  /** WGSL: element at which the matrix begins. */
  readonly start: string;
  /** WGSL: elements from line to line, or from step to step where lines lie one behind the other. */
  readonly step: string;
  /** Fours of a step before this side's. */
  readonly base: number;
}

/** How much is staged at a time. */
export interface Stage {
  /** Steps, and those that are written out; powers of two. */
  readonly depth: number;
  readonly unrolled: number;
  readonly invocations: number;
  /** There are always as many steps as are staged; otherwise those from `end_k` on are 0. */
  readonly whole: boolean;
}

/** Fours from a step to the next: one more than there are, so that steps begin in different banks. */
export const pitch = (lines: number): number => lines / 4 + 1;

/** WGSL of a side. */
export interface Staging {
  /** Declares what values are held in on their way. */
  readonly hold: string;
  /** Declares where an invocation's values lie; `first` of the side is read here. */
  readonly place: string;
  /** Takes the values of the steps from `at_k` on, and puts them into workgroup memory. */
  readonly take: string;
  readonly put: string;
}

export function staging(
  side: Side,
  { depth: staged, unrolled, invocations, whole }: Stage,
  { load }: KernelScope,
): Staging {
  const { name, lines, count, first, alongSteps, start, step, base } = side;
  const fours = lines / 4;
  const [hold, place, take, put]: string[][] = [[], [], [], []];
  const entries = fours * staged;
  for (const i of range(Math.ceil(entries / invocations))) {
    const [depth, four] = [`${name}_depth${i}`, `${name}_four${i}`];
    const s = `(lane + ${i * invocations}u)`;
    // Neighbours read neighbours.
    place.push(
      alongSteps
        ? `let ${depth} = ${s} % ${staged}u; let ${four} = ${s} / ${staged}u;`
        : `let ${depth} = ${s} / ${fours}u; let ${four} = ${s} % ${fours}u;`,
    );
    hold.push(`var ${name}${i} = vec4<f32>();`);
    const reads = PARTS.map((part, p) => {
      // Lines behind the last repeat it: their results are not stored.
      const line = `min(${first} + ${four} * 4u + ${p}u, ${count} - 1u)`;
      const at = alongSteps ? `${line} * ${step} + ${depth}` : `${depth} * ${step} + ${line}`;
      place.push(`let ${name}_at${i}_${p} = ${start} + ${at};`);
      const read = load(name, `${name}_at${i}_${p} + at_k${alongSteps ? "" : ` * ${step}`}`);
      return `${name}${i}.${part} = ${whole ? read : `select(0.0f, ${read}, at_k + ${depth} < end_k)`};`;
    });
    const guard = (i + 1) * invocations > entries ? `if (${s} < ${entries}u) ` : "";
    take.push(`${guard}{ ${reads.join("\n    ")} }`);
    put.push(`${guard}{ tile[${depth} / ${unrolled}u][${depth} % ${unrolled}u][${four} + ${base}u] = ${name}${i}; }`);
  }
  const [holds, places, takes, puts] = [hold, place, take, put].map((list) => list.join("\n    "));
  return { hold: holds, place: places, take: takes, put: puts };
}
