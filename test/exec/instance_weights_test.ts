import assert from "node:assert/strict";
import { test } from "node:test";
import type { BufferRef, StepList, WeightUse } from "../../runtime/abi/artifact.ts";
import { createInstanceWeights, stagingBytes, type TensorReader } from "../../runtime/exec/instance_weights.ts";
import { hasCode } from "../kit/assertions.ts";
import { createFakeDevice, type FakeCode, type FakeDevice, floats } from "./fake_device.ts";

const ref = (space: BufferRef["space"], index = 0): BufferRef => ({ space, index, offset: 0 });

function prologue(
  code: string,
  args: readonly BufferRef[],
  inputs: readonly string[],
  parts: Partial<StepList> = {},
): StepList {
  return {
    inputs: inputs.map((name) => ({ name, dtype: "f32", shape: [2, 2] })),
    outputs: [{ name: "w", dtype: "f32", shape: [4] }],
    weights: [],
    slots: [],
    steps: [
      {
        kernel: "k",
        code,
        args: args.map((buffer) => ({ buffer })),
        grid: 1,
        flops: 0,
        workerScratch: 0,
        covers: code,
        reads: [],
        writes: [],
      },
    ],
    ...parts,
  };
}

const source = (name: string): WeightUse["sources"][number] => ({ name, shape: [2, 2] });
const plain = (name: string): WeightUse => ({ key: `plain ${name}`, bytes: 16, sources: [source(name)] });

/** a + b through scratch. */
const SUM: WeightUse = {
  key: "sum",
  bytes: 16,
  sources: [source("a"), source("b")],
  prologue: prologue("sum", [ref("output"), ref("input", 0), ref("input", 1), ref("scratch")], ["a", "b"], {
    slots: [[64]],
  }),
};

/** a and a value that is made of constants. */
const NESTED: WeightUse = {
  key: "nested",
  bytes: 16,
  sources: [source("a")],
  prologue: prologue("sum", [ref("output"), ref("input"), ref("weight"), ref("scratch")], ["a"], {
    slots: [[64]],
    weights: [{ key: "five", bytes: 16, sources: [], prologue: prologue("five", [ref("output")], []) }],
  }),
};

const CODES: Readonly<Record<string, FakeCode>> = {
  sum: ([to, a, b, scratch]) => {
    floats(scratch, 4).set(floats(a, 4));
    floats(to, 4).set(floats(b, 4).map((v, i) => v + floats(scratch, 4)[i]));
  },
  swap: ([to, a]) => {
    floats(to, 4).set([...floats(a, 4)].reverse());
  },
  five: ([to]) => {
    floats(to, 4).fill(5);
  },
  failing: () => {
    throw new Error("the prologue failed");
  },
};

const TENSORS: Readonly<Record<string, readonly number[]>> = {
  a: [1, 2, 3, 4],
  b: [10, 20, 30, 40],
  short: [1],
  low: [5, 6],
  high: [7, 8],
};

function reader(): { read: TensorReader; asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    read: async (name, shape) => {
      asked.push(`${name} [${shape.join(", ")}]`);
      const values = TENSORS[name];
      if (values === undefined) throw new Error(`no tensor "${name}"`);
      return Float32Array.from(values);
    },
  };
}

function valuesOf(device: FakeDevice, buffer: unknown): readonly number[] {
  const bytes = device.live.get(buffer as never);
  assert.ok(bytes !== undefined);
  return [...floats(bytes, 4)];
}

test("weights: tensors as they are, prologues run, staging is given back", async () => {
  const device = createFakeDevice(CODES);
  const weights = createInstanceWeights(device);
  const { read, asked } = reader();
  const uses = [plain("a"), SUM, NESTED];
  await weights.load(uses, read);
  assert.deepEqual(asked, ["a [2, 2]", "a [2, 2]", "b [2, 2]", "a [2, 2]"]);
  const [a, sum, nested] = weights.resolve(uses).map((b) => valuesOf(device, b));
  assert.deepEqual(
    [a, sum, nested],
    [
      [1, 2, 3, 4],
      [11, 22, 33, 44],
      [6, 7, 8, 9],
    ],
  );
  assert.deepEqual([device.live.size, device.bound.size, weights.bytes], [3, 0, 48]);
  weights.release();
  assert.deepEqual([device.live.size, weights.bytes], [0, 0]);
});

test("weights: what is packed in place takes no memory beside its own", async () => {
  const device = createFakeDevice(CODES);
  const weights = createInstanceWeights(device);
  const { read } = reader();
  const inPlace: WeightUse = {
    ...{ key: "in place", bytes: 32, sources: [source("a")], inPlace: true },
    prologue: prologue("swap", [ref("output"), ref("input")], ["a"]),
  };
  await weights.load([inPlace], read);
  const [buffer] = weights.resolve([inPlace]);
  assert.deepEqual(valuesOf(device, buffer), [4, 3, 2, 1]);
  assert.deepEqual([device.allocations, stagingBytes(inPlace)], [[32], 0]);
  weights.release();
});

test("weights: several tensors fill a weight or an input one behind the other", async () => {
  const device = createFakeDevice(CODES);
  const weights = createInstanceWeights(device);
  const half = (name: string): WeightUse["sources"][number] => ({ name, shape: [2] });
  const stacked: WeightUse = { key: "stacked", bytes: 16, sources: [half("low"), half("high")] };
  const inputs = [
    { name: "low, high", dtype: "f32", shape: [2, 2] } as const,
    { name: "b", dtype: "f32", shape: [2, 2] } as const,
  ];
  const sum: WeightUse = {
    ...SUM,
    key: "stacked sum",
    sources: [half("low"), half("high"), source("b")],
    prologue: { ...(SUM.prologue as StepList), inputs },
  };
  const { read, asked } = reader();
  await weights.load([stacked, sum], read);
  assert.deepEqual(asked, ["low [2]", "high [2]", "low [2]", "high [2]", "b [2, 2]"]);
  const found = weights.resolve([stacked, sum]).map((b) => valuesOf(device, b));
  assert.deepEqual(found, [
    [5, 6, 7, 8],
    [15, 26, 37, 48],
  ]);
  weights.release();
});

test("weights: equal keys are loaded once and shared by ranges", async () => {
  const device = createFakeDevice(CODES);
  const weights = createInstanceWeights(device);
  const { read, asked } = reader();
  await weights.load([SUM, plain("a")], read);
  const before = asked.length;
  await weights.load([plain("a"), SUM, plain("b")], read);
  assert.deepEqual(asked.slice(before), ["b [2, 2]"]);
  assert.equal(weights.resolve([SUM])[0], weights.resolve([plain("a"), SUM])[1]);
  assert.throws(() => weights.resolve([NESTED]), /internal: weight nested is not loaded/);
  weights.release();
});

test("weights: a failure leaves what was loaded and nothing else", async () => {
  const failing = { ...SUM, key: "failing", prologue: prologue("failing", [ref("output")], ["a"]) };
  const strange = { ...SUM, key: "strange", sources: [], prologue: prologue("sum", [], ["c"]) };
  const cases: readonly (readonly [WeightUse, RegExp])[] = [
    [failing, /the prologue failed/],
    [plain("missing"), /no tensor "missing"/],
    [
      { ...SUM, key: "k", sources: [source("a"), source("missing")], prologue: prologue("sum", [], ["a", "missing"]) },
      /no tensor "missing"/,
    ],
    [plain("short"), /internal: the tensor "short" has 1 elements, expected 4/],
    [strange, /internal: a weight has fewer sources than it is large/],
  ];
  for (const [use, says] of cases) {
    const device = createFakeDevice(CODES);
    const weights = createInstanceWeights(device);
    await assert.rejects(weights.load([plain("a"), use], reader().read), says);
    assert.deepEqual([device.live.size, device.bound.size, weights.bytes], [1, 0, 16]);
    // What failed is tried again.
    await assert.rejects(weights.load([use], reader().read), says);
    weights.release();
    assert.equal(device.live.size, 0);
  }
});

test("weights: aborts and full memory leave nothing half loaded", async () => {
  const { read } = reader();
  const reason = new Error("no longer wanted");
  const device = createFakeDevice(CODES);
  const weights = createInstanceWeights(device);
  const controller = new AbortController();
  const aborting: TensorReader = async (name, shape) => {
    controller.abort(reason);
    return read(name, shape);
  };
  await assert.rejects(weights.load([plain("a"), plain("b")], aborting, controller.signal), reason);
  assert.equal(device.live.size, 1);
  await assert.rejects(weights.load([SUM], read, controller.signal), reason);
  assert.equal(device.live.size, 1);
  // Room for the result and one input, not for the other.
  const small = createFakeDevice(CODES, 40);
  const full = createInstanceWeights(small);
  await assert.rejects(full.load([SUM], read), { code: "out_of_memory" });
  assert.equal(small.live.size, 0);
});

test("weights that were given back while one was read keep nothing of it", async () => {
  const device = createFakeDevice({});
  const weights = createInstanceWeights(device, "layers.0.");
  let arrive = (): void => {};
  const arrived = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  const loading = weights.load([plain("a")], async () => {
    await arrived;
    return new Float32Array(4);
  });
  weights.release();
  arrive();
  await assert.rejects(loading, hasCode("closed", /given back while/));
  assert.equal(device.live.size, 0);
  assert.equal(weights.bytes, 0);
  await assert.rejects(
    weights.load([plain("a")], async () => new Float32Array(4)),
    hasCode("closed", /given back/),
  );
  assert.equal(device.live.size, 0);
});
