import assert from "node:assert/strict";
import { test } from "node:test";
import type { Claim, KernelSpec } from "../../runtime/abi/kernel.ts";
import { type Cover, collectOffers, coverGraph, predictSeconds } from "../../runtime/compile/cover.ts";
import { symbol } from "../../runtime/core/dim.ts";
import { createGraphBuilder, type GraphBuilder, type Node } from "../../runtime/ir/builder.ts";
import { type Graph, nodesOf } from "../../runtime/ir/graph.ts";
import { createInterner, type Interner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { hasCode } from "../kit/assertions.ts";
import {
  cheapestByTrial,
  fakeClaim,
  kernelOf,
  optionsOf,
  type RandomCover,
  randomCover,
  WHOLE_SECONDS,
} from "./cover_kit.ts";

function coverOf(graph: Graph, interner: Interner, kernels: readonly KernelSpec[], opByOp = false): Cover {
  const options = optionsOf(interner, kernels, opByOp);
  return coverGraph(collectOffers(graph, options), options);
}

const seconds = (claims: readonly Claim[]): number => claims.reduce((sum, c) => sum + (c.cost.flops as number), 0);
const isFree = (n: Node): boolean => n.op === "input" || n.op === "weight";

/** Every node that must be written is covered once, operands before users. */
function assertExact({ graph, interner }: RandomCover, cover: Cover): void {
  const { context, isFree: free } = collectOffers(graph, optionsOf(interner, []));
  const covered = cover.claims.flatMap((c) => c.covers);
  assert.equal(new Set(covered).size, covered.length);
  const needed = nodesOf(graph).filter((n) => !free(n) && context.kind(n) !== "view");
  for (const n of needed) assert.ok(covered.includes(n), n.op);
  const written = new Set<Node>();
  const { view } = optionsOf(interner, []);
  for (const c of cover.claims) {
    for (const o of c.operands) {
      const { base } = view(o.node);
      assert.ok(free(base) || written.has(base), `${base.op} is read before it is written`);
    }
    for (const n of c.covers) {
      const inner = n !== c.output;
      assert.ok(!inner || (!context.isOutput(n) && context.users(n).every((u) => c.covers.includes(u))));
    }
    written.add(c.output);
  }
}

test("cover: the cheapest of all exact covers is chosen, on random graphs with random claims", () => {
  let fused = 0;
  let impossible = 0;
  for (let seed = 0; seed < 600; seed++) {
    const made = randomCover(seed);
    const kernels = [kernelOf("fake", made.claims)];
    const least = cheapestByTrial(made);
    if (least === Number.POSITIVE_INFINITY) {
      impossible++;
      assert.throws(() => coverOf(made.graph, made.interner, kernels), hasCode("no_kernel", /^No kernel takes /));
      continue;
    }
    const cover = coverOf(made.graph, made.interner, kernels);
    assert.equal(seconds(cover.claims), least, `seed ${seed}`);
    assertExact(made, cover);
    if (cover.claims.some((c) => c.covers.length > 1)) fused++;
    const again = coverOf(made.graph, made.interner, kernels);
    assert.deepEqual(
      again.claims.map((c) => c.kernel),
      cover.claims.map((c) => c.kernel),
    );
    // Chosen and lost together are all legal claims.
    const offered = collectOffers(made.graph, optionsOf(made.interner, kernels));
    const legal = nodesOf(made.graph).flatMap((n) => offered.claimsFor(n)).length;
    assert.equal(cover.claims.length + cover.losing.length, legal);
  }
  assert.ok(fused > 200 && impossible > 20 && impossible < 300, `${fused} fused, ${impossible} impossible`);
});

/** x -> neg -> exp and neg -> abs, added: neg is read twice. */
function diamond(): RandomCover & { readonly at: Readonly<Record<"neg" | "exp" | "abs" | "add", Node>> } {
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: {}, interner });
  const neg = b.unary("neg", b.input("x", [4]));
  const [exp, abs] = [b.unary("exp", neg), b.unary("abs", neg)];
  const add = b.add(exp, abs);
  b.output("y", add);
  return { graph: b.finish(), interner, claims: new Map(), at: { neg, exp, abs, add } };
}

const table = (...claims: readonly Claim[]): ReadonlyMap<Node, readonly Claim[]> => {
  const map = new Map<Node, Claim[]>();
  for (const c of claims) map.set(c.output, [...(map.get(c.output) ?? []), c]);
  return map;
};

test("cover: a value that two claims read is paid for once", () => {
  const { graph, interner, at } = diamond();
  const alone = Object.values(at).map((n) => fakeClaim("alone", [n], n.op === "neg" ? 10 : 1, isFree));
  // Counted twice, neg would make the fused claim look cheaper.
  const whole = fakeClaim("whole", [at.add, at.exp, at.abs, at.neg], 15, isFree);
  const chosen = coverOf(graph, interner, [kernelOf("fake", table(...alone, whole))]);
  assert.deepEqual(
    chosen.claims.map((c) => c.kernel),
    ["alone", "alone", "alone", "alone"],
  );
  assert.deepEqual(
    chosen.losing.map((l) => [l.kernel, l.seconds]),
    [["whole", 15]],
  );
});

test("cover: claims whose inner values have other users are never chosen", () => {
  const { graph, interner, at } = diamond();
  const alone = Object.values(at).map((n) => fakeClaim("alone", [n], 10, isFree));
  const leaky = fakeClaim("leaky", [at.exp, at.neg], 1, isFree);
  const cover = coverOf(graph, interner, [kernelOf("fake", table(...alone, leaky))]);
  assert.ok(cover.claims.every((c) => c.kernel === "alone"));
  assert.deepEqual(
    cover.refusals.map((r) => [r.kernel, r.node, r.reason]),
    [["leaky", at.exp, 'its inner value "neg" has other users.']],
  );
  // A result is read from outside too.
  const b = createGraphBuilder({ symbols: {}, interner });
  b.output("y", at.exp);
  b.output("z", at.neg);
  const both = coverOf(b.finish(), interner, [kernelOf("fake", table(...alone, leaky))]);
  assert.deepEqual(
    both.claims.map((c) => c.output.op),
    ["neg", "exp"],
  );
});

test("cover: ties go to the claim that covers more, then to the first kernel", () => {
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: {}, interner });
  const neg = b.unary("neg", b.input("x", [4]));
  const exp = b.unary("exp", neg);
  b.output("y", exp);
  const graph = b.finish();
  const [one, two] = ["one", "two"].map((name) =>
    kernelOf(name, table(fakeClaim(name, [neg], 2, isFree), fakeClaim(name, [exp], 2, isFree))),
  );
  const wide = kernelOf("wide", table(fakeClaim("wide", [exp, neg], 4, isFree)));
  const names = (kernels: readonly KernelSpec[], opByOp = false): readonly string[] =>
    coverOf(graph, interner, kernels, opByOp).claims.map((c) => c.kernel);
  assert.deepEqual(names([one, two, wide]), ["wide"]);
  assert.deepEqual(names([one, two]), ["one", "one"]);
  assert.deepEqual(names([two, one]), ["two", "two"]);
  assert.deepEqual(names([one, two, wide], true), ["one", "one"]);
  assert.throws(
    () => names([wide], true),
    hasCode(
      "no_kernel",
      /takes "neg" .* No kernel knows this op\.$|takes "exp".*covers 2 ops, and each is to be covered alone\./,
    ),
  );
});

test("cover: what no kernel takes is named with every refusal", () => {
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: { t: { min: 1, max: 4 } }, interner });
  const neg = b.unary("neg", b.input("x", [b.dims.t, 4]));
  b.output("y", b.unary("exp", neg));
  const graph = b.finish();
  const onlyExp: KernelSpec = {
    name: "only_exp",
    device: "fake",
    reads: [],
    claim: (_, n) =>
      n.op === "exp"
        ? [fakeClaim("only_exp", [n], 1, isFree)]
        : [{ kernel: "only_exp", node: n, reason: `it does not know ${n.op}.` }],
  };
  const other: KernelSpec = {
    ...onlyExp,
    name: "other",
    claim: (_, node) => [{ kernel: "other", node, reason: "its day is over." }],
  };
  assert.throws(
    () => coverOf(graph, interner, [onlyExp, other]),
    hasCode(
      "no_kernel",
      /^No kernel takes "neg" -> f32\[t, 4\]\. Refusals: only_exp: it does not know neg\. other: its day is over\.$/,
    ),
  );
  assert.throws(
    () => coverOf(graph, interner, []),
    hasCode("no_kernel", /^No kernel takes "exp" .* No kernel knows this op\.$/),
  );
});

test("cover: an op that only a fused claim takes does not stand in the way of it", () => {
  const { graph, interner, at } = diamond();
  const alone = [at.exp, at.abs, at.add].map((n) => fakeClaim("alone", [n], 1, isFree));
  const whole = fakeClaim("whole", [at.add, at.exp, at.abs, at.neg], 100, isFree);
  const cover = coverOf(graph, interner, [kernelOf("fake", table(...alone, whole))]);
  assert.deepEqual(
    cover.claims.map((c) => c.kernel),
    ["whole"],
  );
});

/** exp(x transposed), both dense readers of one transposed value. */
function readers(b: GraphBuilder): { readonly turned: Node; readonly results: readonly Node[] } {
  const turned = b.transpose(b.input("x", [3, 4]), [1, 0]);
  const results = [b.unary("exp", turned), b.unary("abs", turned)];
  for (const [i, r] of results.entries()) b.output(`y${i}`, r);
  return { turned, results };
}

test("cover: dense operands read a copy, one for all; its price counts", () => {
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: {}, interner });
  const { turned, results } = readers(b);
  const graph = b.finish();
  const dense = (n: Node, cost: number): Claim => {
    const made = fakeClaim("dense", [n], cost, isFree);
    return { ...made, operands: made.operands.map((o) => ({ ...o, access: "dense" })) };
  };
  const copy: KernelSpec = {
    name: "copy",
    device: "fake",
    reads: [],
    claim: (_, n) => (n.op === "contiguous" ? [9, 5].map((s) => fakeClaim(`copy ${s}`, [n], s, isFree)) : []),
  };
  const names = (strided: number): readonly string[] => {
    const kernel = kernelOf(
      "k",
      table(...results.flatMap((r) => [dense(r, 1), fakeClaim("strided", [r], strided, isFree)])),
    );
    const cover = coverOf(graph, interner, [kernel, copy]);
    const reads = cover.claims.flatMap((c) => c.operands.map((o) => o.node));
    assert.ok(cover.claims.every((c) => c.kernel !== "dense" || c.operands.every((o) => o.node.op === "contiguous")));
    assert.ok(reads.includes(turned));
    return cover.claims.map((c) => c.kernel);
  };
  assert.deepEqual(names(5), ["strided", "strided"]);
  assert.deepEqual(names(7), ["copy 5", "dense", "dense"]);
  assert.throws(
    () => coverOf(graph, interner, [kernelOf("k", table(...results.map((r) => dense(r, 1))))]),
    hasCode("no_kernel", /No kernel takes/),
  );
});

test("cover: a kernel that does not read f16 is given a copy, which counts; one that does reads in place", () => {
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: {}, interner });
  const narrow = b.op("narrow", [b.input("x", [4])]);
  const wide = b.op("widen", [narrow]);
  const result = b.unary("abs", wide);
  b.output("y", result);
  const graph = b.finish();
  const claims = (kernel: string, node: Node, seconds: number) => table(fakeClaim(kernel, [node], seconds, isFree));
  const rounds = kernelOf("round", claims("round", narrow, 1));
  const copy: KernelSpec = {
    ...{ name: "copy", device: "fake", reads: [], readsHalves: true },
    claim: (_, n) => (n.op === "contiguous" ? [fakeClaim("copy", [n], 5, isFree)] : []),
  };
  const names = (aware: number): readonly string[] => {
    const plain = kernelOf("plain", claims("plain", result, 1));
    const reader = { ...kernelOf("reader", claims("reader", result, aware)), readsHalves: true };
    const cover = coverOf(graph, interner, [rounds, copy, plain, reader]);
    for (const { kernel, operands } of cover.claims) {
      if (kernel === "plain") assert.deepEqual([operands[0].node.op, operands[0].node.dtype], ["contiguous", "f32"]);
      if (kernel === "reader") assert.equal(operands[0].node, wide);
    }
    return cover.claims.map((c) => c.kernel);
  };
  assert.deepEqual(names(5), ["round", "reader"]);
  assert.deepEqual(names(7), ["round", "copy", "plain"]);
});

test("cover: prices follow the roofline at the upper corner", () => {
  const claim = {
    ...fakeClaim("k", [diamond().at.neg], 1, isFree),
    cost: { flops: symbol("t"), bytes: 40, launches: 2 },
  };
  const box = { t: { min: 1, max: 100 } };
  assert.equal(predictSeconds(claim, box, WHOLE_SECONDS), 102);
  assert.equal(predictSeconds(claim, box, { flopsPerSecond: 100, bytesPerSecond: 10, launchSeconds: 0.5 }), 5);
  // What a device does not state has a default.
  assert.ok(predictSeconds(claim, box, {}) > 0);
});
