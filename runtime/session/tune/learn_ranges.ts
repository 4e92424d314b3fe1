/** Learns compile ranges from the sizes that calls had: ends along one symbol and exact tuples, within a number of artifacts. */
import type { Bindings, Box } from "../../core/dim.ts";
import { boxHolds, type RangeList } from "../../core/range.ts";

/** Dims that a component was called with, and how often. */
export interface SizeSample {
  readonly dims: Bindings;
  readonly count: number;
}

/** Seconds of one call by its dims, for the code of one box. */
export type CallCost = (dims: Bindings) => number;

export interface LearnOptions {
  readonly symbols: Box;
  /** Most artifacts. */
  readonly budget: number;
  readonly cost: (box: Box) => Promise<CallCost>;
}

export interface Learned {
  readonly ranges: RangeList;
  readonly artifacts: number;
  /** Of all samples together. */
  readonly seconds: number;
}

/** Values of a symbol that an end may lie at; those between are joined with the next. */
const MOST_POINTS = 16;
/** Exact tuples that are tried. */
const MOST_EXACT = 4;
/** Part of the time that one artifact more must save. */
const LEAST_GAIN = 0.002;

const text = (dims: Bindings): string => JSON.stringify(Object.entries(dims).sort());

/** Seconds of all samples where each is served by the first box that holds it. Samples that none holds count nothing. */
export async function secondsUnder(
  boxes: readonly Box[],
  samples: readonly SizeSample[],
  cost: LearnOptions["cost"],
): Promise<number> {
  let seconds = 0;
  for (const { dims, count } of samples) {
    const box = boxes.find((b) => boxHolds(b, dims));
    if (box !== undefined) seconds += count * (await cost(box))(dims);
  }
  return seconds;
}

/** Samples by the value of one symbol, in few groups: each ends at a value that was seen. */
function pointsOf(symbol: string, samples: readonly SizeSample[]): readonly (readonly SizeSample[])[] {
  const byValue = new Map<number, SizeSample[]>();
  for (const sample of samples) {
    const value = sample.dims[symbol];
    byValue.set(value, [...(byValue.get(value) ?? []), sample]);
  }
  const groups = [...byValue.entries()].sort(([a], [b]) => a - b).map(([, group]) => group);
  const weight = (group: readonly SizeSample[]): number => group.reduce((n, s) => n + s.count, 0);
  while (groups.length > MOST_POINTS) {
    const sums = groups.slice(1).map((group, i) => weight(group) + weight(groups[i]));
    const at = sums.indexOf(Math.min(...sums));
    groups.splice(at, 2, [...groups[at], ...groups[at + 1]]);
  }
  return groups;
}

interface Cut {
  readonly seconds: number;
  readonly ends: readonly number[];
}

/** The best cuts of one symbol into 1, 2, ... ranges: dynamic programming over the sizes in order. */
async function bestCuts(
  symbol: string,
  samples: readonly SizeSample[],
  most: number,
  { symbols, cost }: LearnOptions,
): Promise<readonly Cut[]> {
  const whole = symbols[symbol];
  const seen = pointsOf(symbol, samples);
  const largest = Math.max(...samples.map((s) => s.dims[symbol]));
  // Sizes beyond all that were seen may have a range that nobody waits for.
  const points = largest < whole.max ? [...seen, []] : seen;
  const endOf = (at: number): number => Math.max(...points[at].map((s) => s.dims[symbol]));
  /** Seconds of points `from`..`to` in a range of their own, which begins behind the point before. */
  const alone = async (from: number, to: number): Promise<number> => {
    const min = from === 0 ? whole.min : endOf(from - 1) + 1;
    const max = to === points.length - 1 ? whole.max : endOf(to);
    const inBox = await cost({ ...symbols, [symbol]: { ...whole, min, max } });
    return points
      .slice(from, to + 1)
      .reduce((sum, group) => sum + group.reduce((n, s) => n + s.count * inBox(s.dims), 0), 0);
  };
  /** By number of ranges, then by last point. */
  let rows: (Cut | undefined)[] = [];
  for (let to = 0; to < points.length; to++) rows.push({ seconds: await alone(0, to), ends: [] });
  const best: Cut[] = [rows[points.length - 1] as Cut];
  for (let ranges = 2; ranges <= Math.min(most, points.length); ranges++) {
    const next: (Cut | undefined)[] = [];
    for (let to = 0; to < points.length; to++) {
      let found: Cut | undefined;
      for (let from = ranges - 1; from <= to; from++) {
        const before = rows[from - 1];
        if (before === undefined) continue;
        const seconds = before.seconds + (await alone(from, to));
        if (found === undefined || seconds < found.seconds)
          found = { seconds, ends: [...before.ends, endOf(from - 1)] };
      }
      next.push(found);
    }
    rows = next;
    best.push(rows[points.length - 1] as Cut);
  }
  return best;
}

/**
 * The ranges that take the least time for these sizes by `cost`. An artifact more must save two thousandths of it.
 * @param samples inside of the symbols' intervals, at least one
 */
export async function learnRanges(samples: readonly SizeSample[], options: LearnOptions): Promise<Learned> {
  const { symbols, budget } = options;
  const known = new Map<string, Promise<CallCost>>();
  const cost = (box: Box): Promise<CallCost> => {
    const key = JSON.stringify(box);
    const found = known.get(key) ?? options.cost(box);
    known.set(key, found);
    return found;
  };
  const remembered = { ...options, cost };
  const inWhole = await cost(symbols);
  const byTime = [...samples].sort(
    (a, b) => b.count * inWhole(b.dims) - a.count * inWhole(a.dims) || (text(a.dims) < text(b.dims) ? -1 : 1),
  );
  let best: Learned | undefined;
  const consider = (rival: Learned): void => {
    const gain = best === undefined ? Number.POSITIVE_INFINITY : (best.seconds - rival.seconds) / best.seconds;
    const more = rival.artifacts - (best?.artifacts ?? 0);
    if (gain > LEAST_GAIN * Math.max(0, more)) best = rival;
  };
  for (let exact = 0; exact <= Math.min(MOST_EXACT, budget - 1, samples.length); exact++) {
    const tuples = byTime.slice(0, exact).map((s) => s.dims);
    const points = tuples.map((dims) =>
      Object.fromEntries(Object.entries(dims).map(([n, v]) => [n, { min: v, max: v }])),
    );
    const fixed = await secondsUnder(points, byTime.slice(0, exact), cost);
    const rest = byTime.slice(exact);
    const most = budget - exact;
    for (const symbol of Object.keys(symbols)) {
      const cuts = rest.length === 0 ? [{ seconds: 0, ends: [] }] : await bestCuts(symbol, rest, most, remembered);
      cuts.forEach(({ seconds, ends }) => {
        const ranges: RangeList = {
          ...(ends.length === 0 ? {} : { ends: { [symbol]: ends } }),
          ...(exact === 0 ? {} : { exact: tuples }),
        };
        consider({ ranges, artifacts: ends.length + 1 + exact, seconds: fixed + seconds });
      });
    }
  }
  return best as Learned;
}
