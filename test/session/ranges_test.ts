/** What a range is worth: code and memory of its own, no artifact of another's, weights that all ranges share. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { type ComponentInput, createRuntime, type Interval, type RangeSpec, SealedError } from "../../mod.ts";
import type { CompiledArtifact } from "../../runtime/abi/artifact.ts";
import { compileGraph } from "../../runtime/compile/compile.ts";
import type { Box } from "../../runtime/core/dim.ts";
import { splitRanges } from "../../runtime/core/range.ts";
import { createMemoryStore } from "../../runtime/exec/store/memory_store.ts";
import type { Store } from "../../runtime/exec/store/store.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { traceComponent } from "../../runtime/session/artifacts/trace.ts";
import { hasCode } from "../kit/assertions.ts";
import { randomTensor } from "../kit/random_graph.ts";
import { BARE_HOST, tensorOf } from "../kit/run_graph.ts";

const WIDTH = 16;

/** Attention and a perceptron over rows of tokens. */
const BLOCK: ComponentInput = {
  tag: "example/text.block",
  symbols: { tokens: { min: 1, max: 512 } },
  build: (b) => {
    const { tokens } = b.dims;
    const x = b.input("x", [tokens, WIDTH]);
    const heads = b.reshape(x, [1, tokens, 2, WIDTH / 2]);
    const mixed = b.add(x, b.reshape(b.attention(heads, heads, heads), [tokens, WIDTH]));
    const inner = b.unary("gelu", b.matmul(mixed, b.weight("fc1", [4 * WIDTH, WIDTH]), { transposeB: true }));
    b.output("y", b.matmul(inner, b.weight("fc2", [WIDTH, 4 * WIDTH]), { transposeB: true }));
  },
};
const WEIGHTS = {
  fc1: tensorOf(randomTensor(1, [4 * WIDTH, WIDTH])),
  fc2: tensorOf(randomTensor(2, [WIDTH, 4 * WIDTH])),
};

async function compileOver(boxes: readonly Box[]): Promise<readonly CompiledArtifact[]> {
  const device = await wasmPlugin.devices?.[0].open(BARE_HOST, { threads: 0, target: "wasm-simd128" });
  assert.ok(device !== undefined);
  const made = boxes.map((box) => {
    const interner = createInterner(OP_TABLE);
    return compileGraph(traceComponent({ instances: [""], ...BLOCK }, box, interner), {
      ...{ interner, kernels: wasmPlugin.kernels ?? [], target: device.target, enabled: true },
      capabilities: device.capabilities,
    });
  });
  await device.close();
  return made;
}

const codeBytes = ({ code }: CompiledArtifact): number => [...code.values()].reduce((n, blob) => n + blob.length, 0);
const tokensIn = (tokens: Interval): Box => ({ tokens });

test("code and memory differ between ranges of one component", async () => {
  const [open, short, aligned, exact] = await compileOver([
    tokensIn({ min: 1, max: 2 ** 31 - 1 }),
    tokensIn({ min: 1, max: 16 }),
    tokensIn({ min: 8, max: 512, multipleOf: 8 }),
    tokensIn({ min: 16, max: 16 }),
  ]);
  // Tails that cannot occur are not there, nor is the division into blocks where all rows fit in one.
  assert.ok(codeBytes(aligned) < codeBytes(open), `${codeBytes(aligned)} and ${codeBytes(open)}`);
  assert.ok(codeBytes(short) < codeBytes(open), `${codeBytes(short)} and ${codeBytes(open)}`);
  assert.ok(codeBytes(exact) < codeBytes(short), `${codeBytes(exact)} and ${codeBytes(short)}`);
  const codes = [open, short, aligned, exact].map((c) => [...c.code.keys()].sort().join());
  assert.equal(new Set(codes).size, 4);
  assert.ok(short.artifact.peakBytes < aligned.artifact.peakBytes);
  const scratch = (c: CompiledArtifact): number => Math.max(...c.artifact.steps.map((s) => s.workerScratch));
  assert.ok(scratch(short) * 4 < scratch(open), `${scratch(short)} and ${scratch(open)}`);
  // Short ranges prove that 32 bits do; the open one is compared at each call.
  assert.deepEqual(
    [open, short, aligned, exact].map((c) => c.artifact.indices),
    ["checked", "proven", "proven", "proven"],
  );
});

test("every range computes the same bits as the open one", async () => {
  const runtime = await createRuntime({ threads: 0, target: "wasm-simd128" });
  const open = await runtime.compile({ ...BLOCK, ranges: "open" }, WEIGHTS);
  const specs: readonly RangeSpec[] = [
    { ends: { tokens: [8, 64] }, exact: [{ tokens: 7 }, { tokens: 64 }, { tokens: 129 }] },
    { ends: { tokens: [1, 128] }, exact: [{ tokens: 65 }] },
  ];
  for (const ranges of specs) {
    const own = await runtime.compile({ ...BLOCK, ranges }, WEIGHTS);
    for (const tokens of [1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 129, 300]) {
      const x = tensorOf(randomTensor(tokens, [tokens, WIDTH]));
      assert.deepEqual((await own.run({ x })).y, (await open.run({ x })).y, `${tokens} tokens`);
    }
    own.close();
  }
  await runtime.close();
});

test("resident weights are as many bytes with 1, 4 and 8 ranges", async () => {
  const bytes: number[] = [];
  for (const ends of [[], [8, 64, 128], [4, 8, 16, 32, 64, 128, 256]]) {
    const runtime = await createRuntime({ threads: 0 });
    const before = runtime.stats().device.bytesInUse;
    const component = await runtime.compile({ ...BLOCK, ranges: { ends: { tokens: ends } } }, WEIGHTS);
    assert.equal(runtime.stats().counters.compiled, ends.length + 1);
    bytes.push(runtime.stats().device.bytesInUse - before);
    component.close();
    await runtime.close();
  }
  assert.ok(bytes[0] >= 2 * 4 * WIDTH * 4 * WIDTH);
  assert.deepEqual(bytes, [bytes[0], bytes[0], bytes[0]]);
});

/** Counts what is asked for and can lose what one range left. */
async function lose(store: Store, tokens: Interval): Promise<number> {
  let lost = 0;
  for (const key of (await store.list?.("blobs/")) ?? []) {
    const text = new TextDecoder().decode((await store.get(key)) ?? new Uint8Array());
    if (!text.includes(`"box":{"tokens":{"max":${tokens.max},"min":${tokens.min}}}`)) continue;
    await store.delete(key);
    lost++;
  }
  return lost;
}

test("a range whose artifact is gone is not served by another's", async () => {
  const ranged: ComponentInput = { ...BLOCK, ranges: { ends: { tokens: [8] } } };
  const inputOf = (tokens: number) => ({ x: tensorOf(randomTensor(tokens, [tokens, WIDTH])) });
  const listed = createMemoryStore();
  const keys = new Set<string>();
  const store: Store = {
    ...listed,
    put: async (key, bytes) => {
      keys.add(key);
      await listed.put(key, bytes);
    },
    list: async (prefix) => [...keys].filter((key) => key.startsWith(prefix)).sort(),
  };
  const first = await createRuntime({ threads: 0, cache: store });
  await first.compile(ranged, WEIGHTS);
  assert.equal(first.stats().counters.compiled, 2);
  await first.close();
  assert.equal(await lose(store, { min: 9, max: 512 }), 1);

  const lazy = await createRuntime({ threads: 0, cache: store, compile: { base: { lazy: true } } });
  const component = await lazy.compile(ranged, WEIGHTS);
  await component.run(inputOf(8));
  assert.equal(lazy.stats().counters.compiled, 0);
  lazy.seal();
  await component.run(inputOf(3));
  await assert.rejects(component.run(inputOf(9)), SealedError);
  await assert.rejects(component.run(inputOf(512)), hasCode("sealed", /no artifact for tokens 9\.\.512/));
  await lazy.close();
});

test("an open range refuses a call that leaves 32 bits, and a range that begins beyond them", async () => {
  const wide: ComponentInput = {
    tag: "example/wide",
    symbols: { rows: { min: 1, max: 4 } },
    build: (b) => b.output("y", b.unary("neg", b.input("x", [b.dims.rows, 2 ** 28]))),
  };
  const runtime = await createRuntime({ threads: 0 });
  await assert.rejects(
    runtime.compile({ ...wide, symbols: { rows: { min: 4, max: 8 } } }),
    hasCode(
      "range_too_large",
      /The range rows 4\.\.8 needs 8 GiB for its smallest sizes, and 32-bit addresses reach 4 GiB/,
    ),
  );
  await runtime.close();
  const boxes = splitRanges(wide.symbols, "open", { tag: wide.tag });
  assert.equal(boxes[0].rows.max, 2 ** 31 - 1);
});
