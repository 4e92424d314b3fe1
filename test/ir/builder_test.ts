import assert from "node:assert/strict";
import { test } from "node:test";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { add, type Box, floorDiv, mul } from "../../runtime/core/dim.ts";
import { createGraphBuilder, type GraphBuilder, type Node } from "../../runtime/ir/builder.ts";
import { graphToData, nodesOf, usersOf, weightOnly } from "../../runtime/ir/graph.ts";
import { createInterner, type Interner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { linear, mlp } from "../../runtime/nn/mod.ts";
import { hasCode } from "../kit/assertions.ts";
import { growRandomGraph, RANDOM_SYMBOLS } from "../kit/random_graph.ts";
import { buildGraph } from "../kit/run_graph.ts";

const SYMBOLS: Box = { batch: { min: 1, max: 4 }, tokens: { min: 2, max: 64 } };

function builder(interner?: Interner): GraphBuilder {
  return createGraphBuilder({ symbols: SYMBOLS, ...(interner === undefined ? {} : { interner }) });
}

/** The message of the FoveaError that `call` throws. */
function messageOf(code: string, call: () => unknown): string {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof FoveaError, String(error));
    assert.equal(error.code, code);
    return error.message;
  }
  return assert.fail("nothing was thrown");
}

test("builder: equal calls give one node, others another", () => {
  const b = builder();
  const x = b.input("x", [b.dims.batch, 8]);
  assert.equal(b.add(x, x), b.add(x, x));
  assert.equal(b.constant(2), b.constant(2));
  assert.equal(b.reshape(x, [add(b.dims.batch, 1, -1), 2, 4]), b.reshape(x, [b.dims.batch, 2, 4]));
  assert.equal(b.weight("w", [8]), b.weight("w", [8]));
  assert.notEqual(b.add(x, b.constant(1)), b.sub(x, b.constant(1)));
  assert.notEqual(b.reshape(x, [b.dims.batch, 2, 4]), b.reshape(x, [b.dims.batch, 4, 2]));
  assert.notEqual(b.constant(0), b.constant(-0));
  assert.notEqual(b.op("rms_norm", [x, b.weight("w", [8])], { eps: 1e-5 }), b.rmsNorm(x, b.weight("w", [8]), 1e-6));
  assert.equal(b.concat([x], 0), x);
});

test("builder: nodes do not change with the lists that they came from", () => {
  const b = builder();
  const shape = [b.dims.batch, 8];
  const x = b.input("x", shape);
  const perm = [1, 0];
  const y = b.transpose(x, perm);
  shape.push(3);
  perm.reverse();
  assert.deepEqual([x.shape.length, (x.attributes.shape as unknown[]).length], [2, 2]);
  assert.deepEqual(y.attributes.perm, [1, 0]);
  assert.throws(() => (y.attributes.perm as number[]).push(1), TypeError);
  assert.throws(() => Object.assign(y, { op: "neg" }), TypeError);
});

test("builder: shape errors name the op, its operands and the author's line", () => {
  const b = builder();
  const { batch, tokens } = b.dims;
  const x = b.input("x", [batch, tokens, 8]);
  const ids = b.input("ids", [batch, tokens], "i32");
  const cases: readonly (readonly [() => unknown, RegExp])[] = [
    [
      () => b.add(x, b.weight("a", [7])),
      /^Operation "add" cannot take f32\[batch, tokens, 8\] and f32\[7\]: sizes 8 and 7 do not broadcast on axis -1;/,
    ],
    [
      () => b.add(x, ids),
      /"add" cannot take .* and i32\[batch, tokens\]: its operands must be all floats or all integers/,
    ],
    [() => b.op("add", [x]), /"add" cannot take f32\[batch, tokens, 8\]: it takes 2 operands, found 1\./],
    [() => b.matmul(x, b.weight("m", [4, 8])), /"matmul" .* the inner sizes 8 and 4 differ\./],
    [() => b.matmul(x, b.weight("n", [8, 4]), { transposeB: true }), /8 and 4 differ \(weights are \[out, in\]\)\./],
    [() => b.matmul(b.weight("v", [8]), x), /both operands need at least two axes/],
    [() => b.reshape(x, [batch, tokens, 4]), /8\*batch\*tokens elements cannot become \[batch, tokens, 4\]/],
    [() => b.transpose(x, [0, 0, 1]), /\[0, 0, 1\] is no order of its 3 axes/],
    [() => b.slice(x, 2, 0, 9), /0\.\.9 does not lie inside of axis 2, which has size 8/],
    [() => b.slice(x, 2, -1, 4), /-1\.\.4 does not lie inside of axis 2/],
    [() => b.slice(x, 2, 5, 4), /5\.\.4 does not lie inside of axis 2/],
    [() => b.slice(x, 1, 0, add(tokens, 1)), /0\.\.tokens \+ 1 does not lie inside of axis 1, which has size tokens/],
    [() => b.slice(x, 1, 0, 8), /takes 0\.\.8 of an axis of size 2 where \{"batch":1,"tokens":2\}\./],
    [() => b.slice(x, 3, 0, 1), /axis 3 is outside of 0\.\.2/],
    [() => b.broadcastTo(x, [batch, 8]), /\[batch, tokens, 8\] does not broadcast to \[batch, 8\]/],
    [() => b.concat([x, b.weight("c", [8])], 0), /all sizes but those of axis 0 must agree/],
    [() => b.concat([x, b.reshape(ids, [batch, tokens, 1])], 2), /its operands must have one type/],
    [
      () => b.layerNorm(x, b.weight("g", [7]), b.weight("h", [8]), 1e-5),
      /its parameters must have shape \[8\], found \[7\]/,
    ],
    [() => b.softmax(b.constant(1)), /it needs at least one axis/],
    [() => b.unary("reduce_sum", b.constant(1)), /a scalar has no axis to reduce/],
    [() => b.attention(x, x, x), /the query must be \[batch, tokens, heads, head_dim\], found/],
    [() => b.gather(x, ids), /the table must have two axes/],
    [() => b.gather(b.weight("t", [4, 8]), x), /the indices must be integers, found f32/],
    [() => b.takeRow(x, ids), /it takes \[batch, tokens, width\] and indices \[batch\]/],
    [() => b.patchify(x, 2, 2), /it takes \[batch, channels, height, width\]/],
    [
      () => b.patchify(b.input("image", [1, 3, 8, 8]), 0, 2),
      /patches must have whole sides of at least 1, found 0 x 2/,
    ],
    [() => b.constant(Number.NaN), /its value must be finite in f32, found NaN/],
    [() => b.constant(1e39), /its value must be finite in f32, found 1e\+39/],
    [() => b.weight("y", [batch, 4]), /"y" must have constant sizes, found \[batch, 4\]/],
  ];
  for (const [call, says] of cases) {
    const message = messageOf("shape_error", call);
    assert.match(message, says);
    assert.match(message, /^Operation "\w+" /);
    // This file, wherever the error was found.
    assert.match(message, /The call is at builder_test\.[jt]s:\d+\.$/);
  }
});

test("builder: attention's operands must fit each other", () => {
  const b = builder();
  const { batch, tokens } = b.dims;
  const headed = (name: string, heads: number): Node => b.input(name, [batch, tokens, heads, 8]);
  const [q, k] = [headed("q", 4), headed("k", 2)];
  const refused = (says: RegExp, call: () => unknown): void => assert.match(messageOf("shape_error", call), says);
  assert.deepEqual(b.attention(q, k, k).shape, q.shape);
  const three = headed("three", 3);
  refused(/4 query heads cannot share 3 key heads evenly/, () => b.attention(q, three, three));
  refused(/keys .* and values .* must have one shape/, () => b.attention(q, k, q));
  const mask = b.input("mask", [batch, 7]);
  refused(/the key mask must be f32 \[batch, tokens\]/, () => b.attention(q, k, k, { keyMask: mask }));
  refused(/the segment offsets must be i32 with one axis/, () => b.attention(q, k, k, { cuSeqlens: mask }));
  refused(/4 operands are announced by key_mask and segments, found 3/, () =>
    b.op("attention", [q, k, k], { scale: 1, key_mask: true }),
  );
  const plain = b.attention(q, k, k);
  assert.equal(b.attention(q, k, k, { window: 0 }), plain);
  assert.notEqual(b.attention(q, k, k, { window: 5 }), plain);
  for (const window of [-1, 1.5, Number.POSITIVE_INFINITY])
    refused(/its window must be a whole number of tokens, or 0 for none, found/, () =>
      b.attention(q, k, k, { window }),
    );
  const one = b.input("one", [batch, 1, 4, 8]);
  refused(/a window needs as many queries as keys, found 1 and tokens/, () => b.attention(one, k, k, { window: 2 }));
  const odd = b.input("odd", [batch, tokens, 4, tokens]);
  refused(/needs a scale, because its head_dim is tokens; give `scale`/, () => b.attention(odd, odd, odd));
  assert.deepEqual(b.attention(odd, odd, odd, { scale: 1 }).shape, odd.shape);
});

test("builder: errors inside of shared blocks name the author's line", () => {
  const b = builder();
  const x = b.input("x", [b.dims.batch, 8]);
  b.weight("up.weight", [16, 7]);
  for (const call of [
    () => mlp(b, b.weight("flat", [8]), "flat.", { intermediateSize: 4, activation: "gelu" }),
    () => linear(b, x, "up.", { outFeatures: 16 }),
  ]) {
    assert.throws(call, (error: Error) => /The call is at builder_test\.[jt]s:\d+\.$/.test(error.message));
  }
});

test("builder: names are declared once", () => {
  const b = builder();
  b.input("x", [4]);
  b.output("y", b.weight("w", [4]));
  const at = /The call is at builder_test\.[jt]s:\d+\.$/;
  assert.throws(() => b.input("x", [4]), hasCode("duplicate_name", /The input "x" is declared twice in one graph/));
  assert.throws(() => b.input("x", [4]), at);
  assert.throws(() => b.output("y", b.constant(1)), hasCode("duplicate_name", /The output "y" is declared twice/));
  assert.throws(
    () => b.weight("w", [2, 2]),
    hasCode(
      "duplicate_name",
      /The weight "w" is declared with the shapes \[4\] and \[2, 2\]; a checkpoint tensor has one/,
    ),
  );
  assert.throws(() => builder().finish(), hasCode("no_outputs", /A graph needs at least one output; call b\.output/));
});

test("builder: slices with symbolic ends are checked at both ends of the intervals", () => {
  const b = builder();
  const { batch, tokens } = b.dims;
  const x = b.input("x", [batch, tokens]);
  assert.deepEqual(b.slice(x, 1, 1, tokens).shape[1], add(tokens, -1));
  assert.deepEqual(b.slice(x, 1, 0, floorDiv(tokens, 2)).shape[1], floorDiv(tokens, 2));
  assert.throws(
    () => b.slice(x, 1, 0, mul(tokens, batch)),
    hasCode("shape_error", /takes 0\.\.256 of an axis of size 64/),
  );
  assert.throws(
    () => b.slice(x, 1, add(tokens, -5), tokens),
    hasCode("shape_error", /takes -3\.\.2 of an axis of size 2/),
  );
});

test("builder: windows fit into symbolic axes at both ends of the intervals", () => {
  const b = builder();
  const { batch, tokens } = b.dims;
  const x = b.input("x", [batch, tokens]);
  assert.deepEqual(b.windows(x, 1, 2, 1).shape[1], add(tokens, -1));
  assert.throws(
    () => b.windows(x, 1, 3, 1),
    hasCode(
      "shape_error",
      /no window of 3 in an axis of size 2 where \{"batch":1,"tokens":2\}; give its symbol a larger/,
    ),
  );
});

test("builder: what follows from a break that was told is no error of its own", () => {
  const found: string[] = [];
  const b = createGraphBuilder({ symbols: { n: { min: 4, max: 9 } }, onBreak: (told) => found.push(told.found) });
  const broken = b.op("nonsense", [b.input("x", [b.dims.n, 8])]);
  b.output("sliced", b.slice(broken, 1, 0, 8));
  b.output("windows", b.windows(broken, 0, 3, 1));
  assert.deepEqual(found.length, 1);
  assert.match(found[0], /nonsense/);
});

test("graphs: data does not depend on the order in which nodes were created", () => {
  for (let seed = 0; seed < 40; seed++) {
    const grow = (b: GraphBuilder): void => growRandomGraph(b, seed);
    const plain = buildGraph(RANDOM_SYMBOLS, grow);
    const interner = createInterner(OP_TABLE);
    // Other ids: unrelated nodes first, the graph's own nodes backwards as far as they stand alone.
    const other = createGraphBuilder({ symbols: RANDOM_SYMBOLS, interner });
    for (let i = 0; i < seed; i++) other.unary("exp", other.constant(i));
    for (let i = 20; i >= 0; i--) interner.make("weight", [], { name: `w${i}`, shape: [8], dtype: "f32" });
    grow(other);
    const late = other.finish();
    assert.deepEqual(graphToData(late), graphToData(plain), `seed ${seed}`);
    assert.ok(late.outputs[0].node.id > plain.outputs[0].node.id);
  }
});

test("graphs: data tells apart what means something else", () => {
  const dataOf = (build: (b: GraphBuilder, x: Node) => Node, symbols: Box = SYMBOLS): string => {
    const b = createGraphBuilder({ symbols });
    b.output("y", build(b, b.input("x", [b.dims.batch, 8])));
    return JSON.stringify(graphToData(b.finish()));
  };
  const texts = [
    dataOf((b, x) => b.add(x, b.constant(0))),
    dataOf((b, x) => b.add(x, b.constant(-0))),
    dataOf((b, x) => b.sub(x, b.constant(0))),
    dataOf((b, x) => b.sub(b.constant(0), x)),
    dataOf((b, x) => b.add(x, b.weight("v", [8]))),
    dataOf((b, x) => b.add(x, b.weight("w", [8]))),
    dataOf((b, x) => b.add(x, b.weight("w", [1]))),
    dataOf((b, x) => b.slice(x, 1, 0, 4)),
    dataOf((b, x) => b.slice(x, 1, 1, 5)),
    dataOf((b, x) => b.slice(x, 1, 1, 5), { ...SYMBOLS, batch: { min: 1, max: 5 } }),
  ];
  assert.equal(new Set(texts).size, texts.length);
});

test("graphs: weight-only values, users and needed nodes", () => {
  const b = builder();
  const x = b.input("x", [b.dims.batch, 8]);
  const unused = b.input("unused", [8]);
  const w = b.weight("w", [8]);
  const scaled = b.mul(w, b.constant(2));
  const repeated = b.broadcastTo(w, [b.dims.batch, 8]);
  const y = b.add(b.mul(x, scaled), repeated);
  b.output("y", y);
  const graph = b.finish();
  const nodes = nodesOf(graph);
  assert.ok(!nodes.includes(unused) && graph.inputs.includes(unused));
  const fixed = weightOnly(nodes);
  // What is repeated to a symbolic size cannot be kept.
  assert.deepEqual(
    [w, scaled, repeated, x, y].map((n) => fixed.has(n)),
    [true, true, false, false, false],
  );
  const users = usersOf(nodes);
  assert.deepEqual(
    users.get(w)?.map((n) => n.op),
    ["mul", "broadcast_to"],
  );
  assert.deepEqual(users.get(y), []);
  const position = new Map(nodes.map((n, i) => [n, i]));
  for (const n of nodes) for (const i of n.inputs) assert.ok((position.get(i) as number) < (position.get(n) as number));
});

test("builder: an op that nobody offers and sizes that are none break the trace", () => {
  const b = builder();
  const x = b.input("x", [b.dims.batch, 8]);
  const breaks = (call: () => unknown, says: RegExp): void => {
    assert.throws(call, hasCode("trace_break", says));
  };
  breaks(
    () => b.op("gelo", [b.unary("neg", x)]),
    /: there is no operation "gelo" \(gelo <- neg <- input x\)\. Register it through a plugin's `ops`, .* Did you mean "gelu"\?$/,
  );
  for (const [size, text] of [
    [-1, "-1"],
    [2.5, "2\\.5"],
    [Number.NaN, "NaN"],
    [undefined, "undefined"],
    [2 ** 60, "\\d+"],
  ] as const) {
    breaks(
      () => b.reshape(x, [size as number, 8]),
      new RegExp(
        `the operation "reshape" has the size ${text}, which is neither a whole number nor a symbol \\(reshape <- input x\\)\\. Declare a symbol in the component's \`symbols\` and use it as \`b\\.dims\\.<name>\`; it has batch, tokens\\.$`,
      ),
    );
  }
  breaks(() => b.input("y", [undefined as unknown as number, 8]), /the input "y" has the size undefined/);
  breaks(() => b.slice(x, 1, 0, Number.NaN), /"slice" has the size NaN/);
  breaks(
    () => b.dims.token,
    /there is no symbol "token"\. Declare it in .*; it has batch, tokens\. Did you mean "tokens"\?/,
  );
});

test("builder: a node's values cannot be read, in any spelling", () => {
  const b = builder();
  const x = b.add(b.input("x", [b.dims.batch, 8]), b.constant(1));
  const node = x as unknown as { data: unknown; length: number; item(): number; toString(): string };
  const reads: readonly (readonly [RegExp, () => unknown])[] = [
    [/read on the host by `\.data` \(add <- input x\)\. .*move what needs the value to `plan`/, () => node.data],
    [/by `\.length`/, () => node.length],
    [/by `\.item\(\)`/, () => node.item()],
    [/by turning it into text/, () => `${x}`],
    [/by turning it into text/, () => node.toString()],
    [/by iterating over it/, () => [...(x as unknown as Iterable<number>)]],
    [/by `JSON\.stringify`/, () => JSON.stringify(x)],
    [
      /compared or turned into a number .* choose between two results with `where`/,
      () => (node as unknown as number) > 0,
    ],
    [/compared or turned into a number/, () => Number(x)],
    [/compared or turned into a number/, () => +(x as unknown as number)],
  ];
  for (const [says, read] of reads) assert.throws(read, hasCode("trace_break", says));
});

test("builder: nodes carry the author's line when asked to", () => {
  const b = createGraphBuilder({ symbols: SYMBOLS, locate: true });
  const x = b.input("x", [b.dims.batch, 8]);
  assert.match(String(b.unary("neg", x).source), /^builder_test\.[jt]s:\d+$/);
  assert.equal(builder().input("x", [8]).source, undefined);
});
