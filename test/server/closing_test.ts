/** A server that is closed while its models are loaded, and requests that end while they are read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Encoder, LoadOptions, Runtime } from "../../mod.ts";
import { Call } from "../../runtime/server/call.ts";
import { Models } from "../../runtime/server/models.ts";
import { hasCode } from "../kit/assertions.ts";

interface Opened {
  readonly source: unknown;
  readonly signal: AbortSignal | undefined;
  closed: boolean;
}

/** A runtime whose loads end when they are told to. */
function slowRuntime(): { readonly runtime: Runtime; readonly loads: Opened[]; readonly finish: () => void } {
  const loads: Opened[] = [];
  const waiting: (() => void)[] = [];
  const runtime = {
    load: async (source: unknown, options: LoadOptions = {}) => {
      const opened: Opened = { source, signal: options.signal, closed: false };
      loads.push(opened);
      await new Promise<void>((resolve) => waiting.push(resolve));
      return {
        close: () => {
          opened.closed = true;
        },
      } as unknown as Encoder;
    },
  } as unknown as Runtime;
  return { runtime, loads, finish: () => waiting.splice(0).forEach((go) => void go()) };
}

test("closed while it loads, a server closes what comes and loads no more", async () => {
  const { runtime, loads, finish } = slowRuntime();
  const models = new Models(runtime, { first: { source: "first" }, second: { source: "second" } });
  const loading = models.load();
  models.close();
  assert.equal(loads[0].signal?.aborted, true);
  finish();
  await assert.rejects(loading, hasCode("closed", /closed while its models were loaded/));
  assert.deepEqual(
    loads.map(({ source, closed }) => ({ source, closed })),
    [{ source: "first", closed: true }],
  );
  assert.deepEqual(models.list(), []);
  await assert.rejects(models.reload("first"), hasCode("closed", /closed/));
  assert.equal(loads.length, 1);
});

test("a call that ended borrows no model any more, so that a replaced one is closed", async () => {
  const { runtime, loads, finish } = slowRuntime();
  const models = new Models(runtime, { only: { source: "only" } });
  const loading = models.load();
  finish();
  await loading;
  const call = new Call({ requestId: "a", client: new AbortController().signal, deadline: 1000, onEnd: () => {} });
  call.end();
  assert.throws(() => call.lend(models, undefined), hasCode("call_over", /over already/));
  const reloading = models.reload();
  finish();
  await reloading;
  assert.deepEqual(
    loads.map(({ closed }) => closed),
    [true, false],
  );
});
