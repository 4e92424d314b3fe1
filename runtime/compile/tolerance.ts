/** How far a kernel's values may be off in a proof. */
import { type Bindings, evaluate } from "../core/dim.ts";
import type { DType } from "../core/dtype.ts";
import type { ElementsAt } from "../ir/evaluate/sample.ts";
import type { Node, OpTable } from "../ir/node.ts";
import type { StepGroup } from "./emit.ts";
import { elementsOf } from "./sampled_places.ts";

/** Share of the values' root mean square: several times what f32 sums of some thousand terms lose. */
const TOLERANCE = 1e-5;

/**
 * The same where operands are f16: units that multiply matrices of them cut off what they add to, and the weights of an attention
 * are rounded to f16 before they multiply.
 */
const HALF_TOLERANCE = 2e-4;

/**
 * Terms of a sum that these shares are for. Made-up contents repeat, and so do the roundings of what they are multiplied to: what
 * longer sums lose grows with their length instead of cancelling out.
 */
const SUM_TERMS = 2048;

/** Fewer values than this may all be small by chance, sums that cancel: their root mean square says little of what kernels lose. */
const TELLING_VALUES = 16;

/** A value that a claim writes. */
interface Compared {
  readonly node: Node;
  readonly group: StepGroup;
}

/** Mean square of what is finite; 0 where nothing is. */
function meanSquare(values: Float32Array): number {
  let [sum, finite] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) continue;
    sum += values[i] * values[i];
    finite++;
  }
  return sum / Math.max(1, finite);
}

/** A value whose elements are sums over a row of its first operand. */
const sumsRows = ({ op }: Node, table: OpTable): boolean => table.get(op)?.rowWise === true;

/** Times that a claim's products may be further off than those of `SUM_TERMS` terms. */
function lengthShare({ claim }: StepGroup, dims: Bindings, table: OpTable): number {
  const products = claim.covers.filter((x) => sumsRows(x, table));
  const terms = products.map(({ inputs: [{ shape }] }) => evaluate(shape[shape.length - 1], dims));
  return Math.max(1, ...terms.map((n) => n / SUM_TERMS));
}

/**
 * Products of a claim that a compared value follows from element by element, with no constant between: sums lose a share of what
 * they are, which is more than the same share of a tanh of them, or of them times what is made up and 1 at most.
 */
function productsOf({ node, group: { claim } }: Compared, table: OpTable): readonly Node[] {
  const behind = (x: Node): readonly Node[] => {
    if (!claim.covers.includes(x) || x.shape.length !== node.shape.length) return [];
    if (sumsRows(x, table)) return [x];
    const ends = table.get(x.op)?.kind !== "elementwise" || x.inputs.some(({ op }) => op === "constant");
    return ends ? [] : x.inputs.flatMap(behind);
  };
  return [...new Set(behind(node))];
}

/** Elements of an operand whose size is asked for. */
const SIZED_ELEMENTS = 256;

/**
 * Times that attention may be further off than a sum: what its logits lose, a share of what they are, is what its weights are off by.
 * Logits are large where queries are made of weights, such as a pool's.
 */
function logitShare({ claim }: StepGroup, dims: Bindings, sample: ElementsAt): number {
  const size = (x: Node): number => {
    const elements = elementsOf(x.shape, dims);
    const places = Array.from({ length: Math.min(elements, SIZED_ELEMENTS) }, (_, i) => (i * 997) % elements);
    return Math.sqrt(meanSquare(new Float32Array(sample(x, places))));
  };
  const logits = claim.covers.flatMap(({ op, inputs: [q, k], attributes: { scale } }) => {
    if (op !== "attention") return [];
    const width = evaluate(q.shape[q.shape.length - 1], dims);
    return [Math.abs(Number(scale)) * Math.sqrt(width) * size(q) * size(k)];
  });
  return Math.max(1, ...logits);
}

/** The step between the largest numbers of f16: two ways to a sum round to neighbours. */
function roundingOf(dtype: DType, values: Float32Array): number {
  if (dtype !== "f16") return 0;
  let most = 0;
  for (const value of values) if (Number.isFinite(value)) most = Math.max(most, Math.abs(value));
  return 2 ** -10 * most;
}

/** Largest difference that passes where values of a node were sampled at places. */
export type ToleranceOf = (
  dims: Bindings,
  sample: ElementsAt,
  places: readonly number[],
  values: Float32Array,
) => number;

/** Tolerances of a compared value, to be asked for at its largest point first. */
export function createTolerance(compared: Compared, table: OpTable): ToleranceOf {
  const { node, group } = compared;
  const share = group.operands.some(({ base }) => base.dtype === "f16") ? HALF_TOLERANCE : TOLERANCE;
  const products = productsOf(compared, table);
  let most = { count: 0, square: 0 };
  return (dims, sample, places, values) => {
    const alike = products.filter((x) => x.shape.every((d, i) => evaluate(d, dims) === evaluate(node.shape[i], dims)));
    const squares = [values, ...alike.map((x) => new Float32Array(sample(x, places)))].map(meanSquare);
    const sampled = { count: values.length, square: Math.max(...squares) };
    if (sampled.count > most.count) most = sampled;
    const square = Math.max(sampled.square, sampled.count < TELLING_VALUES ? most.square : 0);
    const allowed = share * lengthShare(group, dims, table) * logitShare(group, dims, sample);
    return allowed * Math.sqrt(square) + 1e-7 + roundingOf(node.dtype, values);
  };
}
