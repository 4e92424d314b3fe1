import assert from "node:assert/strict";
import { test } from "node:test";
import { FoveaError, SealedError } from "../../runtime/core/diagnostics.ts";
import type { Span } from "../../runtime/core/trace.ts";
import { type CallOptions, DeadlineError, inRequest, openContext } from "../../runtime/exec/forward_context.ts";
import { hasCode } from "../kit/assertions.ts";

/** A context on a clock that stands until it is moved. */
function contextAt(options: CallOptions): { readonly context: ReturnType<typeof openContext>; pass(ms: number): void } {
  let time = 1000;
  const context = openContext("vision", options, { requestId: "7", now: () => time });
  return {
    context,
    pass: (ms) => {
      time += ms;
    },
  };
}

const ended = (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => signal.addEventListener("abort", () => resolve(signal.reason), { once: true }));

test("context: the id is the caller's or the counter's, and each part has its own tag", () => {
  assert.equal(contextAt({}).context.requestId, "7");
  const { context } = contextAt({ requestId: "order 9" });
  assert.deepEqual([context.requestId, context.of("text").requestId], ["order 9", "order 9"]);
  assert.deepEqual([context.tag, context.of("text").tag], ["vision", "text"]);
  assert.equal(context.of("text").signal, context.signal);
});

test("context: the caller's abort fires its signal with the caller's reason, before and after it was opened", () => {
  const reason = new Error("no longer wanted");
  const early = contextAt({ signal: AbortSignal.abort(reason), deadline: 1e6 }).context;
  assert.throws(() => early.check(), reason);
  const controller = new AbortController();
  const { context } = contextAt({ signal: controller.signal });
  context.check();
  controller.abort(reason);
  assert.equal(context.signal.reason, reason);
  assert.throws(() => context.of("text").check(), reason);
});

test("context: after it was closed the caller's signal changes nothing", () => {
  const controller = new AbortController();
  const { context } = contextAt({ signal: controller.signal, deadline: 1 });
  context.close();
  controller.abort(new Error("too late"));
  assert.equal(context.signal.aborted, false);
});

test("context: a deadline fires by its timer, and by the clock where the timer had no turn", async () => {
  const timed = contextAt({ deadline: 5 }).context;
  timed.doing(() => "reading its results back");
  assert.ok((await ended(timed.signal)) instanceof DeadlineError);
  const { context, pass } = contextAt({ deadline: 250 });
  pass(249);
  context.check();
  context.of("text").doing(() => 'computing component "siglip/text.block" at batch 2, call 3 of 14');
  pass(51);
  assert.throws(
    () => context.check(),
    hasCode(
      "deadline_exceeded",
      /^Request 7 \(text\) was stopped at its deadline of 250 ms: after 300 ms it was computing component "siglip\/text\.block" at batch 2, call 3 of 14\. Give it a later `deadline`/,
    ),
  );
  assert.ok(context.signal.reason instanceof DeadlineError);
  assert.deepEqual(
    [context.signal.reason.requestId, context.signal.reason.tag, context.signal.reason.ranMs],
    ["7", "text", 300],
  );
  context.close();
});

test("context: a deadline of 0 and a date that passed let nothing begin; far ones need no timer", () => {
  for (const deadline of [0, new Date(Date.now() - 1000)]) {
    const { context } = contextAt({ deadline });
    assert.throws(() => context.check(), hasCode("deadline_exceeded", /about to begin/));
    context.close();
  }
  for (const deadline of [Number.POSITIVE_INFINITY, 1e12, new Date(Date.now() + 1e12)]) {
    const { context } = contextAt({ deadline });
    context.check();
    context.close();
  }
});

test("context: spans get the request's id and end when they are told", () => {
  const spans: Span[] = [];
  const { context, pass } = contextAt({ trace: { span: (s) => spans.push(s) } });
  pass(5);
  context.of("text").span({ kind: "plan", name: "text", begin: 1000 });
  context.span({ kind: "wait", name: "x", begin: 1001, until: 1003, tag: "clip/text.block", dims: { batch: 2 } });
  assert.deepEqual(spans, [
    { kind: "plan", name: "text", begin: 1000, end: 1005, requestId: "7" },
    { kind: "wait", name: "x", begin: 1001, end: 1003, requestId: "7", tag: "clip/text.block", dims: { batch: 2 } },
  ]);
  assert.deepEqual([context.traced, contextAt({}).context.traced], [true, false]);
});

test("context: errors name the request and stay of their kind; reasons of aborts and broken invariants stay as they are", () => {
  const { context } = contextAt({});
  const found = inRequest(new FoveaError("kernel_failed", "It failed.", { exitCode: 1 }), context, "component x");
  assert.ok(found instanceof FoveaError);
  assert.deepEqual(
    [found.code, found.message, found.exitCode],
    ["kernel_failed", "It failed. This was request 7 (vision), component x.", 1],
  );
  const sealed = new SealedError("a/b", "rows 9");
  const { message } = sealed;
  const named = inRequest(sealed, context, "component x");
  assert.ok(named instanceof SealedError && named !== sealed);
  assert.deepEqual(
    [named.name, named.code, named.exitCode, named.cause, named.message],
    ["SealedError", "sealed", 2, sealed, `${message} This was request 7 (vision), component x.`],
  );
  // Calls that waited for the same compile caught the same error.
  assert.equal(sealed.message, message);
  assert.match(String(named.stack), /This was request 7/);
  const reason = new FoveaError("busy", "The server stops.");
  const aborted = contextAt({ signal: AbortSignal.abort(reason) }).context;
  for (const error of [new Error("internal: no"), "text"]) {
    assert.equal(inRequest(error, context, "component x"), error);
  }
  assert.equal(inRequest(reason, aborted, "component x"), reason);
});
