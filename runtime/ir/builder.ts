/** The builder that component authors use; shapes are checked at every call and errors name the author's line. */

import { FoveaError, type TraceBreak, TraceBreakError } from "../core/diagnostics.ts";
import { type Box, type Dim, dimKey, evaluate, type Shape, shapeEquals, shapeText, sub } from "../core/dim.ts";
import type { DType } from "../core/dtype.ts";
import type { Relation } from "../core/relation.ts";
import { placeText, type SourcePlace } from "../core/source_place.ts";
import { type Comparisons, createComparisons, type SymbolDim, symbolNames } from "./comparisons.ts";
import type { Graph } from "./graph.ts";
import { repaired, unnamedSize } from "./named_sizes.ts";
import { type Attributes, createInterner, type Interner, type Node } from "./node.ts";
import { OP_TABLE } from "./ops.ts";
import { authorPlace, nodePath, type OnBreak } from "./traps.ts";

export type { Node } from "./node.ts";

/** What {@link GraphBuilder.attention} may be told. */
export interface AttentionOptions {
  /** Factor on query x key; 1 / sqrt(head_dim) unless given. */
  readonly scale?: number;
  /** Query i sees keys 0..i alone, of as many keys as queries; false unless given. */
  readonly causal?: boolean;
  /** f32 [batch, keys]; 0 hides a key. */
  readonly keyMask?: Node;
  /** i32 [segments + 1] token offsets; tokens attend inside their segment alone. */
  readonly cuSeqlens?: Node;
  /** No segment has more tokens, so that costs are counted by segments; nothing where that is not known. */
  readonly longestSegment?: Dim;
  /** A query sees keys at most this many tokens away, of as many keys as queries; 0 or nothing is no limit. */
  readonly window?: number;
}

/**
 * What a component's `build` declares its graph with. Nodes are values that do not exist yet: shapes are checked at
 * every call, and errors name the author's line. Methods that make a node throw FoveaError `shape_error`, and
 * TraceBreakError for sizes and ops that nobody declared.
 */
export interface GraphBuilder extends Comparisons<readonly [a: Dim, b: Dim]> {
  /** The component's symbols by name; any other name is a trace break. */
  readonly dims: Readonly<Record<string, SymbolDim>>;
  /**
   * A tensor that each call brings; f32 unless given.
   * @throws FoveaError `duplicate_name`
   */
  input(name: string, shape: Shape, dtype?: DType): Node;
  /**
   * A checkpoint tensor as f32, named relative to the component's instance, of constant sizes. May be asked for again.
   * @throws FoveaError `duplicate_name` for another shape than before
   */
  weight(name: string, shape: Shape): Node;
  /** An f32 number, finite, as a scalar that broadcasts. */
  constant(value: number): Node;
  /** Any op by its name, a plugin's included; the other methods are short for it. */
  op(name: string, inputs: readonly Node[], attributes?: Attributes): Node;
  /** An op of one operand and no attributes, such as `gelu`, `sqrt`, or `reduce_sum` over the last axis. */
  unary(name: string, x: Node): Node;
  /** Integers, such as samples of pixels, as f32: exact up to 2^24. */
  cast(x: Node): Node;
  /** a + b; shapes broadcast as in numpy. */
  add(a: Node, b: Node): Node;
  /** a - b; shapes broadcast as in numpy. */
  sub(a: Node, b: Node): Node;
  /** a * b, element by element; shapes broadcast as in numpy. */
  mul(a: Node, b: Node): Node;
  /** a / b, element by element; shapes broadcast as in numpy. */
  div(a: Node, b: Node): Node;
  /** The same elements in row-major order under another shape, with as many of them. */
  reshape(x: Node, shape: Shape): Node;
  /** Axis i of the result is axis `perm[i]` of x. */
  transpose(x: Node, perm: readonly number[]): Node;
  /** Elements `start` to `end`, the latter excluded, along one axis. */
  slice(x: Node, axis: number, start: Dim, end: Dim): Node;
  /** Repeats along axes of size 1, and along new axes in front. */
  broadcastTo(x: Node, shape: Shape): Node;
  /** An axis of size T becomes [(T - size) / step + 1, size]: overlapping runs, as a convolution reads them. */
  windows(x: Node, axis: number, size: number, step: number): Node;
  /** Joins 1 to 64 values along one axis; they agree in type and in all other sizes. */
  concat(inputs: readonly Node[], axis: number): Node;
  /** [..., M, K] x [..., K, N], or x [N, K] with `transposeB`. */
  matmul(a: Node, b: Node, options?: { transposeB?: boolean }): Node;
  /** (x - mean) / sqrt(variance + eps) * weight + bias over the last axis, parameters [width]; Ba et al. 2016. */
  layerNorm(x: Node, weight: Node, bias: Node, eps: number): Node;
  /** x / sqrt(mean of squares + eps) * weight over the last axis, weight [width]; Zhang and Sennrich 2019. */
  rmsNorm(x: Node, weight: Node, eps: number): Node;
  /** exp(x) divided by its sum over the last axis. */
  softmax(x: Node): Node;
  /**
   * softmax(scale * q k^T) v by head: q [batch, queries, heads, head_dim], k and v [batch, keys, key heads, head_dim] -> like q.
   * Heads are a multiple of key heads, which neighbours share; a query that sees no key gives zeros. Vaswani et al. 2017, Ainslie
   * et al. 2023.
   */
  attention(q: Node, k: Node, v: Node, options?: AttentionOptions): Node;
  /**
   * Rotary positions (Su et al. 2021): x [batch, tokens, heads, head_dim]; cos, sin [tokens, pairs] or [batch, tokens, pairs].
   * Pairs are elements i and i + pairs, or 2i and 2i + 1 when interleaved; elements beyond 2 pairs stay.
   */
  rotary(x: Node, cos: Node, sin: Node, options?: { interleaved?: boolean }): Node;
  /** Rows of a [rows, width] table at i32 indices -> [...indices, width]. */
  gather(table: Node, indices: Node): Node;
  /** x [batch, tokens, width] at i32 [batch] -> [batch, width]. */
  takeRow(x: Node, indices: Node): Node;
  /**
   * [batch, channels, height, width] -> [batch, patches, channels * patch_height * patch_width]: patches row by row, each channel
   * by channel. Height and width are multiples of the patch's.
   */
  patchify(x: Node, patchHeight: number, patchWidth: number): Node;
  /**
   * Declares a result. Names are told apart from those of inputs.
   * @throws FoveaError `duplicate_name`
   */
  output(name: string, node: Node): void;
  /** Freezes what was declared; the compiler calls it after `build`. @throws FoveaError `no_outputs` */
  finish(): Graph;
}

/** How a graph is built. */
export interface BuilderOptions {
  /** Intervals of the symbols, over which comparisons are decided. */
  readonly symbols: Box;
  /** Where nodes are made; of the built-in ops unless given. */
  readonly interner?: Interner;
  /** What holds between symbols. */
  readonly relations?: readonly Relation[];
  /** Told each trace break, after which building goes on with a stand-in; a break throws unless given. */
  readonly onBreak?: OnBreak;
  /**
   * Notes the author's line of each node, as `file:line` or as this says: for explaining, since capturing stacks doubles
   * the time of building.
   */
  readonly locate?: boolean | ((place: SourcePlace) => string);
}

/** What a node that could not be made is replaced by while breaks are collected: every size of it is 1. */
const STAND_IN_SHAPE: Shape = Object.freeze(new Array<Dim>(8).fill(1));

/** `file:line` of the author's call, to be noted on a node. */
function locationText(text: (place: SourcePlace) => string): string | undefined {
  const place = authorPlace();
  return place === undefined ? undefined : text(place);
}

/** All symbols at the least and at the largest value of their intervals. */
function corners(box: Box): readonly Record<string, number>[] {
  const at = (value: (i: Box[string]) => number): Record<string, number> =>
    Object.fromEntries(Object.entries(box).map(([name, i]) => [name, value(i)]));
  return [
    at(({ min, multipleOf = 1 }) => Math.ceil(min / multipleOf) * multipleOf),
    at(({ max, multipleOf = 1 }) => max - (max % multipleOf)),
  ];
}

const isNode = (value: unknown): boolean =>
  typeof value === "object" && value !== null && "op" in value && "shape" in value;

const noNode = (what: string, found: unknown): FoveaError =>
  new FoveaError("shape_error", `${what} must be a node, which the builder's calls give; found ${describe(found)}.`);

const describe = (found: unknown): string =>
  typeof found === "string" || typeof found === "number" ? JSON.stringify(found) : String(found);

/**
 * A builder for one graph over `symbols`. Errors: FoveaError `shape_error`, `duplicate_name`, `no_outputs`; TraceBreakError
 * for what no graph can say; RangeSplit for a comparison that the intervals leave open.
 */
export function createGraphBuilder(options: BuilderOptions): GraphBuilder {
  const { symbols, relations = [], onBreak, locate = false } = options;
  const noted = locate === true ? placeText : locate;
  const { make } = options.interner ?? createInterner(OP_TABLE);
  const inputs: Node[] = [];
  const outputs: { name: string; node: Node }[] = [];
  const names = new Set<string>();
  const weights = new Map<string, Shape>();
  const standIns = new WeakSet<Node>();
  let broken = false;
  /** Throws, or tells and returns. */
  const breaks = (found: TraceBreak): void => {
    const place = found.place ?? authorPlace();
    const placed = { ...found, ...(place === undefined ? {} : { place }) };
    if (onBreak === undefined) throw new TraceBreakError(placed);
    broken = true;
    onBreak(placed);
  };
  const located = <T>(call: () => T): T => {
    try {
      return call();
    } catch (error) {
      if (!(error instanceof FoveaError) || error instanceof TraceBreakError) throw error;
      // The stack is read only when a call fails: capturing it for every node would double build time.
      const place = authorPlace();
      if (place === undefined) throw error;
      throw new FoveaError(error.code, `${error.message} The call is at ${placeText(place)}.`, { cause: error, place });
    }
  };
  const standIn = (op: string, operands: readonly Node[]): Node => {
    const node: Node = { id: -1, op, inputs: operands, attributes: {}, shape: STAND_IN_SHAPE, dtype: "f32" };
    standIns.add(node);
    return node;
  };
  const op = (name: string, operands: readonly Node[], given: Attributes = {}): Node => {
    let attributes = given;
    const odd = unnamedSize(given);
    if (odd !== undefined) {
      const label = typeof given.name === "string" ? `${name} "${given.name}"` : `operation "${name}"`;
      breaks({
        kind: "unnamed_size",
        found: `the ${label} has the size ${String(odd.found)}, which is neither a whole number nor a symbol`,
        remedy: `Declare a symbol in the component's \`symbols\` and use it as \`b.dims.<name>\`; it has ${symbolNames(symbols)}.`,
        ...(operands.length === 0 ? {} : { node: `${name} <- ${nodePath(operands[0])}` }),
      });
      attributes = repaired(given);
    }
    located(() => {
      for (const [i, operand] of operands.entries())
        if (!isNode(operand)) throw noNode(`Operand ${i} of operation "${name}"`, operand);
    });
    if (broken && operands.some((n) => standIns.has(n))) return standIn(name, operands);
    try {
      return located(() => make(name, operands, attributes, noted === false ? undefined : locationText(noted)));
    } catch (error) {
      if (error instanceof TraceBreakError) breaks(error.info);
      // What went wrong before may be the cause.
      else if (!broken) throw error;
      return standIn(name, operands);
    }
  };
  const { compare, dims } = createComparisons(symbols, relations, breaks);

  const declare = (kind: string, name: string): void => {
    if (names.has(`${kind} ${name}`))
      throw new FoveaError("duplicate_name", `The ${kind} "${name}" is declared twice in one graph; rename one.`);
    names.add(`${kind} ${name}`);
  };
  const declareWeight = (name: string, shape: Shape): void => {
    const old = weights.get(name);
    if (old !== undefined && !shapeEquals(old, shape)) {
      throw new FoveaError(
        "duplicate_name",
        `The weight "${name}" is declared with the shapes ${shapeText(old)} and ${shapeText(shape)}; a checkpoint tensor has one.`,
      );
    }
    weights.set(name, shape);
  };
  /** Symbolic ends that leave the axis somewhere in the box. */
  const checkSlice = (x: Node, axis: number, start: Dim, end: Dim): void => {
    const size = x.shape[axis];
    for (const at of corners(options.symbols)) {
      if ([start, sub(end, start), sub(size, end)].every((d) => evaluate(d, at) >= 0)) continue;
      throw new FoveaError(
        "shape_error",
        `Operation "slice" takes ${evaluate(start, at)}..${evaluate(end, at)} of an axis of size ${evaluate(size, at)} where ${JSON.stringify(at)}.`,
      );
    }
  };
  /** Symbolic axes that are shorter than a window somewhere in the box. */
  const checkWindows = (x: Node, axis: number, size: number): void => {
    for (const at of corners(options.symbols)) {
      const all = evaluate(x.shape[axis], at);
      if (all >= size) continue;
      throw new FoveaError(
        "shape_error",
        `Operation "windows" finds no window of ${size} in an axis of size ${all} where ${JSON.stringify(at)}; give its symbol a larger least value, or pad the axis.`,
      );
    }
  };
  return {
    dims,
    ...compare,
    op,
    input: (name, shape, dtype = "f32") => {
      located(() => declare("input", name));
      const node = op("input", [], { name, shape, dtype });
      inputs.push(node);
      return node;
    },
    weight: (name, shape) => {
      located(() => declareWeight(name, shape));
      return op("weight", [], { name, shape, dtype: "f32" });
    },
    constant: (value) => op("constant", [], { value }),
    unary: (name, x) => op(name, [x]),
    cast: (x) => op("cast", [x], { dtype: "f32" }),
    add: (a, b) => op("add", [a, b]),
    sub: (a, b) => op("sub", [a, b]),
    mul: (a, b) => op("mul", [a, b]),
    div: (a, b) => op("div", [a, b]),
    reshape: (x, shape) => op("reshape", [x], { shape }),
    transpose: (x, perm) => op("transpose", [x], { perm }),
    slice: (x, axis, start, end) => {
      const node = op("slice", [x], { axis, start, end });
      if (!standIns.has(node)) located(() => checkSlice(x, axis, start, end));
      return node;
    },
    broadcastTo: (x, shape) => op("broadcast_to", [x], { shape }),
    windows: (x, axis, size, step) => {
      const node = op("windows", [x], { axis, size, step });
      if (!standIns.has(node)) located(() => checkWindows(x, axis, size));
      return node;
    },
    rotary: (x, cos, sin, o = {}) => op("rotary", [x, cos, sin], { interleaved: o.interleaved ?? false }),
    concat: (list, axis) => (list.length === 1 ? list[0] : op("concat", list, { axis })),
    matmul: (a, b, o = {}) => op("matmul", [a, b], { transpose_b: o.transposeB ?? false }),
    layerNorm: (x, weight, bias, eps) => op("layer_norm", [x, weight, bias], { eps }),
    rmsNorm: (x, weight, eps) => op("rms_norm", [x, weight], { eps }),
    softmax: (x) => op("softmax", [x]),
    attention: (q, k, v, o = {}) => {
      const headDim = q.shape[q.shape.length - 1];
      // Anything but a symbolic head_dim is the op's own to refuse.
      if (o.scale === undefined && typeof headDim === "object") {
        const problem = `Operation "attention" needs a scale, because its head_dim is ${dimKey(headDim)}; give \`scale\`.`;
        return located(() => {
          throw new FoveaError("shape_error", problem);
        });
      }
      return op("attention", [q, k, v, ...(o.keyMask ? [o.keyMask] : []), ...(o.cuSeqlens ? [o.cuSeqlens] : [])], {
        scale: o.scale ?? 1 / Math.sqrt(headDim as number),
        causal: o.causal ?? false,
        key_mask: o.keyMask !== undefined,
        segments: o.cuSeqlens !== undefined,
        ...(o.longestSegment === undefined ? {} : { longest_segment: o.longestSegment }),
        ...(o.window ? { window: o.window } : {}),
      });
    },
    gather: (table, indices) => op("gather", [table, indices]),
    takeRow: (x, indices) => op("take_row", [x, indices]),
    patchify: (x, patchHeight, patchWidth) =>
      op("patchify", [x], { patch_height: patchHeight, patch_width: patchWidth }),
    output: (name, node) => {
      located(() => {
        if (!isNode(node)) throw noNode(`The output "${name}"`, node);
        declare("output", name);
      });
      outputs.push({ name, node });
    },
    finish: () => {
      if (outputs.length === 0)
        throw new FoveaError("no_outputs", "A graph needs at least one output; call b.output(name, node).");
      return Object.freeze({
        symbols: options.symbols,
        inputs: Object.freeze([...inputs]),
        outputs: Object.freeze([...outputs]),
      });
    },
  };
}
