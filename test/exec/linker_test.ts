import assert from "node:assert/strict";
import { test } from "node:test";
import type { Artifact, BufferRef, Port, Step } from "../../runtime/abi/artifact.ts";
import type { Address } from "../../runtime/abi/device.ts";
import type { ComponentCall, Plan } from "../../runtime/abi/encoder.ts";
import type { DimData } from "../../runtime/core/dim_data.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { ARENA_ALIGNMENT, bindSteps, linkPlan, slotBytes } from "../../runtime/exec/linker.ts";
import { hasCode } from "../kit/assertions.ts";
import { createFakeDevice, type FakeCode, floats } from "./fake_device.ts";

const N: DimData = [[1, "n"]];
const port = (name: string, shape: readonly DimData[] = [N], dtype: Port["dtype"] = "f32"): Port => ({
  name,
  dtype,
  shape,
});
const ref = (space: BufferRef["space"], index: number, offset: DimData = 0): BufferRef => ({ space, index, offset });

function step(code: string, buffers: readonly BufferRef[], sizes: readonly DimData[] = [N]): Step {
  return {
    kernel: `fake/${code}`,
    code,
    args: [...buffers.map((buffer) => ({ buffer })), ...sizes.map((size) => ({ size }))],
    grid: N,
    flops: [[2, "n"]],
    workerScratch: 0,
    covers: code,
    reads: buffers.slice(1),
    writes: buffers.slice(0, 1),
  };
}

function artifact(parts: Partial<Artifact>): Artifact {
  const empty = { inputs: [], outputs: [], weights: [], slots: [], steps: [], requires: [], expectations: [] };
  return { ...empty, format: 1, target: "fake", box: {}, peakBytes: 0, indices: "proven", ...parts };
}

const call = (
  dims: ComponentCall["dims"],
  inputs: ComponentCall["inputs"],
  outputs: ComponentCall["outputs"],
): ComponentCall => ({
  tag: "test/part",
  instance: "",
  dims,
  inputs,
  outputs,
});

/** y = a + b through a scratch copy of a, which the next step must find whole. */
const ADD: Artifact = artifact({
  inputs: [port("a"), port("b")],
  outputs: [port("y")],
  slots: [[[[4, "n"]]]],
  steps: [
    step("copy", [ref("scratch", 0), ref("input", 0)]),
    step("add", [ref("output", 0), ref("scratch", 0), ref("input", 1)]),
  ],
});

const CODES: Readonly<Record<string, FakeCode>> = {
  copy: ([to, from, n]) => floats(to, n as number).set(floats(from, n as number)),
  add: ([to, a, b, n]) => {
    const [x, y] = [floats(a, n as number), floats(b, n as number)];
    floats(to, n as number).set(x.map((v, i) => v + y[i]));
  },
};

interface RandomPlan {
  readonly plan: Plan;
  readonly n: number;
  readonly expected: Readonly<Record<string, number>>;
}

/** Calls over values that live shorter or longer; every value is one number repeated. */
function randomPlan(seed: number): RandomPlan {
  let drawn = 0;
  const pick = (count: number): number => hash32(seed, drawn++) % count;
  const n = 1 + pick(60);
  const values: string[] = ["x", "c"];
  const numbers: Record<string, number> = { x: 3, c: 5 };
  const calls: ComponentCall[] = [];
  for (let i = 2 + pick(12); i > 0; i--) {
    const any = (): string => values[values.length - 1 - pick(Math.min(values.length, 5))];
    const [a, b, y] = [any(), any(), `v${i}`];
    // Some results are named by nobody.
    const named = pick(6) > 0;
    calls.push(call({ n }, { a, b }, named ? { y } : {}));
    if (!named) continue;
    values.push(y);
    numbers[y] = numbers[a] + numbers[b];
  }
  const results = Object.fromEntries(values.filter(() => pick(3) === 0).map((v) => [`result ${v}`, v]));
  const constants = { c: { dtype: "f32" as const, shape: [n], data: new Float32Array(n) } };
  const expected = Object.fromEntries(Object.entries(results).map(([name, v]) => [name, numbers[v]]));
  return { plan: { key: String(seed), calls, constants, results }, n, expected };
}

test("linker: random plans compute what they say, in one arena with values over each other", async () => {
  let shared = 0;
  for (let seed = 0; seed < 200; seed++) {
    const { plan, n, expected } = randomPlan(seed);
    const linked = linkPlan(plan, { x: { dtype: "f32", shape: [n] } }, () => ({ artifact: ADD, weights: [] }));
    const device = createFakeDevice(CODES);
    const arena = device.allocate(linked.arenaBytes);
    for (const [name, value] of Object.entries({ x: 3, c: 5 })) {
      const { offset, bytes } = linked.values[name];
      device.write(arena, offset, new Uint8Array(new Float32Array(bytes / 4).fill(value).buffer));
    }
    await device.run(device.bind(linked.launches(arena)), {});
    for (const [name, value] of Object.entries(plan.results)) {
      const { offset, bytes, shape } = linked.values[value];
      assert.deepEqual(shape, [n]);
      const found = new Uint8Array(bytes);
      await device.read(arena, offset, found);
      assert.ok(
        floats(found, n).every((v) => v === expected[name]),
        `seed ${seed}: ${name}`,
      );
    }
    const places = Object.values(linked.values);
    for (const p of places) assert.ok(p.offset % ARENA_ALIGNMENT === 0 && p.offset + p.bytes <= linked.arenaBytes);
    if (places.reduce((sum, p) => sum + Math.ceil(p.bytes / 64) * 64, 0) + 64 > linked.arenaBytes) shared++;
    assert.equal(linked.flops, plan.calls.length * 4 * n);
    assert.equal(linked.key, plan.key);
  }
  assert.ok(shared > 100, `${shared} plans with shared memory`);
});

test("linker: values alive together have memory of their own", () => {
  for (let seed = 0; seed < 200; seed++) {
    const { plan, n } = randomPlan(seed);
    const { values } = linkPlan(plan, { x: { dtype: "f32", shape: [n] } }, () => ({ artifact: ADD, weights: [] }));
    const results = new Set(Object.values(plan.results));
    const lives = Object.entries(values).map(([name, place]) => {
      const first = plan.calls.findIndex((c) => Object.values(c.outputs).includes(name));
      const reads = plan.calls.flatMap((c, i) => (Object.values(c.inputs).includes(name) ? [i] : []));
      const unnamed = /^(\d+)\/y$/.exec(name);
      const from = unnamed === null ? first : Number(unnamed[1]);
      return { name, place, from, to: results.has(name) ? plan.calls.length : Math.max(from, ...reads) };
    });
    for (const a of lives) {
      for (const b of lives) {
        if (a === b || a.from > b.to || b.from > a.to) continue;
        const apart =
          a.place.offset + a.place.bytes <= b.place.offset || b.place.offset + b.place.bytes <= a.place.offset;
        assert.ok(apart, `seed ${seed}: ${a.name} and ${b.name}`);
      }
    }
  }
});

test("linker: a chain needs two places, whatever its length", () => {
  const bytesFor = (length: number): number => {
    const calls = Array.from({ length }, (_, i) =>
      call({ n: 16 }, { a: i === 0 ? "x" : `v${i}`, b: i === 0 ? "x" : `v${i}` }, { y: `v${i + 1}` }),
    );
    const plan: Plan = { key: "", calls, constants: {}, results: { y: `v${length}` } };
    return linkPlan(plan, { x: { dtype: "f32", shape: [16] } }, () => ({ artifact: ADD, weights: [] })).arenaBytes;
  };
  // Two values and one scratch slot of 64 bytes.
  assert.deepEqual([bytesFor(2), bytesFor(24)], [192, 192]);
});

test("linker: addresses are those of buffers and offsets at the call's dims", () => {
  const weight = { bytes: 4, address: 9 };
  const arena = { bytes: 1e4, address: 1 };
  const sized = artifact({
    inputs: [port("a")],
    outputs: [port("y", [[[2, "n"]]])],
    slots: [[100, [[8, "n"]]], [[[4, "n"]]]],
    steps: [step("k", [ref("output", 0, [[4, "n"]]), ref("weight", 0, 8), ref("scratch", 1), ref("input", 0)], [N])],
  });
  const plan: Plan = { key: "", calls: [call({ n: 20 }, { a: "x" }, { y: "y" })], constants: {}, results: { y: "y" } };
  const linked = linkPlan(plan, { x: { dtype: "f32", shape: [20] } }, () => ({ artifact: sized, weights: [weight] }));
  assert.deepEqual(slotBytes(sized, { n: 20 }), [192, 128]);
  assert.deepEqual(slotBytes(sized, { n: 1 }), [128, 64]);
  const [launch] = linked.launches(arena);
  const [y, w, scratch, x, n] = launch.args as [Address, Address, Address, Address, number];
  assert.deepEqual([w.buffer, w.offset, n], [weight, 8, 20]);
  assert.equal(y.offset, linked.values.y.offset + 80);
  assert.equal(x.offset, linked.values.x.offset);
  // Behind the values lies scratch: the first slot, then the second.
  assert.equal(scratch.offset, linked.arenaBytes - 128);
  assert.deepEqual([launch.grid, launch.flops, linked.values.y.bytes], [20, 40, 160]);
  assert.deepEqual(
    bindSteps(artifact({}), {}, () => assert.fail()),
    [],
  );
});

test("linker: plans that make no sense are told as their author's mistakes", () => {
  const linked = (
    calls: readonly ComponentCall[],
    results: Record<string, string> = {},
    shape = [4],
    dtype: Port["dtype"] = "f32",
  ): void => {
    linkPlan({ key: "", calls, constants: {}, results }, { x: { dtype, shape } }, () => ({
      artifact: ADD,
      weights: [],
    }));
  };
  const both = { a: "x", b: "x" };
  assert.throws(
    () => linked([call({ n: 4 }, { a: "x" }, {})]),
    /^FoveaError: Call 0 of the plan, of component "test\/part", names no value for the input "b"; its `inputs` name "a"\.$/,
  );
  assert.throws(
    () => linked([call({ n: 4 }, { a: "x", b: "later" }, {})]),
    /reads "later" as its input "b", which no earlier call computes; there are "x"\.$/,
  );
  assert.throws(
    () => linked([call({ n: 5 }, both, {})]),
    /takes its input "a" as \[5\] by its dims; the value "x" is \[4\]\.$/,
  );
  assert.throws(
    () => linked([call({ n: 4 }, both, {})], {}, [4], "i32"),
    /takes its input "a" as f32; the value "x" is i32\.$/,
  );
  assert.throws(() => linked([call({ n: 4 }, both, { y: "x" })]), /: The plan defines the value "x" twice; give each/);
  assert.throws(
    () => linked([call({ n: 4 }, both, {})], { y: "z" }),
    /: The plan's results name the value "z", which no call computes; there are "x", /,
  );
  // A dense value may be seen in another shape.
  for (const shape of [
    [2, 2],
    [1, 4],
    [4, 1, 1],
  ])
    linked([call({ n: 4 }, both, {})], {}, shape);
});

test("linker: a call that leaves 32 bits is refused where its range did not prove that it cannot", () => {
  const port = { name: "x", dtype: "f32" as const, shape: [[[1, "rows"]] as const] };
  const plan = {
    key: "",
    calls: [call({ rows: 2 ** 30 }, { x: "x" }, {})],
    constants: {},
    results: {},
  };
  const link = (indices: "proven" | "checked"): unknown =>
    linkPlan(plan, { x: { dtype: "f32", shape: [2 ** 30] } }, () => ({
      artifact: artifact({ inputs: [port], indices }),
      weights: [],
    }));
  assert.throws(
    () => link("checked"),
    hasCode(
      "call_too_large",
      /Component "test\/part" at rows = 1073741824 needs 4 GiB, and 32-bit addresses reach 4 GiB/,
    ),
  );
  assert.doesNotThrow(() => link("proven"));
});
