/** Two chosen claims as one: when they are joined, where the joined claim stands, and what is emitted for it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Claim, type KernelSpec, writtenBy } from "../../runtime/abi/kernel.ts";
import { compileGraph } from "../../runtime/compile/compile.ts";
import { type Cover, collectOffers, coverGraph } from "../../runtime/compile/cover.ts";
import { joinClaims } from "../../runtime/compile/join_claims.ts";
import { planRowBlocks } from "../../runtime/compile/row_blocks.ts";
import { createViewResolver } from "../../runtime/compile/views.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { createGraphBuilder, type GraphBuilder, type Node } from "../../runtime/ir/builder.ts";
import type { Graph } from "../../runtime/ir/graph.ts";
import { createInterner, type Interner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { fakeClaim, kernelOf, optionsOf, randomCover, WHOLE_SECONDS } from "./cover_kit.ts";

const isFree = (n: Node): boolean => n.op === "weight";
const EACH = 10;

/** Every elementwise op alone, at a price; all may be joined by "both" unless told otherwise. */
const alone = (joinedBy: (node: Node) => string = () => "both"): KernelSpec => ({
  name: "alone",
  device: "fake",
  reads: [],
  claim: (context, node) => {
    if (context.kind(node) !== "elementwise") return [];
    const code = new TextEncoder().encode(node.op);
    const emit: Claim["emit"] = (e) =>
      e.step({
        ...{ name: node.op, code, grid: 1, flops: 0 },
        args: [
          { place: e.output, offset: 0, mode: "write" },
          ...node.inputs.map((_, i) => ({ place: e.operand(i).place, offset: 0, mode: "read" }) as const),
        ],
      });
    return [{ ...fakeClaim("alone", [node], EACH, isFree), emit, joinedBy: joinedBy(node) }];
  },
});

/** Both at once: the later is written, and the earlier where others read it. */
function bothOf(earlier: Claim, later: Claim, seconds: number, also: readonly Node[]): Claim {
  const operands = [...earlier.operands, ...later.operands.filter(({ node }) => node !== earlier.output)];
  return {
    kernel: "any",
    covers: [...earlier.covers, ...later.covers],
    output: later.output,
    ...(also.length === 0 ? {} : { also }),
    operands,
    weights: [],
    cost: { flops: seconds, bytes: 0, launches: 0 },
    emit: (e) =>
      e.step({
        ...{ name: "both", code: new Uint8Array([1]), grid: 1, flops: 0 },
        args: [
          ...[e.output, ...e.also].map((place) => ({ place, offset: 0, mode: "write" }) as const),
          ...operands.map((_, i) => ({ place: e.operand(i).place, offset: 0, mode: "read" }) as const),
        ],
      }),
  };
}

type Join = NonNullable<KernelSpec["join"]>;

const both = (seconds = EACH): KernelSpec => ({
  ...kernelOf("both", new Map()),
  join: (context, earlier, later) => {
    const made = earlier.output;
    const isRead = context.isOutput(made) || context.users(made).some((user) => user !== later.output);
    return bothOf(earlier, later, seconds, isRead ? [made] : []);
  },
});

interface Built {
  readonly graph: Graph;
  readonly interner: Interner;
}

function built(build: (b: GraphBuilder) => void): Built {
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: {}, interner });
  build(b);
  return { graph: b.finish(), interner };
}

function joined({ graph, interner }: Built, kernels: readonly KernelSpec[]): Cover {
  const options = optionsOf(interner, kernels);
  const offers = collectOffers(graph, options);
  return joinClaims(coverGraph(offers, options), offers, options);
}

const texts = ({ claims }: Pick<Cover, "claims">): readonly string[] =>
  claims.map((c) => `${c.kernel}: ${c.covers.map((n) => n.op).join(" + ")} -> ${writtenBy(c).map((n) => n.op)}`);

/** s = x + y, exp(s), and s itself as a result. */
const pair = (): Built =>
  built((b) => {
    const s = b.add(b.input("x", [4]), b.input("y", [4]));
    b.output("s", s);
    b.output("e", b.unary("exp", s));
  });

test("join: two claims become one that writes both, named by the kernel that joined them", () => {
  const cover = joined(pair(), [alone(), both()]);
  assert.deepEqual(texts(cover), ["both: add + exp -> exp,add"]);
  const parts = cover.parts.get(cover.claims[0]) ?? assert.fail();
  assert.deepEqual(texts({ claims: parts }), ["alone: add -> add", "alone: exp -> exp"]);
});

test("join: a value that nobody else reads is not written", () => {
  const only = built((b) => b.output("e", b.unary("exp", b.add(b.input("x", [4]), b.input("y", [4])))));
  assert.deepEqual(texts(joined(only, [alone(), both()])), ["both: add + exp -> exp"]);
});

test("join: taken where it costs less; without its kernel the two are used", () => {
  const two = ["alone: add -> add", "alone: exp -> exp"];
  assert.equal(texts(joined(pair(), [alone(), both(2 * EACH - 1)])).length, 1);
  assert.deepEqual(texts(joined(pair(), [alone(), both(2 * EACH)])), two);
  assert.deepEqual(texts(joined(pair(), [alone()])), two);
});

test("join: of several the one that saves most, then the first", () => {
  const three = built((b) => {
    const s = b.add(b.input("x", [4]), b.input("y", [4]));
    for (const op of ["exp", "tanh", "abs"]) b.output(op, b.unary(op, s));
  });
  const by = (prices: Readonly<Record<string, number>>): readonly string[] => {
    const join: Join = (_, earlier, later) => bothOf(earlier, later, prices[later.output.op] ?? EACH, [earlier.output]);
    return texts(joined(three, [alone(), { ...both(), join }]));
  };
  assert.deepEqual(by({}), ["both: add + exp -> exp,add", "alone: tanh -> tanh", "alone: abs -> abs"]);
  assert.deepEqual(by({ abs: 5 }), ["both: add + abs -> abs,add", "alone: exp -> exp", "alone: tanh -> tanh"]);
});

test("join: the earlier's place is kept, so that nothing may be read that is written later", () => {
  /** e = max(s, t), with the results in an order that decides which of s and t is written first. */
  const ordered = (results: readonly ("s" | "t")[]): readonly string[] => {
    const graph = built((b) => {
      const [x, y] = [b.input("x", [4]), b.input("y", [4])];
      const made = { s: b.add(x, y), t: b.mul(x, y) };
      for (const name of results) b.output(name, made[name]);
      b.output("e", b.op("max", [made.s, made.t]));
    });
    return texts(joined(graph, [alone((n) => (n.op === "mul" ? "nobody" : "both")), both()]));
  };
  assert.deepEqual(ordered(["s", "t"]), ["alone: add -> add", "alone: mul -> mul", "alone: max -> max"]);
  assert.deepEqual(ordered(["t", "s"]), ["alone: mul -> mul", "both: add + max -> max,add"]);
});

test("join: what reads the earlier value in between comes behind the joined claim", () => {
  const between = built((b) => {
    const s = b.add(b.input("x", [4]), b.input("y", [4]));
    b.output("a", b.unary("abs", s));
    b.output("e", b.unary("exp", s));
  });
  const kernels = [alone((n) => (n.op === "abs" ? "nobody" : "both")), both()];
  assert.deepEqual(texts(joined(between, kernels)), ["both: add + exp -> exp,add", "alone: abs -> abs"]);
});

test("join: only claims that both name a kernel are shown to it", () => {
  const join: Join = () => assert.fail("asked about a claim that does not name it");
  const greedy: KernelSpec = { ...kernelOf("greedy", new Map()), join };
  for (const name of [() => "both", (n: Node) => (n.op === "add" ? "greedy" : "both"), () => "none"])
    assert.equal(texts(joined(pair(), [alone(name), greedy])).length, 2);
});

test("join: claims that do not stand for the two are refused, with the reason", () => {
  const other = createInterner(OP_TABLE).make("input", [], { name: "z", shape: [4], dtype: "f32" });
  const wrong: Readonly<Record<string, (claim: Claim) => Claim>> = {
    "what it would join covers other nodes.": (c) => ({ ...c, covers: c.covers.slice(1) }),
    'it would read "input", which neither of what it joins reads.': (c) => ({
      ...c,
      operands: [...c.operands, { node: other, access: "strided" }],
    }),
    'it would write "input", which neither of what it joins writes.': (c) => ({ ...c, also: [other] }),
    'its inner value "add" has other users.': ({ also: _, ...c }) => c,
  };
  for (const [reason, change] of Object.entries(wrong)) {
    const join: Join = (_, earlier, later) => change(bothOf(earlier, later, 1, [earlier.output]));
    const cover = joined(pair(), [alone(), { ...both(), join }]);
    assert.equal(cover.claims.length, 2, reason);
    // What is not there yet is no mistake of the kernel.
    if (!reason.includes("read"))
      assert.deepEqual(
        cover.refusals.map((r) => [r.kernel, r.reason]),
        [["both", reason]],
      );
  }
});

test("cover: an offer that writes several values is none", () => {
  const { graph, interner } = pair();
  const [s, e] = graph.outputs.map((o) => o.node);
  const wide = { ...fakeClaim("wide", [e, s], 1, isFree), also: [s] };
  const options = optionsOf(interner, [kernelOf("wide", new Map([[e, [wide]]])), alone()]);
  const cover = coverGraph(collectOffers(graph, options), options);
  assert.deepEqual(texts(cover), ["alone: add -> add", "alone: exp -> exp"]);
  assert.deepEqual(
    cover.refusals.map((r) => r.reason),
    ["it writes several values, which only joined claims do."],
  );
});

test("join: random covers stay exact and cost no more, whatever is joined", () => {
  let count = 0;
  for (let seed = 0; seed < 400; seed++) {
    const made = randomCover(seed);
    const claims = new Map([...made.claims].map(([n, own]) => [n, own.map((c) => ({ ...c, joinedBy: "both" }))]));
    let asked = 0;
    const join: Join = (context, earlier, later) =>
      hash32(seed, asked++) % 3 === 0
        ? undefined
        : { ...(both(hash32(seed, asked) % 40).join?.(context, earlier, later) as Claim), joinedBy: "both" };
    const kernels = [kernelOf("fake", claims), { ...both(), join }];
    const options = optionsOf(made.interner, kernels);
    const offers = collectOffers(made.graph, options);
    let before: Cover;
    try {
      before = coverGraph(offers, options);
    } catch {
      continue;
    }
    const after = joinClaims(before, offers, options);
    const seconds = ({ claims: all }: Cover): number => all.reduce((n, c) => n + (c.cost.flops as number), 0);
    assert.ok(seconds(after) <= seconds(before));
    if (after.claims.length < before.claims.length) count++;
    assert.deepEqual(new Set(after.claims.flatMap((c) => c.covers)), new Set(before.claims.flatMap((c) => c.covers)));
    const written = new Set<Node>();
    for (const c of after.claims) {
      for (const { node } of c.operands) {
        const { base } = options.view(node);
        assert.ok(offers.isFree(base) || written.has(base), `seed ${seed}: ${base.op} is read before it is written`);
      }
      for (const node of writtenBy(c)) written.add(node);
    }
    for (const { node } of made.graph.outputs) assert.ok(written.has(node), `seed ${seed}: a result is not written`);
  }
  assert.ok(count > 100, `${count} were joined`);
});

test("join: both values have places, lifetimes, expectations and an explanation of their own; op by op there is none", () => {
  const compile = (enabled: boolean) => {
    const { graph, interner } = built((b) => {
      const s = b.add(b.input("x", [64]), b.input("y", [64]));
      const e = b.unary("exp", s);
      // s is read long after it was written; what lies between must not take its place.
      b.output("z", b.add(b.unary("abs", b.unary("tanh", e)), s));
      b.output("e", e);
    });
    const joins: KernelSpec = {
      ...both(),
      join: (_, earlier, later) =>
        later.output.op === "exp" ? bothOf(earlier, later, 1, [earlier.output]) : undefined,
    };
    return compileGraph(graph, {
      ...{ interner, kernels: [alone(), joins], target: "fake", capabilities: WHOLE_SECONDS, enabled, details: true },
    });
  };
  const { artifact, report } = compile(true);
  assert.match(report.claimed, /^#0 both: add \+ exp -> f32\[64\] and f32\[64\]\n#1 alone: tanh/);
  assert.deepEqual(report.planned.split("\n").slice(0, 4), [
    "#0 both/both grid 1 reads input0 input1 writes output1 scratch0",
    "#1 alone/tanh grid 1 reads output1 writes scratch1",
    "#2 alone/abs grid 1 reads scratch1 writes scratch2",
    "#3 alone/add grid 1 reads scratch2 scratch0 writes output0",
  ]);
  const compared = artifact.expectations.filter(({ steps }) => steps[0] === 0);
  assert.deepEqual(
    compared.map(({ output, steps }) => [output, steps]),
    [
      [{ space: "output", index: 1 }, [0, 1]],
      [{ space: "scratch", index: 0 }, [0, 1]],
    ],
  );
  assert.notEqual(compared[0].values, compared[1].values);

  const { nodes, groups } = report.details ?? assert.fail();
  const [first] = groups;
  assert.deepEqual(
    [first.output, ...first.also].map((n) => nodes[n].op),
    ["exp", "add"],
  );
  // The two cost 10 each, and one of them is left of what both took.
  assert.deepEqual([first.seconds, first.totalSeconds], [1, 1]);
  const single = compile(false);
  assert.equal(single.artifact.steps.length, 5);
  assert.ok(single.artifact.steps.every(({ kernel }) => kernel.startsWith("alone/")));
});

test("row blocks: of a joined claim both values stay inside, or move from block to block", () => {
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: { rows: { min: 1, max: 1000 } }, interner });
  const [x, y] = ["x", "y"].map((name) => b.input(name, [b.dims.rows, 8]));
  const s = b.add(x, y);
  const e = b.unary("exp", s);
  const t = b.unary("tanh", e);
  const z = b.add(t, s);
  for (const [name, node] of Object.entries({ z, e })) b.output(name, node);
  const at = (node: Node): Claim => fakeClaim("alone", [node], 1, isFree);
  const plan = (outputs: readonly Node[]) =>
    planRowBlocks({
      ...{ claims: [bothOf(at(s), at(e), 1, [s]), at(t), at(z)], outputs: new Set(outputs), box: b.finish().symbols },
      ...{ table: OP_TABLE, view: createViewResolver(OP_TABLE), blockBytes: 3 * 8 * 4 * 10 },
    });
  const moving = (outputs: readonly Node[]): readonly (readonly Node[])[] =>
    plan(outputs).map(({ advance }) => [...advance.keys()]);
  assert.deepEqual(
    plan([z]).map(({ claims, most }) => [claims, most]),
    [[[0, 3], 10]],
  );
  assert.deepEqual(moving([z]), [[x, y, z]]);
  assert.deepEqual(moving([z, e]), [[x, y, e, z]]);
  assert.deepEqual(moving([z, s]), [[x, y, s, z]]);
});
