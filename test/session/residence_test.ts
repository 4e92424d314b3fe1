/** An encoder's place: calls end on the device where they began, whatever takes its place meanwhile. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FoveaError } from "../../mod.ts";
import { internal } from "../../runtime/core/diagnostics.ts";
import { type OpenContext, openContext } from "../../runtime/exec/forward_context.ts";
import { Residence, type Resident } from "../../runtime/session/towers/residence.ts";
import { hasCode } from "../kit/assertions.ts";

const contextOf = (signal?: AbortSignal): OpenContext =>
  openContext("encode", signal === undefined ? {} : { signal }, { requestId: "1", now: () => performance.now() });

/** A resident without towers that says when it is released. */
function resident(kind: string, released: string[]): Resident {
  const stats = () => internal("nobody asks");
  const never = async (): Promise<never> => internal("nobody asks");
  const cutter = { prepare: never, cut: never, cutSmall: () => undefined, release: never };
  return { device: { kind, stats }, towers: new Map(), cutter, release: async () => void released.push(kind) };
}

/** A call that lasts until it is told to end. */
function call(residence: Residence): { readonly end: () => void; readonly kind: Promise<string> } {
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const kind = residence.during(contextOf(), async ({ device }) => {
    await ended;
    return device.kind;
  });
  return { end, kind };
}

test("calls end where they began; the last of them releases what was left", async () => {
  const released: string[] = [];
  const residence = new Residence(resident("a", released));
  const calls = [call(residence), call(residence)];
  residence.move(resident("b", released));
  const later = call(residence);
  assert.deepEqual(
    residence.held.map((r) => r.device.kind),
    ["b", "a"],
  );
  calls[0].end();
  assert.equal(await calls[0].kind, "a");
  assert.deepEqual(released, []);
  calls[1].end();
  assert.equal(await calls[1].kind, "a");
  assert.deepEqual(released, ["a"]);
  later.end();
  assert.equal(await later.kind, "b");
  assert.deepEqual(released, ["a"]);
  residence.move(resident("c", released));
  assert.deepEqual(released, ["a", "b"]);
  residence.close();
  residence.close();
  assert.deepEqual(released, ["a", "b", "c"]);
});

test("a move to a closed encoder releases what came", async () => {
  const released: string[] = [];
  const residence = new Residence(resident("a", released));
  const running = call(residence);
  residence.close();
  residence.move(resident("b", released));
  running.end();
  await running.kind;
  assert.deepEqual(released, ["a", "b"]);
  await assert.rejects(call(residence).kind, hasCode("closed", /load the model again/));
});

test("calls wait while the device is opened anew, until they are given up", async () => {
  const residence = new Residence(resident("a", []));
  let end = (): void => {};
  const work = new Promise<void>((resolve) => {
    end = resolve;
  });
  residence.hold(work);
  const order: string[] = [];
  const waits = residence.during(contextOf(), async ({ device }) => void order.push(device.kind));
  const stop = new AbortController();
  const reason = new Error("no longer wanted");
  const aborted = residence.during(contextOf(stop.signal), async () => internal("it was given up"));
  stop.abort(reason);
  await assert.rejects(aborted, (error) => error === reason);
  order.push("opened");
  residence.move(resident("b", []));
  end();
  await waits;
  assert.deepEqual(order, ["opened", "b"]);
});

test("what failed is told by every call until something else takes its place", async () => {
  const residence = new Residence(resident("a", []));
  residence.fail(new FoveaError("device_lost", "It was lost."));
  await assert.rejects(call(residence).kind, hasCode("device_lost", /It was lost/));
  residence.move(resident("b", []));
  const next = call(residence);
  next.end();
  assert.equal(await next.kind, "b");
});

test("what is loaded anew takes the place that it was loaded for, and no other's", async () => {
  const released: string[] = [];
  const residence = new Residence(resident("a", released));
  await residence.replace(async () => resident("a again", released));
  assert.deepEqual([residence.current.device.kind, released], ["a again", ["a"]]);
  // A handover ends while the device that answered is opened anew.
  await residence.replace(async () => {
    residence.move(resident("b", released));
    return resident("late", released);
  });
  assert.deepEqual([residence.current.device.kind, released], ["b", ["a", "a again", "late"]]);
  await residence.replace(async () => {
    residence.move(resident("c", released));
    throw new FoveaError("out_of_memory", "It does not fit.");
  });
  assert.equal(residence.current.device.kind, "c");
  const failing = residence.replace(async () => {
    throw new FoveaError("out_of_memory", "It does not fit.");
  });
  await assert.rejects(failing, hasCode("out_of_memory", /^It does not fit\.$/));
  await assert.rejects(call(residence).kind, hasCode("out_of_memory", /does not fit/));
});
