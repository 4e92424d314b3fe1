/** Spans of loading, the file made of them, and the journal's topics. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRuntime, type JournalEvent, type Span } from "../../mod.ts";
import { createMemoryStore } from "../../runtime/exec/store/memory_store.ts";
import { LOG_TOPICS } from "../../runtime/session/artifacts/journal.ts";
import { createTraceEvents } from "../../runtime/session/explain/chrome_trace.ts";
import { repositoryPath } from "../kit/run_cli.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");
const cache = createMemoryStore();
const spans: Span[] = [];
const events: JournalEvent[] = [];
const runtime = await createRuntime({
  threads: 0,
  cache,
  trace: { span: (span) => void spans.push(span) },
  log: { topics: LOG_TOPICS, write: (event) => void events.push(event) },
});
await runtime.load(DIGITS, { components: ["text"] });
const { counters } = runtime.stats();
await runtime.close();
const of = (kind: Span["kind"]): readonly Span[] => spans.filter((s) => s.kind === kind);

test("a load is one span around its compiles, proofs and weights; passes lie in their compile", () => {
  const [load, ...more] = of("load");
  assert.deepEqual([load.name, more], ["clip", []]);
  assert.equal(of("compile").length, counters.compiled);
  assert.equal(of("proof").length, counters.proven);
  for (const s of spans) assert.ok(load.begin <= s.begin && s.begin <= s.end && s.end <= load.end, s.name);
  for (const compile of of("compile")) {
    const inside = of("pass").filter((p) => compile.begin <= p.begin && p.end <= compile.end);
    assert.equal(inside.length, 12);
    assert.ok(inside.every((p) => p.tag === compile.tag));
  }
  const blocks = of("weights").filter((s) => s.tag === "clip/text.block");
  assert.ok(blocks.length > 1 && blocks.every((s) => (s.figures?.bytes ?? 0) > 0));
});

test("weights are told once, with their bytes: while loading, or of a lazy component by the call that needs them", async () => {
  const told: Span[] = [];
  const lazily = await createRuntime({
    threads: 0,
    cache,
    trace: { span: (span) => void told.push(span) },
    compile: { components: { "clip/text.block": { lazy: true } } },
  });
  const encoder = await lazily.load(DIGITS, { components: ["text"] });
  const input_ids = { dtype: "i32", shape: [1, 3], data: Int32Array.of(1, 2, 3) } as const;
  await encoder.encode({ input_ids }, { requestId: "first" });
  await encoder.encode({ input_ids }, { requestId: "second" });
  const { weightBytes } = encoder.tower("text");
  await lazily.close();
  const bytesOf = (list: readonly Span[]): number => list.reduce((n, s) => n + (s.figures?.bytes ?? 0), 0);
  const weights = told.filter((s) => s.kind === "weights");
  const blocks = weights.filter((s) => s.tag === "clip/text.block");
  assert.ok(blocks.length > 1 && blocks.every((s) => s.requestId === "first"));
  assert.ok(weights.every((s) => (s.figures?.bytes ?? 0) > 0 && (blocks.includes(s) || s.requestId === undefined)));
  assert.equal(bytesOf(weights), weightBytes);
  assert.equal(bytesOf(of("weights")), weightBytes);
});

test("a component's weights are a span of their own, while it is compiled or at its first use", async () => {
  for (const lazy of [false, true]) {
    const told: Span[] = [];
    const other = await createRuntime({
      threads: 0,
      trace: { span: (span) => void told.push(span) },
      compile: { base: { lazy } },
    });
    const scaled = await other.compile(
      {
        tag: "example/scaled",
        symbols: { rows: { min: 1, max: 8 } },
        build: (b) => b.output("y", b.mul(b.input("x", [b.dims.rows, 4]), b.weight("scale", [4]))),
      },
      { scale: { dtype: "f32", shape: [4], data: new Float32Array(4) } },
    );
    await scaled.run({ x: { dtype: "f32", shape: [1, 4], data: new Float32Array(4) } }, { requestId: "it" });
    await other.close();
    const weights = told.filter((s) => s.kind === "weights");
    assert.deepEqual(
      weights.map((s) => [s.name, s.tag, s.requestId, (s.figures?.bytes ?? 0) >= 16]),
      [["example/scaled", "example/scaled", lazy ? "it" : undefined, true]],
    );
  }
});

test("events are in the Trace Event Format: spans in microseconds, a track for loading, calls when they end", () => {
  const part: Span = {
    kind: "launches",
    name: "x",
    begin: 1.25,
    end: 3.5,
    requestId: "7",
    tag: "t",
    dims: { batch: 2 },
  };
  const trace = createTraceEvents();
  trace.span({ kind: "load", name: "m", begin: 1, end: 2 });
  trace.span(part);
  assert.deepEqual(trace.take(), [
    { name: "load m", cat: "load", ph: "X", pid: 1, tid: 1, ts: 1000, dur: 1000, args: {} },
  ]);
  const call: Span = { kind: "request", name: "encode", begin: 1.25, end: 4, requestId: "7" };
  trace.span(call);
  const args = { request: "7" };
  assert.deepEqual(trace.take(), [
    { name: "thread_name", ph: "M", pid: 1, tid: 2, args: { name: "calls 1" } },
    { name: "request encode", cat: "request", ph: "X", pid: 1, tid: 2, ts: 1250, dur: 2750, args },
    {
      ...{ name: "x", cat: "launches", ph: "X", pid: 1, tid: 2, ts: 1250, dur: 2250 },
      args: { ...args, tag: "t", batch: 2 },
    },
  ]);
  // One that overlaps is beside it, one that begins later takes its place.
  trace.span({ ...call, requestId: "8", begin: 3, end: 5 });
  trace.span({ ...call, requestId: "9", begin: 4, end: 6 });
  assert.deepEqual(
    trace.take().map(({ ph, tid }) => [ph, tid]),
    [
      ["M", 3],
      ["X", 3],
      ["X", 2],
    ],
  );
  const { length } = trace.names();
  assert.equal(length, 4);
});

test("events of a process that goes on take bounded memory: ended calls are handed out, endless ones as well", () => {
  const trace = createTraceEvents();
  let most = 0;
  for (let call = 0; call < 20_000; call++) {
    const requestId = String(call);
    trace.span({ kind: "launches", name: "x", begin: call, end: call + 0.5, requestId });
    // Every other call never ends.
    if (call % 2 === 0) trace.span({ kind: "request", name: "encode", begin: call, end: call + 1, requestId });
    const handed = trace.take().filter(({ ph }) => ph === "X");
    most = Math.max(most, handed.length);
  }
  assert.ok(most <= 4);
  assert.ok(trace.names().length < 8, "tracks are used again");
  const left = trace.take(true);
  assert.equal(left.filter(({ ph }) => ph === "X").length, 10_000);
  const many = createTraceEvents();
  let handed = 0;
  for (let i = 0; i < 50_000; i++) {
    many.span({ kind: "launches", name: "x", begin: i, end: i + 1, requestId: String(i) });
    handed += many.take().filter(({ ph }) => ph === "X").length;
  }
  assert.equal(handed, 50_000 - 16_384);
});

test("the journal tells passes, claims, ranges and the cache of each component", () => {
  const topic = (name: string): readonly JournalEvent[] => events.filter((e) => e.topic === name);
  assert.equal(topic("passes").length, counters.compiled);
  assert.match(topic("passes")[0].text, /trace [\d.]+ ms, verify [\d.]+ ms, .*expectations [\d.]+ ms; /);
  const claims = topic("claims").filter((e) => e.tag === "clip/text.block");
  assert.ok(claims.some((e) => /#\d+ attention: attention -> f32/.test(e.text)));
  assert.ok(claims.some((e) => /not taken: matmul for "matmul"/.test(e.text)));
  assert.ok(
    topic("ranges").some((e) => e.tag === "clip/text.project" && e.text === "batch 1; batch 2..8; batch 9..64"),
  );
  assert.equal(topic("cache").filter((e) => /^miss for/.test(e.text)).length, counters.compiled);
});

test("a load from the cache has no passes; a trace break is told before it is thrown", async () => {
  const told: JournalEvent[] = [];
  const second: Span[] = [];
  const other = await createRuntime({
    threads: 0,
    cache,
    trace: { span: (span) => void second.push(span) },
    log: { topics: ["passes", "breaks", "cache"], write: (event) => void told.push(event) },
  });
  await other.load(DIGITS, { components: ["text"] });
  const hits = told.splice(0).filter((e) => e.topic === "cache");
  assert.ok(hits.length === other.stats().counters.cacheHits && hits.every((e) => /^hit for /.test(e.text)));
  assert.deepEqual([told.length, second.filter((s) => s.kind === "compile" || s.kind === "pass").length], [0, 0]);
  await assert.rejects(
    other.compile({
      tag: "test/breaks",
      symbols: { rows: { min: 1, max: 4 } },
      build: (b) => b.output("y", b.op("no_such_op", [b.input("x", [b.dims.rows])])),
    }),
    { code: "trace_break" },
  );
  assert.equal(told.length, 1);
  assert.deepEqual([told[0].topic, told[0].tag], ["breaks", "test/breaks"]);
  assert.match(told[0].text, /no operation "no_such_op"/);
  await other.close();
});

test("a trace sink must have `span`", async () => {
  await assert.rejects(createRuntime({ trace: {} as never }), /`trace`.*a trace sink/s);
});
