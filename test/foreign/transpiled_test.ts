/** Components of other shapes, linked by jco's glue: counted as others, with clocks and randomness and nothing else of the host. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadPlugin } from "../../mod.ts";
import { componentFiles, recordedCache, squareComponent } from "./components.ts";
import { type Outcome, square } from "./square.ts";

async function hosted(sin: number, rows: number, threads: number, value?: (index: number) => number): Promise<Outcome> {
  const files = componentFiles(squareComponent(sin, "hosted"));
  return square(files, rows, { threads }, { cache: await recordedCache(sin) }, value);
}

for (const threads of [0, 2]) {
  test(`a component with imports serves, with ${threads} workers; clocks and randomness are there`, async () => {
    for (const sin of [0, 34]) {
      assert.deepEqual(await hosted(sin, threads === 0 ? 9 : 500, threads), {
        kernels: ["@test/foreign/square"],
        problems: [],
        recompiles: [],
      });
    }
  });
}

test("environment and folders are empty for it; the network refuses", async () => {
  // 31 and 32 spoil a result where the lists that they ask for hold something.
  for (const sin of [31, 32]) assert.deepEqual((await hosted(sin, 9, 0)).problems, []);
  const { kernels, problems } = await hosted(33, 9, 0);
  assert.deepEqual(kernels, ["elementwise"]);
  assert.match(
    problems[0],
    /it asked for instanceNetwork of wasi:sockets\/instance-network; kernels have clocks and randomness, and nothing else/,
  );
});

for (const [number, says] of [
  [1, /it trapped: .*unreachable/i],
  [2, /stopped after the \d+ instructions .*a loop without an end/],
  [4, /it trapped: .*out of bounds/i],
  [5, /it says: it cannot do what it offers/],
  [6, /it says: it takes 2 rows at most/],
  [7, /off by 0\.5/],
  [8, /its result has \d+ elements; expected \d+/],
  [10, /it says: it has no wish to load/],
] as const) {
  test(`one that does wrong in way ${number} is stopped and named, and the next cover computes`, async () => {
    for (const threads of number === 2 ? [0, 2] : [0]) {
      const { kernels, problems } = await hosted(number, 7, threads);
      assert.deepEqual([kernels, problems.length], [["elementwise"], 1]);
      assert.match(problems[0], /^The kernel "@test\/foreign\/square" was put aside: /);
      assert.match(problems[0], says);
    }
  });
}

test("one that fails in a call is put aside then, and the call completes", async () => {
  const met = await hosted(21, 9, 0, (index) => (index === 0 ? 1000 : index));
  assert.deepEqual([met.kernels, met.recompiles], [["elementwise"], ["kernel failed"]]);
});

test("without jco and what it made before, a sentence says what to install; a damaged entry counts as none", async () => {
  const name = "@bytecodealliance/jco/component";
  const jco = await import(name).catch(() => undefined);
  const store = await recordedCache(0);
  const [key] = (await store.list?.("components/")) ?? [];
  await store.put(key, ((await store.get(key)) as Uint8Array).fill(0, 5000, 5010));
  const files = componentFiles(squareComponent(0, "hosted"));
  for (const cache of [false, store] as const) {
    if (jco !== undefined) assert.equal((await loadPlugin(files, { cache })).kernels?.length, 1);
    else
      await assert.rejects(loadPlugin(files, { cache }), {
        code: "no_jco",
        message: /npm install @bytecodealliance\/jco/,
      });
  }
});
