/**
 * Row blocks: claims in a row whose every row depends on the same row of what they read, such as a norm, an MLP and the
 * residual around it, run over some rows at a time. What lies only between them then takes the memory of those rows.
 */
import { type Claim, type View, writtenBy } from "../abi/kernel.ts";
import { type Box, bounds, type Dim, dimEquals, divisorOf, min, mul, product, symbol, symbolsOf } from "../core/dim.ts";
import { DTYPE_BYTES } from "../core/dtype.ts";
import type { RowBlocks } from "../core/row_blocks.ts";
import { soleSymbol, substitute } from "../core/substitute.ts";
import type { Node, OpTable } from "../ir/node.ts";

/** Claims that run block by block. */
export interface BlockPlan extends RowBlocks {
  /** First claim and the one behind the last. */
  readonly claims: readonly [number, number];
  /** Bytes by which a value of outside moves for each unit of the symbol, by its base. */
  readonly advance: ReadonlyMap<Node, Dim>;
}

export interface BlockOptions {
  readonly claims: readonly Claim[];
  /** Values that others read: the graph's outputs. */
  readonly outputs: ReadonlySet<Node>;
  readonly box: Box;
  readonly table: OpTable;
  readonly view: (node: Node) => View;
  /** Bytes that a block's inner values may take; a component with less than twice that is left whole. */
  readonly blockBytes: number;
}

const holds = (d: Dim, name: string): boolean => symbolsOf(d).has(name);

/** Whether the rows are the first axis and nothing else depends on their number. */
function isRows(shape: readonly Dim[], name: string): boolean {
  return shape.length > 1 && soleSymbol(shape[0]) === name && !shape.slice(1).some((d) => holds(d, name));
}

const isFixed = (shape: readonly Dim[], name: string): boolean => !shape.some((d) => holds(d, name));

/** Whether a node's row depends on the same row of its operands alone. */
function isRowWise(node: Node, name: string, table: OpTable): boolean {
  if (!isRows(node.shape, name)) return false;
  const [first, ...others] = node.inputs;
  const fixed = (nodes: readonly Node[]): boolean => nodes.every((n) => isFixed(n.shape, name));
  const row = table.get(node.op);
  switch (row?.kind) {
    case "elementwise":
      return node.inputs.every(
        (n) => isFixed(n.shape, name) || (isRows(n.shape, name) && n.shape.length === node.shape.length),
      );
    case "normalization":
    case "reduction":
      return isRows(first.shape, name) && fixed(others);
    case "contraction":
      return row.rowWise === true && isRows(first.shape, name) && fixed(others);
    default:
      return false;
  }
}

/** By how much each base moves; nothing where a claim reads something that does not lie row by row. */
function advanceOf(claim: Claim, name: string, { view, table }: BlockOptions): ReadonlyMap<Node, Dim> | undefined {
  if (!claim.covers.every((node) => isRowWise(node, name, table))) return undefined;
  const found = new Map<Node, Dim>();
  for (const { node } of claim.operands) {
    const { base, offset, shape, strides } = view(node);
    if (holds(offset, name) || strides.some((s) => holds(s, name))) return undefined;
    const moves = isFixed(shape, name) ? 0 : mul(strides[0], DTYPE_BYTES[base.dtype]);
    if (!isFixed(shape, name) && !isRows(shape, name)) return undefined;
    const known = found.get(base);
    if (known !== undefined && !dimEquals(known, moves)) return undefined;
    found.set(base, moves);
  }
  for (const node of writtenBy(claim)) found.set(node, mul(product(node.shape.slice(1)), DTYPE_BYTES[node.dtype]));
  return found;
}

/** Bytes of a value at the upper corner, but for `name` as given. */
function bytesAt(node: Node, name: string, value: number, box: Box): number {
  return bounds(mul(product(node.shape), DTYPE_BYTES[node.dtype]), { ...box, [name]: { min: value, max: value } }).max;
}

/** The claims from `first` to `end` without those at its ends that neither make nor read a value that stays inside. */
function trimmed(
  first: number,
  end: number,
  { claims, outputs }: BlockOptions,
  { basesOf, lastReader }: Readers,
): Trimmed | undefined {
  const staysInside = (node: Node, until: number): boolean =>
    !outputs.has(node) && (lastReader.get(node) ?? -1) < until && lastReader.has(node);
  let [a, b] = [first, end];
  for (;;) {
    const inner = claims.slice(a, b).flatMap((claim) => writtenBy(claim).filter((node) => staysInside(node, b)));
    if (inner.length === 0) return undefined;
    if (!writtenBy(claims[a]).some((node) => staysInside(node, b))) a++;
    else if (!inner.some((node) => basesOf[b - 1].has(node))) b--;
    else return { claims: [a, b], inner };
  }
}

/** Who reads what, by position of the claims. */
interface Readers {
  readonly basesOf: readonly ReadonlySet<Node>[];
  readonly lastReader: ReadonlyMap<Node, number>;
}

function readersOf({ claims, view }: BlockOptions): Readers {
  const basesOf = claims.map((claim) => new Set(claim.operands.map((o) => view(o.node).base)));
  return { basesOf, lastReader: new Map(basesOf.flatMap((bases, at) => [...bases].map((base) => [base, at]))) };
}

interface Trimmed {
  readonly claims: readonly [number, number];
  /** Values that nothing outside reads. */
  readonly inner: readonly Node[];
}

/** Largest share of the symbol whose inner values keep within the limit, and that no range's start forbids. */
function mostOf(inner: readonly Node[], name: string, { box, blockBytes }: BlockOptions): number | undefined {
  const { min: least, max } = box[name];
  const multiple = divisorOf(symbol(name), box);
  const bytes = (value: number): number => inner.reduce((n, node) => n + bytesAt(node, name, value, box), 0);
  if (bytes(max) < 2 * blockBytes) return undefined;
  const fits = Math.floor(blockBytes / (bytes(max) / max) / multiple) * multiple;
  // A block holds more than half of the most, less what rounding to the multiple takes.
  const most = Math.max(fits, 2 * (least + multiple));
  return most < max ? most : undefined;
}

/** The runs of claims that save most by blocks: of one symbol, none of them overlapping. */
export function planRowBlocks(options: BlockOptions): readonly BlockPlan[] {
  const { claims, box } = options;
  const readers = readersOf(options);
  let best: { readonly saved: number; readonly plans: readonly BlockPlan[] } = { saved: 0, plans: [] };
  for (const [name, { min: least, max }] of Object.entries(box)) {
    if (least === max) continue;
    const moves = claims.map((claim) => advanceOf(claim, name, options));
    const plans: BlockPlan[] = [];
    let saved = 0;
    for (let at = 0; at < claims.length; at++) {
      let end = at;
      const advance = new Map<Node, Dim>();
      const joins = (own: ReadonlyMap<Node, Dim>): boolean =>
        [...own].every(([base, by]) => !advance.has(base) || dimEquals(advance.get(base) as Dim, by));
      for (let own = moves[end]; own !== undefined && joins(own); own = moves[++end])
        for (const [base, by] of own) advance.set(base, by);
      const found = trimmed(at, end, options, readers);
      const most = found && mostOf(found.inner, name, options);
      if (found !== undefined && most !== undefined) {
        for (const node of found.inner) advance.delete(node);
        plans.push({ claims: found.claims, symbol: name, most, multiple: divisorOf(symbol(name), box), advance });
        saved += found.inner.reduce((n, node) => n + bytesAt(node, name, max, box) - bytesAt(node, name, most, box), 0);
      }
      at = Math.max(at, end - 1);
    }
    if (saved > best.saved) best = { saved, plans };
  }
  return best.plans;
}

/** What a block sees of a box. */
export const blockBox = (box: Box, { symbol: name, most }: RowBlocks): Box => ({
  ...box,
  [name]: { ...box[name], max: Math.min(box[name].max, most) },
});

/** A size inside of a block. */
export function inBlock(d: Dim, { symbol: name, most }: RowBlocks): Dim {
  const same = [...symbolsOf(d)].map((other) => [other, symbol(other)] as const);
  return substitute(d, { ...Object.fromEntries(same), [name]: min(symbol(name), most) });
}
