import assert from "node:assert/strict";
import { test } from "node:test";
import type { Artifact, CompiledArtifact, Step, StepList } from "../../runtime/abi/artifact.ts";
import type { Capabilities } from "../../runtime/abi/device.ts";
import { digestBytes } from "../../runtime/core/digest.ts";
import { type CompileRequest, lookup, requestDigest, save } from "../../runtime/exec/artifact_cache.ts";
import { createMemoryStore } from "../../runtime/exec/store/memory_store.ts";
import type { Store } from "../../runtime/exec/store/store.ts";

const REQUEST: CompileRequest = {
  graph: { nodes: [1, 2] },
  target: "fake",
  enabled: true,
  dtype: "f32",
  plugins: ["p@1.0.0+1"],
  without: [],
  compiler: "c",
};
const READS = { madd: true, rows: 6 };

const codeOf = (n: number): Uint8Array => Uint8Array.of(n, n, n);

const stepOf = (code: Uint8Array): Step => ({
  kernel: "k",
  code: digestBytes(code),
  args: [],
  grid: 1,
  flops: 0,
  workerScratch: 0,
  covers: "neg",
  reads: [],
  writes: [],
});

/** An artifact with code of its own, of a prologue and of a prologue's prologue. */
function compiledOf(target: string): CompiledArtifact {
  const list = (n: number, weights: StepList["weights"]): StepList => ({
    inputs: [],
    outputs: [],
    slots: [],
    weights,
    steps: [stepOf(codeOf(n))],
  });
  const inner = { key: "i", bytes: 4, sources: [], prologue: list(3, []) };
  const outer = { key: "o", bytes: 4, sources: [], prologue: list(2, [inner]) };
  const artifact: Artifact = {
    ...list(1, [outer]),
    format: 1,
    target,
    box: {},
    peakBytes: 0,
    indices: "proven",
    requires: [],
    expectations: [],
  };
  return { artifact, code: new Map([1, 2, 3].map((n) => [digestBytes(codeOf(n)), codeOf(n)])) };
}

interface Watched extends Store {
  readonly data: Map<string, Uint8Array>;
  readonly puts: string[];
}

function watched(): Watched {
  const data = new Map<string, Uint8Array>();
  const puts: string[] = [];
  const store = createMemoryStore();
  return {
    ...store,
    data,
    puts,
    get: async (key) => data.get(key),
    put: async (key, bytes) => {
      puts.push(key);
      data.set(key, bytes);
    },
  };
}

const request = requestDigest(REQUEST);

test("cache: what was saved is found, with all code", async () => {
  const store = watched();
  const compiled = compiledOf("one");
  assert.equal(await lookup(store, request, READS), undefined);
  await save(store, request, compiled, READS);
  const found = await lookup(store, request, { ...READS, unread: "anything" });
  assert.deepEqual(found?.artifact, compiled.artifact);
  assert.deepEqual(new Map([...(found?.code ?? [])].sort()), new Map([...compiled.code].sort()));
});

test("cache: the record is written last", async () => {
  const store = watched();
  const digest = await save(store, request, compiledOf("one"), READS);
  assert.equal(store.puts[store.puts.length - 1], `requests/${request}`);
  assert.equal(store.puts[store.puts.length - 2], `blobs/${digest}`);
  assert.equal(store.puts.length, 5);
  // Whatever is missing when writing ends early, nothing is found rather than half of it.
  for (let kept = 0; kept < store.puts.length; kept++) {
    const partial = watched();
    for (const key of store.puts.slice(0, kept)) await partial.put(key, store.data.get(key) as Uint8Array);
    assert.equal(await lookup(partial, request, READS), undefined);
  }
});

test("cache: a hit needs every value that was read to be equal", async () => {
  const store = watched();
  await save(store, request, compiledOf("one"), READS);
  const others: readonly Capabilities[] = [
    { madd: false, rows: 6 },
    { madd: true, rows: 4 },
    { madd: true },
    {},
    { madd: "true", rows: 6 },
  ];
  for (const other of others) assert.equal(await lookup(store, request, other), undefined);
  await save(store, request, compiledOf("two"), { madd: false, rows: 6 });
  const targetFor = async (capabilities: typeof READS): Promise<unknown> =>
    (await lookup(store, request, capabilities))?.artifact.target;
  assert.equal(await targetFor(READS), "one");
  assert.equal(await targetFor({ madd: false, rows: 6 }), "two");
  // The same values again replace the record, others stay.
  await save(store, request, compiledOf("three"), { rows: 6, madd: true });
  assert.equal(await targetFor(READS), "three");
  assert.equal(await targetFor({ madd: false, rows: 6 }), "two");
});

test("cache: everything that a compile depends on is in the request, and nothing else", () => {
  const changes: readonly Partial<CompileRequest>[] = [
    { graph: { nodes: [1, 3] } },
    { target: "other" },
    { enabled: false },
    { dtype: "bf16" },
    { plugins: ["p@1.0.0+2"] },
    { plugins: [...REQUEST.plugins, "q@1.0.0"] },
    { compiler: "d" },
    { without: ["matmul"] },
  ];
  const digests = changes.map((c) => requestDigest({ ...REQUEST, ...c }));
  assert.equal(new Set([...digests, request]).size, digests.length + 1);
  const { graph, target, ...rest } = REQUEST;
  assert.equal(requestDigest({ ...rest, target, graph }), request);
});

test("cache: damage of any kind is a miss, and saving again repairs it", async () => {
  const text = (s: string): Uint8Array => new TextEncoder().encode(s);
  const whole = watched();
  const digest = await save(whole, request, compiledOf("one"), READS);
  const record = `requests/${request}`;
  const damages: ((data: Map<string, Uint8Array>) => void)[] = [
    ...[...whole.data.keys()].flatMap((key) => [
      (data: Map<string, Uint8Array>) => data.delete(key),
      (data: Map<string, Uint8Array>) => data.set(key, new Uint8Array()),
      (data: Map<string, Uint8Array>) => {
        const bytes = Uint8Array.from(data.get(key) as Uint8Array);
        bytes[Math.floor(bytes.length / 2)] ^= 1;
        data.set(key, bytes);
      },
    ]),
    ...[
      "[]",
      "null",
      '{"records":7}',
      '{"records":[null,{"artifact":"../secret","reads":{}}]}',
      `{"records":[{"artifact":"${digest}"}]}`,
    ].map((s) => (data: Map<string, Uint8Array>) => data.set(record, text(s))),
  ];
  for (let bit = 0; bit < 8 * (whole.data.get(record) as Uint8Array).length; bit += 3) {
    damages.push((data) => {
      const bytes = Uint8Array.from(data.get(record) as Uint8Array);
      bytes[bit >> 3] ^= 1 << (bit & 7);
      data.set(record, bytes);
    });
  }
  for (const damage of damages) {
    const store = watched();
    for (const [key, bytes] of whole.data) store.data.set(key, bytes);
    damage(store.data);
    const found = await lookup(store, request, READS);
    assert.equal(found, undefined);
    await save(store, request, compiledOf("one"), READS);
    assert.equal((await lookup(store, request, READS))?.artifact.target, "one");
  }
});
