/** Expectations: reference values of every claim, so that whoever runs the artifact can check the kernels by comparing numbers. */
import type { Expectation } from "../abi/artifact.ts";
import { type Bindings, type Box, bounds, evaluate, product } from "../core/dim.ts";
import { type Fill, fillReader, nameSeed } from "../core/fill.ts";
import { hash32 } from "../core/random.ts";
import { createSampler } from "../ir/evaluate/sample.ts";
import type { Node, OpTable } from "../ir/node.ts";
import type { StepGroup } from "./emit.ts";
import { createViewResolver } from "./views.ts";

/** Positions sampled in a value, on a grid of at least this many rows where there are so many. */
const SAMPLED = 256;
const SAMPLED_ROWS = 16;

/** Work of an artifact whose proof runs at the upper corner of its range; larger ones are proven at the lower. */
const UPPER_CORNER_FLOPS = 1e9;

/** Share of the values' root mean square: several times what f32 sums of some thousand terms lose. */
const TOLERANCE = 1e-5;

/** Squares of smaller values come near to where f32 loses bits. */
const SMALLEST_SCALE = 2 ** -20;

function corner(box: Box, upper: boolean): Bindings {
  return Object.fromEntries(
    Object.entries(box).map(([name, { min, max, multipleOf = 1 }]) => [
      name,
      // An empty value has nothing to sample.
      upper ? max - (max % multipleOf) : Math.ceil(Math.max(min, 1) / multipleOf) * multipleOf,
    ]),
  );
}

/** How a buffer is filled, by what the claim's ops read in it. */
function fillFor(
  base: Node,
  group: StepGroup,
  view: (node: Node) => { base: Node },
  seed: number,
  dims: Bindings,
): Fill {
  const size = (node: Node, axis: number): number => evaluate(node.shape[axis], dims);
  for (const node of group.claim.covers) {
    const [x] = node.inputs;
    const at = node.inputs.findIndex((i) => view(i).base === base);
    if (at === 1 && node.op === "gather") return { kind: "index", seed, below: size(x, 0) };
    if (at === 1 && node.op === "take_row") return { kind: "index", seed, below: size(x, 1) };
    if (at > 2 && node.op === "attention") {
      const keys = size(node.inputs[1], 1);
      if (at === 3 && node.attributes.key_mask === true) return { kind: "mask", seed, row: keys };
      return { kind: "offsets", count: size(node.inputs[at], 0), total: keys };
    }
  }
  if (base.dtype !== "f32") return { kind: "index", seed, below: 128 };
  return { kind: "uniform", seed, scale: uniformScale(group) };
}

/** Values as small as the square root of an epsilon, where a claim has one: larger ones would hide a wrong epsilon. */
function uniformScale(group: StepGroup): number {
  const epsilons = group.claim.covers.flatMap(({ attributes: { eps } }) => (typeof eps === "number" ? [eps] : []));
  const least = Math.min(1, ...epsilons);
  let scale = 1;
  while (scale * scale > least && scale > SMALLEST_SCALE) scale /= 2;
  return scale;
}

/** Positions on a grid of evenly drawn rows and columns, the corners among them. */
function sampledPositions(elements: number, width: number, seed: number): readonly number[] {
  const draw = (count: number, below: number, stream: number): readonly number[] => {
    if (below <= count) return [...Array(below).keys()];
    const drawn = new Set([0, below - 1]);
    for (let i = 0; drawn.size < count; i++) drawn.add(hash32(seed + stream, i) % below);
    return [...drawn];
  };
  const height = elements / width;
  // A value with few rows is sampled in more columns, one with few columns in more rows.
  const columns = draw(Math.ceil(SAMPLED / Math.min(SAMPLED_ROWS, height)), width, 2);
  const rows = draw(Math.ceil(SAMPLED / columns.length), height, 1);
  return rows.flatMap((r) => columns.map((c) => r * width + c)).sort((a, b) => a - b);
}

/** One expectation for each claim. Claims whose sampled values are not finite state only the finite ones. */
export function expectationsOf(groups: readonly StepGroup[], box: Box, table: OpTable): readonly Expectation[] {
  const view = createViewResolver(table);
  const work = groups.reduce((sum, g) => sum + bounds(g.claim.cost.flops, box).max, 0);
  const dims = corner(box, work <= UPPER_CORNER_FLOPS);
  return groups.map((group, at): Expectation => {
    const fills = group.operands.map(({ base, buffer }, i) => ({
      base,
      buffer,
      elements: evaluate(product(base.shape), dims),
      fill: fillFor(base, group, view, at * 64 + i + 1, dims),
    }));
    const fillOf = new Map(fills.map((f) => [f.base, f.fill]));
    // Where the cover put a dense copy before the claim, the claim's own nodes still name what was copied.
    for (const { base, fill } of fills) {
      if (base.op === "contiguous" && !fillOf.has(base.inputs[0])) fillOf.set(base.inputs[0], fill);
    }
    const sample = createSampler({
      bindings: dims,
      table,
      given: (node) => {
        const fill = fillOf.get(node) ?? (node.op === "weight" ? weightFill(node) : undefined);
        return fill === undefined ? undefined : fillReader(fill);
      },
    });
    const { output } = group.claim;
    const elements = evaluate(product(output.shape), dims);
    const width = output.shape.length === 0 ? 1 : evaluate(output.shape[output.shape.length - 1], dims);
    const sampled = sampledPositions(elements, width, at).map((p) => [p, Math.fround(sample(output, p))] as const);
    const kept = sampled.filter(([, v]) => Number.isFinite(v));
    const square = kept.reduce((sum, [, v]) => sum + v * v, 0) / Math.max(1, kept.length);
    return {
      steps: group.steps,
      dims,
      fills: fills.map(({ buffer, elements: n, fill }) => ({ buffer, elements: n, fill })),
      output: group.output,
      coordinates: kept.map(([p]) => p),
      values: kept.map(([, v]) => v),
      tolerance: TOLERANCE * Math.sqrt(square) + 1e-7,
    };
  });
}

const weightFill = (node: Node): Fill => ({
  kind: "uniform",
  seed: nameSeed(node.attributes.name as string),
  scale: 1,
});
