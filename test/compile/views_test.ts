import assert from "node:assert/strict";
import { test } from "node:test";
import type { View } from "../../runtime/abi/kernel.ts";
import { materializeViews } from "../../runtime/compile/legalize.ts";
import { createViewResolver, isDense, isWhole } from "../../runtime/compile/views.ts";
import { add, type Bindings, type Box, type Dim, dimEquals, evaluate, mul, shapeText } from "../../runtime/core/dim.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { createGraphBuilder, type GraphBuilder, type Node } from "../../runtime/ir/builder.ts";
import { evaluateGraph, type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { nodesOf } from "../../runtime/ir/graph.ts";
import { createInterner, type Interner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";

const SYMBOLS: Box = { batch: { min: 1, max: 3 }, tokens: { min: 2, max: 5 } };

interface Start {
  readonly b: GraphBuilder;
  readonly x: Node;
  readonly interner: Interner;
}

function start(shape: (b: GraphBuilder) => readonly Dim[] = (b) => [b.dims.batch, b.dims.tokens, 6, 4]): Start {
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: SYMBOLS, interner });
  return { b, x: b.input("x", shape(b)), interner };
}

/** The elements that a view finds in its base, in row-major order. */
function readView(view: View, at: Bindings, base: RefTensor): readonly number[] {
  const sizes = view.shape.map((d) => evaluate(d, at));
  const strides = view.strides.map((d) => evaluate(d, at));
  let positions = [evaluate(view.offset, at)];
  sizes.forEach((size, axis) => {
    positions = positions.flatMap((p) => Array.from({ length: size }, (_, i) => p + i * strides[axis]));
  });
  return positions.map((p) => base.data[p]);
}

/** One more view op over `x`, by chance. */
function grow({ b }: Start, x: Node, pick: (count: number) => number): Node {
  const rank = x.shape.length;
  const axis = pick(Math.max(1, rank));
  switch (pick(6)) {
    case 0: {
      // A rotation and one exchange reach every order in a few steps.
      const perm = [...x.shape.keys()].map((i) => (i + axis) % rank);
      const other = pick(Math.max(1, rank));
      [perm[0], perm[other]] = [perm[other], perm[0]];
      return rank < 2 ? x : b.transpose(x, perm);
    }
    case 1: {
      const size = x.shape[axis];
      if (typeof size !== "number" || size < 2) return x;
      const from = pick(size - 1);
      return b.slice(x, axis, from, from + 1 + pick(size - from - 1));
    }
    case 2: {
      // Two neighbours become one.
      if (rank < 2 || axis + 1 >= rank) return x;
      return b.reshape(x, [
        ...x.shape.slice(0, axis),
        mul(x.shape[axis], x.shape[axis + 1]),
        ...x.shape.slice(axis + 2),
      ]);
    }
    case 3: {
      // One becomes two.
      const size = x.shape[axis];
      if (typeof size !== "number" || size % 2 !== 0 || rank > 5) return x;
      return b.reshape(x, [...x.shape.slice(0, axis), 2, size / 2, ...x.shape.slice(axis + 1)]);
    }
    case 4:
      return rank > 5 ? x : b.reshape(x, [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)]);
    default: {
      const single = x.shape.findIndex((d) => dimEquals(d, 1));
      if (single < 0) return x;
      return b.broadcastTo(
        x,
        x.shape.map((d, i) => (i === single ? b.dims.batch : d)),
      );
    }
  }
}

test("views: random chains find the elements that the evaluator finds", () => {
  const ops = new Map<string, number>();
  let refused = 0;
  let strided = 0;
  for (let seed = 0; seed < 500; seed++) {
    let drawn = 0;
    const pick = (count: number): number => hash32(seed, drawn++) % count;
    const begin = start();
    let y = begin.x;
    for (let i = 0; i < 7; i++) y = grow(begin, y, pick);
    begin.b.output("y", y);
    const resolver = createViewResolver(OP_TABLE);
    const traced = begin.b.finish();
    const graph = materializeViews(traced, begin.interner.make, OP_TABLE, resolver);
    const nodes = nodesOf(graph);
    for (const n of nodes) ops.set(n.op, (ops.get(n.op) ?? 0) + 1);
    refused += nodes.filter((n) => n.op === "contiguous").length;
    const view = resolver(graph.outputs[0].node);
    if (!isDense(view)) strided++;
    // After copies were put in, everything is a view of an input or of a copy.
    assert.ok(view.base.op === "input" || view.base.op === "contiguous", `seed ${seed}: ${view.base.op}`);
    assert.equal(shapeText(view.shape), shapeText(y.shape));
    const at = { batch: 1 + (seed % 3), tokens: 2 + (seed % 4) };
    const count = at.batch * at.tokens * 24;
    const inputs = {
      x: refTensor(
        "f32",
        [at.batch, at.tokens, 6, 4],
        Array.from({ length: count }, (_, i) => i),
      ),
    };
    const noWeights = (): never => assert.fail("no weights");
    const expected = evaluateGraph(traced, at, inputs, noWeights).y;
    const whole = { ...graph, outputs: [{ name: "base", node: view.base }] };
    const { base } = evaluateGraph(whole, at, inputs, noWeights);
    assert.deepEqual(readView(view, at, base), [...expected.data], `seed ${seed}: ${nodes.map((n) => n.op).join(" ")}`);
    if (isWhole(view)) assert.deepEqual([...expected.data], [...base.data]);
  }
  for (const op of ["reshape", "transpose", "slice", "broadcast_to"]) assert.ok((ops.get(op) ?? 0) > 50, op);
  assert.ok(refused > 20 && strided > 100, `${refused} copies, ${strided} strided`);
});

test("views: what strides can say needs no copy", () => {
  const { b, x } = start();
  const { batch, tokens } = b.dims;
  const view = createViewResolver(OP_TABLE);
  const stridesOf = (node: Node): string => {
    assert.equal(view(node).base, x);
    return shapeText(view(node).strides);
  };
  // A head of a packed projection, its tokens last, a slice in between.
  const part = b.slice(x, 2, 2, 4);
  assert.equal(stridesOf(part), "[24*tokens, 24, 4, 1]");
  assert.ok(dimEquals(view(part).offset, 8));
  assert.equal(stridesOf(b.reshape(part, [batch, tokens, 8])), "[24*tokens, 24, 1]");
  assert.equal(stridesOf(b.reshape(part, [mul(batch, tokens), 2, 2, 2])), "[24, 4, 2, 1]");
  assert.equal(stridesOf(b.transpose(part, [0, 2, 1, 3])), "[24*tokens, 4, 24, 1]");
  const last = b.slice(x, 1, add(tokens, -1), tokens);
  assert.ok(dimEquals(view(last).offset, add(mul(24, tokens), -24)));
  assert.equal(stridesOf(b.reshape(last, [batch, 6, 4])), "[24*tokens, 4, 1]");
  // Axes of size 1 have any stride, before, between and after.
  assert.equal(stridesOf(b.reshape(b.slice(x, 2, 3, 4), [batch, tokens, 4])), "[24*tokens, 24, 1]");
  assert.equal(stridesOf(b.reshape(b.slice(x, 2, 3, 4), [1, batch, tokens, 1, 4, 1])), "[0, 24*tokens, 24, 0, 1, 0]");
  assert.equal(stridesOf(b.reshape(b.slice(x, 3, 1, 2), [batch, tokens, 3, 2])), "[24*tokens, 24, 8, 4]");
  const repeated = b.broadcastTo(b.slice(x, 1, 0, 1), [batch, 7, 6, 4]);
  assert.equal(stridesOf(repeated), "[24*tokens, 0, 4, 1]");
  assert.equal(stridesOf(b.broadcastTo(x, [5, batch, tokens, 6, 4])), "[0, 24*tokens, 24, 4, 1]");
});

test("views: what strides cannot say is refused, and copied", () => {
  const { b, x, interner } = start();
  const { batch, tokens } = b.dims;
  const view = createViewResolver(OP_TABLE);
  const impossible: readonly Node[] = [
    b.reshape(b.transpose(x, [0, 1, 3, 2]), [batch, tokens, 24]),
    b.reshape(b.slice(x, 3, 0, 2), [batch, tokens, 12]),
    b.reshape(b.slice(x, 1, 0, 1), [mul(batch, 24)]),
    b.reshape(b.broadcastTo(b.slice(x, 2, 0, 1), [batch, tokens, 6, 4]), [batch, tokens, 24]),
    b.reshape(b.transpose(x, [1, 0, 2, 3]), [mul(batch, tokens), 6, 4]),
  ];
  for (const node of impossible) {
    assert.equal(view(node).base, node, shapeText(node.shape));
    const graph = { symbols: SYMBOLS, inputs: [x], outputs: [{ name: "y", node }] };
    const copied = materializeViews(graph, interner.make, OP_TABLE, view).outputs[0].node;
    const { base } = view(copied);
    assert.equal(base.op, "contiguous");
    assert.equal(base.inputs[0], node.inputs[0]);
    assert.ok(isWhole(view(copied)));
  }
});
