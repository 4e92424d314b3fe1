/** The one immutable, interned node of the graph language: inside one interner, equality is identity. */

import { FoveaError, nearest, type TraceBreak, TraceBreakError } from "../core/diagnostics.ts";
import { type Dim, type DimExpression, dimKey, type Shape } from "../core/dim.ts";
import type { DType } from "../core/dtype.ts";
import { createTraps, nodePath, throwBreak } from "./traps.ts";

/** Attribute values: plain data, or a dim, or a list of them. */
export type Attribute = string | number | boolean | DimExpression | readonly Dim[];
/** Attributes of an op by name, which with its operands are all that its meaning depends on. */
export type Attributes = Readonly<Record<string, Attribute>>;

/** A value of a graph: an op applied to others. Frozen and interned: equal nodes of one graph are one object. */
export interface Node {
  /** Position in creation order inside its interner. */
  readonly id: number;
  /** Name in the op table. */
  readonly op: string;
  /** Operands, in the op's order. */
  readonly inputs: readonly Node[];
  /** What the op is told beside its operands, such as `{ axis: 1 }`. */
  readonly attributes: Attributes;
  /** Sizes of the axes, outermost first, by the component's symbols. */
  readonly shape: Shape;
  /** Type of the elements. */
  readonly dtype: DType;
  /** `file:line` of the author's call, when it is known. Not part of the identity. */
  readonly source?: string;
}

/** What an op states about its result. */
export interface Inferred {
  /** Sizes of the result's axes. */
  readonly shape: Shape;
  /** Type of its elements. */
  readonly dtype: DType;
}

/**
 * What is known of an op where its name is not asked: `source` has no operands; `elementwise` computes each element by
 * itself; a `view` moves none; `reduction` and `normalization` are over the last axis; a `contraction` sums products of
 * operands; `index` reads where an operand says; `assembly` is anything else.
 */
export type OpKind =
  | "source"
  | "elementwise"
  | "view"
  | "reduction"
  | "normalization"
  | "contraction"
  | "index"
  | "assembly";

/** An op: how its result follows from its operands, and traits, which passes and kernels ask instead of its name. */
export interface OpRow {
  /** What passes and kernels may assume of it. */
  readonly kind: OpKind;
  /** Of contractions: a row of the result depends on the same row of the first operand, and on the others as a whole. */
  readonly rowWise?: true;
  /**
   * Operands that may be f16 with the same meaning, by position, beside any of an elementwise op; `gains` where it is read faster
   * so.
   */
  readonly halves?: { readonly operands: readonly number[]; readonly gains?: true };
  /** The operand that holds a model's bulk: the right-hand side of a product, the table of a lookup. */
  readonly bulk?: number;
  /** Of views: rows (last axis) stay in one piece and begin at multiples of `multiple` elements where those of the operand do. */
  readonly keepsRows?: (view: Node, multiple: number) => boolean;
  /** Fewest and most inputs. */
  readonly arity: readonly [number, number];
  /** Result type, or a sentence that says what is wrong. */
  readonly infer: (inputs: readonly Node[], attributes: Attributes) => Inferred | string;
  /** The same meaning in simpler ops, for places where no kernel claims the op itself. */
  readonly expand?: (inputs: readonly Node[], attributes: Attributes, make: Make) => Node;
}

/** Ops by name. */
export type OpTable = ReadonlyMap<string, OpRow>;

/** Creates (or finds) a node. */
export type Make = (op: string, inputs: readonly Node[], attributes?: Attributes, source?: string) => Node;

/** Where nodes are made and found again. */
export interface Interner {
  /** Makes a node, or finds the equal one. */
  readonly make: Make;
  /** The ops that it knows. */
  readonly table: OpTable;
}

function attributeKey(value: Attribute): string {
  if (Array.isArray(value)) return `[${(value as readonly Dim[]).map(dimKey).join(",")}]`;
  if (typeof value === "object") return `{${dimKey(value as DimExpression)}}`;
  // JSON writes -0 as 0.
  return Object.is(value, -0) ? "-0" : JSON.stringify(value);
}

/** Canonical text of attributes. */
export function attributesKey(attributes: Attributes): string {
  return Object.keys(attributes)
    .sort()
    .map((k) => `${k}=${attributeKey(attributes[k])}`)
    .join(",");
}

/** Nodes outlive the lists that their attributes came from. */
function frozen(attributes: Attributes): Attributes {
  const copied = Object.entries(attributes).map(([name, value]) => [
    name,
    Array.isArray(value) ? Object.freeze([...value]) : value,
  ]);
  return Object.freeze(Object.fromEntries(copied));
}

/** An op that no plugin offers, with the nearest names that exist. */
function unknownOp(op: string, inputs: readonly Node[], table: OpTable): TraceBreak {
  const near = nearest(op, table.keys());
  const meant = near === undefined ? "" : ` Did you mean "${near}"?`;
  return {
    kind: "unknown_op",
    found: `there is no operation "${op}"`,
    remedy: `Register it through a plugin's \`ops\`, or say it in ops that exist.${meant}`,
    ...(inputs.length === 0 ? {} : { node: `${op} <- ${nodePath(inputs[0])}` }),
  };
}

const THROWING = createTraps(throwBreak);

/**
 * A table of interned nodes over `table`'s ops.
 * `make` throws FoveaError `shape_error` with the op and its operands and, when known, the author's line, and
 * TraceBreakError for an unknown op.
 * @param traps prototype of the nodes: what reading their values does; throws unless given
 */
export function createInterner(table: OpTable, traps: object = THROWING): Interner {
  const known = new Map<string, Node>();
  const make: Make = (op, inputs, attributes = {}, source) => {
    const key = `${op}(${inputs.map((n) => n.id).join(",")}){${attributesKey(attributes)}}`;
    const old = known.get(key);
    if (old !== undefined) return old;
    const at = source === undefined ? "" : ` (at ${source})`;
    const row = table.get(op);
    if (row === undefined) throw new TraceBreakError(unknownOp(op, inputs, table));
    const [fewest, most] = row.arity;
    const problem =
      inputs.length < fewest || inputs.length > most
        ? `it takes ${fewest === most ? fewest : `${fewest} to ${most}`} operands, found ${inputs.length}.`
        : row.infer(inputs, attributes);
    if (typeof problem === "string") {
      const operands = inputs.map((n) => `${n.dtype}[${n.shape.map(dimKey).join(", ")}]`).join(" and ");
      throw new FoveaError(
        "shape_error",
        `Operation "${op}" cannot take ${operands || "no operands"}${at}: ${problem}`,
      );
    }
    const made: Node = Object.assign(Object.create(traps), {
      id: known.size,
      op,
      inputs: Object.freeze([...inputs]),
      attributes: frozen(attributes),
      shape: Object.freeze([...problem.shape]),
      dtype: problem.dtype,
      ...(source === undefined ? {} : { source }),
    });
    const node = Object.freeze(made);
    known.set(key, node);
    return node;
  };
  return { make, table };
}
