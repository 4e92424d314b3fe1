/** Matching a declared pattern against the graph: which nodes it covers, what its operands, sizes and attributes are. */
import type { ClaimContext } from "../abi/kernel.ts";
import {
  type Box,
  bounds,
  type Dim,
  dimEquals,
  dimKey,
  divisorOf,
  fixedValue,
  product,
  type Shape,
  shapeText,
} from "../core/dim.ts";
import type { Node } from "../ir/node.ts";
import type { KernelLayout } from "./layout.ts";
import type { AxisPattern, KernelManifest, OpPattern, Pattern } from "./manifest.ts";

export interface Match {
  /** Operands before users; the last is the root. */
  readonly covers: readonly Node[];
  readonly operands: Readonly<Record<string, Node>>;
  readonly attributes: Readonly<Record<string, number | string | boolean>>;
  readonly sizes: Readonly<Record<string, Dim>>;
}

/** What is bound so far, while a pattern is tried. */
interface Bound {
  readonly covers: readonly Node[];
  readonly operands: Readonly<Record<string, Node>>;
  readonly attributes: Match["attributes"];
}

/** Ops whose two inputs may change places. */
const COMMUTATIVE = new Set(["add", "mul", "max", "min"]);

function attributesFit(node: Node, pattern: OpPattern, bound: Bound): Bound | undefined {
  const attributes = { ...bound.attributes };
  for (const [name, wanted] of Object.entries(pattern.attributes ?? {})) {
    const value = node.attributes[name];
    if (typeof value !== "number" && typeof value !== "string" && typeof value !== "boolean") return undefined;
    if (typeof wanted === "object") {
      if (Object.hasOwn(attributes, wanted.bind) && attributes[wanted.bind] !== value) return undefined;
      attributes[wanted.bind] = value;
    } else if (value !== wanted) return undefined;
  }
  return { ...bound, attributes };
}

function* inputsFit(
  context: ClaimContext,
  nodes: readonly Node[],
  patterns: readonly Pattern[],
  bound: Bound,
): Generator<Bound> {
  const [node, ...others] = nodes;
  if (node === undefined) {
    yield bound;
    return;
  }
  for (const next of fits(context, node, patterns[0], bound, false)) {
    yield* inputsFit(context, others, patterns.slice(1), next);
  }
}

function* fits(context: ClaimContext, node: Node, pattern: Pattern, bound: Bound, isRoot: boolean): Generator<Bound> {
  if (typeof pattern === "string") {
    const known = bound.operands[pattern];
    if (known === undefined) yield { ...bound, operands: { ...bound.operands, [pattern]: node } };
    else if (known === node) yield bound;
    return;
  }
  if ("constant" in pattern) {
    const value = node.attributes.value;
    if (node.op === "constant" && Math.fround(value as number) === Math.fround(pattern.constant)) yield bound;
    return;
  }
  if (node.op !== pattern.op || node.inputs.length !== pattern.inputs.length || context.isWeight(node)) return;
  if (!isRoot && context.isOutput(node)) return;
  const own = attributesFit(node, pattern, bound);
  if (own === undefined) return;
  const orders = [node.inputs];
  if (COMMUTATIVE.has(node.op)) orders.push([...node.inputs].reverse());
  for (const inputs of orders) {
    for (const found of inputsFit(context, inputs, pattern.inputs, own)) {
      yield found.covers.includes(node) ? found : { ...found, covers: [...found.covers, node] };
    }
  }
}

/** Equal for all sizes of the range. */
function sameSize(a: Dim, b: Dim, box: Box): boolean {
  if (dimEquals(a, b)) return true;
  const value = fixedValue(a, box);
  return value !== undefined && value === fixedValue(b, box);
}

/** Binds the sizes of one shape; a sentence where it does not fit. */
function bindShape(
  name: string,
  shape: Shape,
  pattern: readonly AxisPattern[],
  sizes: Record<string, Dim>,
  box: Box,
): string | undefined {
  const leads = typeof pattern[0] === "string" && pattern[0].startsWith("...");
  const rank = pattern.length - (leads ? 1 : 0);
  if (leads ? shape.length < rank : shape.length !== rank)
    return `${name} has the shape ${shapeText(shape)}; it takes [${pattern.join(", ")}].`;
  const inner = shape.length - rank;
  const axes = leads ? [product(shape.slice(0, inner)), ...shape.slice(inner)] : shape;
  for (const [i, axis] of pattern.entries()) {
    const size = typeof axis === "number" ? axis : axis.replace(/^\.\.\./, "");
    const known = typeof size === "number" ? size : sizes[size];
    if (known === undefined) sizes[size as string] = axes[i];
    else if (!sameSize(known, axes[i], box))
      return `the size ${size} of ${name} is ${dimKey(axes[i])}, elsewhere ${dimKey(known)}.`;
  }
  return undefined;
}

function rangeProblem(
  kernel: KernelManifest,
  sizes: Readonly<Record<string, Dim>>,
  context: ClaimContext,
): string | undefined {
  for (const [name, range] of Object.entries(kernel.ranges ?? {})) {
    const { min, max } = bounds(sizes[name], context.box);
    if (min < (range.min ?? 0) || max > (range.max ?? Number.POSITIVE_INFINITY)) {
      return `it takes ${name} from ${range.min ?? 0} to ${range.max ?? "any"}, found ${min === max ? min : `${min} to ${max}`}.`;
    }
    const { multipleOf = 1 } = range;
    if (divisorOf(sizes[name], context.box) % multipleOf !== 0) {
      return `it takes ${name} in multiples of ${multipleOf}, found ${dimKey(sizes[name])}.`;
    }
  }
  return undefined;
}

/** A match at a node, a sentence why there is none although its ops are there, or nothing. */
export function matchKernel(context: ClaimContext, node: Node, { kernel }: KernelLayout): Match | string | undefined {
  let problem: string | undefined;
  const empty: Bound = { covers: [], operands: {}, attributes: {} };
  for (const { covers, operands, attributes } of fits(context, node, kernel.pattern, empty, true)) {
    const inside = new Set(covers);
    const leak = covers.find((n) => n !== node && context.users(n).some((u) => !inside.has(u)));
    const sizes: Record<string, Dim> = {};
    const bound = Object.entries(kernel.operands).map(([name, pattern]) => {
      const operand = operands[name];
      const dtype = pattern.dtype ?? "f32";
      if (operand.dtype !== dtype) return `${name} is ${operand.dtype}; it takes ${dtype}.`;
      if (pattern.weight === true && !context.isWeight(operand)) return `${name} does not depend on weights alone.`;
      return bindShape(name, operand.shape, pattern.shape, sizes, context.box);
    });
    const found =
      (leak && `its inner value "${leak.op}" has other users.`) ??
      bound.find((p) => p !== undefined) ??
      (node.dtype === "f32" ? undefined : `it writes f32, not ${node.dtype}.`) ??
      bindShape("the result", node.shape, kernel.output, sizes, context.box) ??
      rangeProblem(kernel, sizes, context);
    if (found === undefined) return { covers, operands, attributes, sizes };
    // Operands in the order in which they are written tell more than others.
    problem ??= found;
  }
  return problem;
}
