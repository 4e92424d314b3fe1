/** What buffers are filled with where results are to be compared or are nobody's: contents that ops can read. */
import { type Bindings, evaluate } from "../core/dim.ts";
import { type Fill, nameSeed } from "../core/fill.ts";
import { type Graph, nodesOf } from "../ir/graph.ts";
import type { Node, OpTable } from "../ir/node.ts";
import { createViewResolver } from "./views.ts";

/** Share of a constant that values of a norm are at least: beside a larger one, rounding takes bits that the norm makes large. */
const SHARE_OF_CONSTANT = 2 ** -2;

/** Values are no larger, whatever the constant: some of them stand for infinity. */
const LARGEST_SCALE = 64;

/** Squares of smaller values come near to where f32 loses bits. */
const SMALLEST_SCALE = 2 ** -20;

const RESAMPLING: readonly string[] = ["resample_columns", "resample_rows"];

/** A resampling's starts, weights whose sums lie in the middle of the range on average, and fraction bits. */
function tableFill(at: number, node: Node, size: (node: Node, axis: number) => number, seed: number): Fill {
  const [x, , weights] = node.inputs;
  const bits = node.attributes.narrow === true ? 14 : 22;
  if (at === 1) return { kind: "index", seed, below: size(x, node.op === "resample_rows" ? 0 : 1) };
  if (at === 2) return { kind: "index", seed, below: Math.max(1, Math.floor(2 ** (bits + 1) / size(weights, 1))) };
  return { kind: "same", value: bits };
}

/** Ops that take some of their operands for places. */
const INDEXED: ReadonlySet<string> = new Set(["gather", "take_row", "attention", ...RESAMPLING]);

/** How a buffer is filled, by what ops read in it. */
export function fillFor(
  base: Node,
  covers: readonly Node[],
  view: (node: Node) => { base: Node },
  seed: number,
  dims: Bindings,
): Fill {
  const size = (node: Node, axis: number): number => evaluate(node.shape[axis], dims);
  // Where the cover put a dense copy before the claim, the claim's own nodes still name what was copied.
  const copied = base.op === "contiguous" ? base.inputs[0] : undefined;
  for (const node of covers) {
    if (!INDEXED.has(node.op)) continue;
    const [x] = node.inputs;
    const at = node.inputs.findIndex((i) => view(i).base === base || i === copied);
    if (at === 1 && node.op === "gather") return { kind: "index", seed, below: size(x, 0) };
    if (at === 1 && node.op === "take_row") return { kind: "index", seed, below: size(x, 1) };
    if (at > 0 && RESAMPLING.includes(node.op)) return tableFill(at, node, size, seed);
    if (at > 2 && node.op === "attention") {
      const keys = size(node.inputs[1], 1);
      if (at === 3 && node.attributes.key_mask === true) return { kind: "mask", seed, row: keys };
      return { kind: "offsets", count: size(node.inputs[at], 0), total: keys };
    }
  }
  if (base.dtype === "u8") return { kind: "bytes", seed };
  if (base.dtype === "f16") return { kind: "halves", seed, scale: uniformScale(covers, view) };
  if (base.dtype !== "f32") return { kind: "index", seed, below: 128 };
  return { kind: "uniform", seed, scale: uniformScale(covers, view) };
}

/** Contents for a graph's inputs by name, such as its ops can read: for runs whose results nobody needs. */
export function inputFills(graph: Graph, dims: Bindings, table: OpTable): Readonly<Record<string, Fill>> {
  const view = createViewResolver(table);
  const covers = nodesOf(graph);
  const fills = graph.inputs.map((node, i) => [node.attributes.name, fillFor(node, covers, view, i + 1, dims)]);
  return Object.fromEntries(fills);
}

/**
 * Values as small as the square root of an epsilon, where a claim has one: larger ones would hide a wrong epsilon. Then no smaller
 * than a share of the constants that it computes with.
 */
function uniformScale(covers: readonly Node[], view: (node: Node) => { base: Node }): number {
  const epsilons = covers.flatMap(({ attributes: { eps } }) => (typeof eps === "number" ? [eps] : []));
  if (epsilons.length === 0) return 1;
  const constants = covers.flatMap(({ inputs }) =>
    inputs.flatMap((input) => {
      const { base } = view(input);
      return base.op === "constant" ? [Math.abs(base.attributes.value as number)] : [];
    }),
  );
  const [square, least] = [Math.min(1, ...epsilons), SHARE_OF_CONSTANT * Math.max(0, ...constants)];
  let scale = 1;
  while (scale * scale > square && scale > SMALLEST_SCALE) scale /= 2;
  while (scale < least && scale < LARGEST_SCALE) scale *= 2;
  return scale;
}

/** Made-up contents of a checkpoint's tensor. */
export const weightFill = (node: Node): Fill => ({
  kind: "uniform",
  seed: nameSeed(node.attributes.name as string),
  scale: 1,
});
