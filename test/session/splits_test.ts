/** Comparisons during build: ranges split, both halves are built, and impure builds are caught. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ComponentInput, createRuntime, type GraphBuilder, TraceBreakError } from "../../mod.ts";
import { createMemoryStore } from "../../runtime/exec/store/memory_store.ts";
import { hasCode } from "../kit/assertions.ts";

/** Adds 1 to short rows and 2 to long ones: the half that ran can be told from the result. */
const stepped = (build: (b: GraphBuilder) => number, rest: Partial<ComponentInput> = {}): ComponentInput => ({
  tag: "example/stepped",
  symbols: { rows: { min: 1, max: 100 } },
  build: (b) => {
    const x = b.input("x", [b.dims.rows, 2]);
    b.output("y", b.add(x, b.constant(build(b))));
  },
  ...rest,
});

const rowsOf = (rows: number) => ({ x: { dtype: "f32", shape: [rows, 2], data: new Float32Array(rows * 2) } }) as const;

async function firstValues(component: ComponentInput, rows: readonly number[]): Promise<readonly number[]> {
  const runtime = await createRuntime({ threads: 0, device: "reference" });
  try {
    const compiled = await runtime.compile(component);
    const found: number[] = [];
    for (const n of rows) found.push((await compiled.run(rowsOf(n))).y.data[0]);
    return found;
  } finally {
    await runtime.close();
  }
}

test("a comparison that the interval leaves open splits the range, and each half runs its own graph", async () => {
  const methods: readonly ((b: GraphBuilder) => boolean)[] = [
    (b) => b.lessThan(b.dims.rows, 33),
    (b) => b.dims.rows.lessThan(33),
    (b) => b.dims.rows.atMost(32),
    (b) => !b.dims.rows.greaterThan(32),
    (b) => !b.dims.rows.atLeast(33),
    (b) => b.greaterThan(33, b.dims.rows),
  ];
  for (const isShort of methods) {
    const component = stepped((b) => (isShort(b) ? 1 : 2));
    assert.deepEqual(await firstValues(component, [1, 32, 33, 100]), [1, 1, 2, 2]);
  }
  const exact = stepped((b) => (b.dims.rows.equals(7) ? 1 : 2));
  assert.deepEqual(await firstValues(exact, [6, 7, 8]), [2, 1, 2]);
});

test("explain says where a range was split and who asked; what the interval decides splits nothing", async () => {
  const runtime = await createRuntime({ threads: 0, device: "reference" });
  const asking = await runtime.compile(stepped((b) => (b.dims.rows.lessThan(33) ? 1 : 2)));
  assert.match(asking.explain(), /split by a comparison: rows at 32, asked at splits_test\.ts:\d+\n {4}rows 1\.\.32: /);
  assert.match(asking.explain(), /\n {4}rows 33\.\.100: /);
  assert.equal(runtime.stats().counters.compiled, 2);
  const decided = await runtime.compile(stepped((b) => (b.dims.rows.lessThan(101) && b.dims.rows.atLeast(1) ? 5 : 6)));
  assert.doesNotMatch(decided.explain(), /split/);
  assert.equal(runtime.stats().counters.compiled, 3);
  await runtime.close();
});

test("nine splits are too many, and artifacts that splits make count", async () => {
  const runtime = await createRuntime({ threads: 0, device: "reference" });
  const many = (count: number): ComponentInput =>
    stepped((b) => Array.from({ length: count }, (_, i) => b.dims.rows.atMost(10 * (i + 1))).indexOf(true) + 1);
  await assert.rejects(
    runtime.compile({ ...many(9), maxArtifacts: 20 }),
    hasCode(
      "too_many_splits",
      /"example\/stepped" asks for more than 8 splits .*: rows at 10, asked at splits_test\.ts:\d+; .*rows at 90.*\. Compare with fewer sizes/,
    ),
  );
  await assert.rejects(
    runtime.compile(many(8)),
    hasCode(
      "invalid_range",
      /1 ranges \+ 8 by splits \(rows at 10, .*\) = 9 artifacts, over maxArtifacts 8; .* to 9\./,
    ),
  );
  await runtime.compile({ ...many(8), maxArtifacts: 9 });
  await runtime.close();
});

test("a comparison of two symbols is a trace break unless a relation decides it", async () => {
  const two: ComponentInput = {
    tag: "example/two",
    symbols: { patches: { min: 1, max: 64 }, longest: { min: 1, max: 64 } },
    build: (b) => {
      const x = b.input("x", [b.dims.patches, b.dims.longest]);
      b.output("y", b.add(x, b.constant(b.dims.longest.atMost(b.dims.patches) ? 1 : 2)));
    },
  };
  const runtime = await createRuntime({ threads: 0, device: "reference" });
  await assert.rejects(runtime.compile(two), (error: unknown) => {
    assert.ok(error instanceof TraceBreakError);
    assert.equal(error.info.kind, "comparison");
    assert.match(
      error.message,
      /^Component "example\/two" breaks its trace at splits_test\.ts:\d+: whether longest <= patches depends on the sizes of a call, and no split of one range decides it: it depends on longest and patches together\. Declare a symbol/,
    );
    return true;
  });
  await runtime.compile({ ...two, relations: [["longest", "<=", "patches"]] });
  await runtime.close();
});

test("a build that gives another graph the second time is refused; from the cache it is traced once", async () => {
  let built = 0;
  const counting = stepped(() => ++built, { tag: "example/impure" });
  const runtime = await createRuntime({ threads: 0, device: "reference" });
  await assert.rejects(
    runtime.compile(counting),
    hasCode("impure_build", /"example\/impure" was built twice for rows 1\.\.100 and gave two different graphs/),
  );
  assert.equal(built, 2);
  await runtime.close();

  const store = createMemoryStore();
  let traced = 0;
  const pure = stepped(() => {
    traced++;
    return 3;
  });
  for (const expected of [2, 3]) {
    const own = await createRuntime({ threads: 0, device: "reference", cache: store });
    await own.compile(pure);
    assert.equal(traced, expected);
    await own.close();
  }
});
