/** What callers may say about one call: its name, its deadline, who is told how its time was spent. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ComponentInput,
  DeadlineError,
  type EncodeInputs,
  type Encoder,
  type Span,
  type Tensor,
} from "../../mod.ts";
import { hasCode } from "../kit/assertions.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const words: EncodeInputs = { input_ids: { dtype: "i32", shape: [2, 3], data: Int32Array.of(1, 2, 3, 4, 5, 6) } };

async function withEncoder(threads: number, work: (encoder: Encoder) => Promise<void>): Promise<void> {
  const runtime = await openRuntime({ threads });
  try {
    await work(await runtime.load(repositoryPath("test/fixtures/clip")));
  } finally {
    await runtime.close();
  }
}

/** Many rows take seconds. */
const SLOW: ComponentInput = {
  tag: "test/slow",
  symbols: { rows: { min: 1, max: 40960 } },
  build: (b) => {
    const x = b.input("x", [1, b.dims.rows, 1, 64]);
    b.output("y", b.attention(x, x, x, { scale: 0.1 }));
  },
};

const rows = (count: number): { readonly x: Tensor } => ({
  x: { dtype: "f32", shape: [1, count, 1, 64], data: Float32Array.from({ length: count * 64 }, (_, i) => (i % 7) / 7) },
});

test("a trace sink receives the spans of a call, and the result is the same", () =>
  withEncoder(2, async (encoder) => {
    const spans: Span[] = [];
    const traced = await encoder.encode(words, { requestId: "order 9", trace: { span: (s) => spans.push(s) } });
    assert.deepEqual(traced, await encoder.encode(words));
    const kinds = spans.map((s) => s.kind);
    for (const kind of ["prepare", "plan", "link", "write", "wait", "launches", "read", "request"] as const) {
      assert.ok(kinds.includes(kind), `${kind} is not in ${kinds.join(", ")}`);
    }
    assert.ok(spans.every((s) => s.requestId === "order 9" && s.begin <= s.end));
    const whole = spans[spans.length - 1];
    assert.equal(whole.kind, "request");
    assert.ok(spans.every((s) => s.begin >= whole.begin && s.end <= whole.end));
    const calls = spans.filter((s) => s.kind === "launches");
    assert.ok(calls.length >= 3);
    for (const { tag, dims } of calls) {
      assert.match(tag ?? "", /^clip\/text\./);
      assert.equal(dims?.batch, 2);
    }
    assert.ok(calls.every((c, i) => i === 0 || c.begin >= calls[i - 1].end));
  }));

test("a runtime's own sink is told about loading and about calls that bring none", async () => {
  const spans: Span[] = [];
  const runtime = await openRuntime({ threads: 0, trace: { span: (s) => spans.push(s) } });
  const encoder = await runtime.load(repositoryPath("test/fixtures/clip"));
  assert.deepEqual(
    spans.filter((s) => s.kind === "load").map((s) => s.name),
    [encoder.modelType],
  );
  await encoder.encode(words);
  await encoder.encode(words, { trace: { span: () => {} } });
  assert.deepEqual(
    spans.filter((s) => s.kind === "request").map((s) => s.requestId),
    ["1"],
  );
  await runtime.close();
});

for (const threads of [0, 2]) {
  test(`threads ${threads}: work stops at its deadline and says what it was doing; what waits never starts`, async () => {
    const runtime = await openRuntime({ threads });
    const component = await runtime.compile(SLOW);
    await component.run(rows(1));
    const begin = performance.now();
    const slow = component.run(rows(40960), { deadline: 800, requestId: "slow" });
    const waiting = component.run(rows(3), { deadline: new Date(Date.now() + 400), requestId: "waiting" });
    const patient = component.run(rows(1), { deadline: 600_000 });
    const [first, second, third] = await Promise.allSettled([slow, waiting, patient]);
    assert.equal(first.status === "rejected" && first.reason instanceof DeadlineError, true);
    await assert.rejects(
      slow,
      hasCode(
        "deadline_exceeded",
        /^Request slow .* 800 ms: after \d+ ms it was computing component "test\/slow" at rows 40960, call 1 of 1\./,
      ),
    );
    await assert.rejects(
      waiting,
      hasCode("deadline_exceeded", /^Request waiting .* it was waiting for the device behind other calls\./),
    );
    assert.equal(second.status, "rejected");
    assert.equal(third.status, "fulfilled");
    assert.ok(performance.now() - begin < 30_000);
    await runtime.close();
  });
}

test("a deadline of 0 lets nothing begin, and a call can be made again", () =>
  withEncoder(0, async (encoder) => {
    await assert.rejects(
      encoder.encode(words, { deadline: 0 }),
      hasCode("deadline_exceeded", /^Request 1 \(encode\) /),
    );
    assert.equal((await encoder.encode(words, { deadline: 600_000 })).text_embeds?.shape[0], 2);
  }));

test("a call outside of the ranges, and one that a sealed runtime has no artifact for, name the request", async () => {
  const runtime = await openRuntime({ threads: 0, compile: { base: { lazy: true } } });
  const component = await runtime.compile({ ...SLOW, symbols: { rows: { min: 1, max: 8 } } });
  await assert.rejects(
    component.run(rows(9), { requestId: "a" }),
    hasCode("outside_ranges", / This was request a \(test\/slow\), call of component "test\/slow" at rows 9\.$/),
  );
  const encoder = await runtime.load(repositoryPath("test/fixtures/clip"), { components: ["text"] });
  runtime.seal();
  await assert.rejects(
    encoder.encode(words, { requestId: "b" }),
    hasCode("sealed", / This was request b \(text\), compiling and loading component "clip\/text\.embed" at batch 2/),
  );
  await runtime.close();
});

test("what a call cannot mean is refused", () =>
  withEncoder(0, async (encoder) => {
    const refused = async (options: object, message: RegExp): Promise<void> =>
      assert.rejects(encoder.encode(words, options), hasCode("invalid_options", message));
    await refused(
      { deadline: -1 },
      /`deadline` of encode is -1; expected a number of milliseconds from now, or a Date/,
    );
    await refused({ deadline: Number.NaN }, /`deadline`.*NaN/);
    await refused({ deadline: new Date(Number.NaN) }, /`deadline`.*Date/);
    await refused({ requestId: 7 }, /`requestId` of encode is 7; expected a text/);
    await refused({ trace: {} }, /`trace`.*trace sink with a method `span`/);
    await refused({ dedline: 5 }, /no option "dedline".*deadline.*Did you mean "deadline"/s);
  }));
