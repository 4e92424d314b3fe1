/** Compiles after load: recorded with dims, cause and the caller's line, and told to whoever listens. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { type ComponentInput, createRuntime, type JournalEvent, type LogOptions } from "../../mod.ts";
import { createMemoryStore } from "../../runtime/exec/store/memory_store.ts";
import { hasCode } from "../kit/assertions.ts";
import { repositoryPath, runCli } from "../kit/run_cli.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");
const HERE = /^recompiles_test\.ts:\d+$/;

const SQUARE: ComponentInput = {
  tag: "example/square",
  symbols: { rows: { min: 1, max: 64 } },
  ranges: { ends: { rows: [8] } },
  build: (b) => {
    const x = b.input("x", [b.dims.rows, 4]);
    b.output("y", b.mul(x, x));
  },
};
const rowsOf = (rows: number) => ({ x: { dtype: "f32", shape: [rows, 4], data: new Float32Array(rows * 4) } }) as const;

test("a compile that a call makes necessary names the line of the call", async () => {
  const events: JournalEvent[] = [];
  const runtime = await createRuntime({
    threads: 0,
    compile: { base: { lazy: true } },
    log: { topics: ["recompiles"], write: (event) => events.push(event) },
  });
  const square = await runtime.compile(SQUARE);
  await square.run(rowsOf(3));
  await square.run(rowsOf(4));
  await square.run(rowsOf(20));
  const { recompiles } = runtime.stats();
  assert.deepEqual(
    recompiles.map(({ tag, cause, dims }) => [tag, cause, dims]),
    [
      ["example/square", "first use", { rows: 3 }],
      ["example/square", "first use", { rows: 20 }],
    ],
  );
  const lines = recompiles.map(({ caller }) => {
    assert.match(String(caller), HERE);
    return Number(String(caller).split(":")[1]);
  });
  // The two calls stand two lines apart, on Node too, where they are lines of the source map.
  assert.equal(lines[1] - lines[0], 2);
  assert.deepEqual(
    events.map(({ topic, tag, text }) => [topic, tag, text]),
    [3, 20].map((rows, i) => [
      "recompiles",
      "example/square",
      `compiled after load (first use) for rows ${rows}, asked for at ${recompiles[i].caller}`,
    ]),
  );
  await runtime.close();
});

test("an encoder's lazy ranges name the caller of encode, and nothing is noted once all are there", async () => {
  const runtime = await createRuntime({ threads: 0, compile: { base: { lazy: true } } });
  const encoder = await runtime.load(DIGITS, { components: ["text"] });
  const input_ids = { dtype: "i32", shape: [1, 3], data: Int32Array.of(1, 2, 3) } as const;
  assert.equal(runtime.stats().recompiles.length, 0);
  await encoder.encode({ input_ids });
  const { recompiles } = runtime.stats();
  assert.ok(recompiles.length > 0);
  for (const { caller, cause } of recompiles) {
    assert.match(String(caller), HERE);
    assert.equal(cause, "first use");
  }
  await encoder.encode({ input_ids });
  assert.equal(runtime.stats().recompiles.length, recompiles.length);
  await runtime.close();
});

test("a first use that the cache serves is no recompile", async () => {
  const cache = createMemoryStore();
  for (const [compiled, cacheHits] of [
    [1, 0],
    [0, 1],
  ]) {
    const runtime = await createRuntime({ threads: 0, cache, compile: { base: { lazy: true } } });
    const square = await runtime.compile(SQUARE);
    await square.run(rowsOf(3));
    const { counters, recompiles } = runtime.stats();
    assert.deepEqual([counters.compiled, counters.cacheHits, recompiles.length], [compiled, cacheHits, compiled]);
    await runtime.close();
  }
});

test("a call through an installed package names the line that called the package", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fovea-recompiles-"));
  const runtime = await createRuntime({ threads: 0, compile: { base: { lazy: true } } });
  try {
    const square = await runtime.compile(SQUARE);
    for (const [i, place] of ["node_modules/through", "npm/registry.example/@some/through/1.2.3"].entries()) {
      await mkdir(join(folder, place), { recursive: true });
      const file = join(folder, place, "through.mjs");
      await writeFile(file, "export const through = (work) => {\n  const made = work();\n  return made;\n};\n");
      const { through } = await import(pathToFileURL(file).href);
      const run = square.run.bind(undefined, rowsOf([3, 20][i]));
      await through(run);
      assert.match(String(runtime.stats().recompiles[i].caller), HERE);
    }
  } finally {
    await runtime.close();
    await rm(folder, { recursive: true });
  }
});

test("topics that nobody knows are refused, and a log that lacks its topics or nobody reads", async () => {
  for (const [log, says] of [
    [{ topics: ["cache"] }, /`log` has no `write`; it needs a list of topics, and a function `write` that is told\.$/],
    [{ write: () => {} }, /`log` has no `topics`; it needs/],
    [{ topics: "cache", write: () => {} }, /`topics` of createRuntime's `log` is "cache"; expected a list of passes, /],
    [{ topics: [null], write: () => {} }, /`log` names the topic null; there are passes, /],
  ] as const) {
    await assert.rejects(createRuntime({ log: log as unknown as LogOptions }), hasCode("invalid_options", says));
  }
  await assert.rejects(
    createRuntime({ log: { topics: ["recompile" as "recompiles"], write: () => {} } }),
    hasCode("invalid_options", /`log` names the topic "recompile"; there are passes, .* Did you mean "recompiles"\?$/),
  );
});

test("FOVEA_LOG tells its topics on stderr and names the nearest for a wrong one", async () => {
  const args = ["embed", DIGITS, "--text", "a", "--json", "--threads", "0", "--no-cache"];
  const told = await runCli(args, { env: { FOVEA_LOG: "cache,recompiles" } });
  assert.equal(told.code, 0, told.stderr);
  assert.match(told.stderr, /^fovea cache: clip\/text\.\w+: miss for batch /m);
  assert.match(told.stderr, /^fovea recompiles: clip\/text\.block: compiled after load \(first use\) for batch /m);
  // No file of the package that reads arguments; what starts commands in tests may be named.
  assert.doesNotMatch(told.stderr, /asked for at (?!run_cli\.)/);
  JSON.parse(told.stdout);
  const wrong = await runCli(args, { env: { FOVEA_LOG: "recompile" } });
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /FOVEA_LOG names the topic "recompile"; there are passes, .*Did you mean "recompiles"\?/);
});
