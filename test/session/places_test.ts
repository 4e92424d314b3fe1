/** Components on other targets and devices: named, counted, and with the numbers that they have at home. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { relaxedMultiplyAdd } from "../../kernels/wasm/device/probe.ts";
import type { Tensor } from "../../mod.ts";
import type { Device } from "../../runtime/abi/device.ts";
import type { Plan } from "../../runtime/abi/encoder.ts";
import { tracedModel } from "../../runtime/session/models/prepared_model.ts";
import { partitionPlan } from "../../runtime/session/towers/segments.ts";
import { hasCode } from "../kit/assertions.ts";
import { loadedTower } from "../kit/loaded_tower.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");
const SIMD = { threads: 0, target: "wasm-simd128" } as const;
/** Only the ranges that are used: the reference device is slow. */
const base = { lazy: true };

function pixels(batch: number): { readonly pixel_values: Tensor } {
  const data = Float32Array.from({ length: batch * 3 * 32 * 32 }, (_, i) => Math.fround(((i * 37) % 101) / 50 - 1));
  return { pixel_values: { dtype: "f32", shape: [batch, 3, 32, 32], data } };
}

const distance = (a: Tensor | undefined, b: Tensor | undefined): number => {
  assert.ok(a !== undefined && b !== undefined && a.data.length > 0);
  assert.deepEqual(a.shape, b.shape);
  return Math.max(...Array.from(a.data, (value, i) => Math.abs(value - b.data[i])));
};

test("blocks on the reference device run in segments of their own, told in stats and explain", async () => {
  const home = await openRuntime({ ...SIMD, compile: { base } });
  const expected = await (await home.load(DIGITS, { components: ["vision"] })).encode(pixels(2));
  const runtime = await openRuntime({
    ...SIMD,
    compile: { base, components: { "clip/vision.block": { device: "reference" } } },
  });
  assert.deepEqual(runtime.stats().otherDevices, {}, "opened before it was needed");
  const encoder = await runtime.load(DIGITS, { components: ["vision"] });
  const found = await encoder.encode(pixels(2));
  for (const name of ["image_embeds", "last_hidden_state"] as const) {
    const difference = distance(found[name], expected[name]);
    // Not zero, for another device computed it; small, for it is the same model.
    assert.ok(difference > 0 && difference < 1e-4, `${name} differs by ${difference}`);
  }
  const { vision } = encoder.stats().towers;
  const calls = loadedTower(encoder, "vision").components.get("clip/vision.block")?.spec.instances.length;
  assert.deepEqual(vision?.segments, [
    { device: "wasm", calls: 1 },
    { device: "reference", calls },
    { device: "wasm", calls: 2 },
  ]);
  // The hidden states go there and come back.
  const states = found.last_hidden_state ?? assert.fail();
  assert.equal(vision?.crossedBytes, 2 * states.data.byteLength);
  assert.match(
    encoder.explain(),
    /clip\/vision\.block \(\d+ instances\), on the device reference \(compile\.components\["clip\/vision\.block"\]\)/,
  );
  assert.doesNotMatch(encoder.explain(), /vision\.embed \(.*on the device/);
  const { reference } = runtime.stats().otherDevices;
  assert.ok(reference.runs > 0 && reference.bytesInUse > 0);
  encoder.close();
  assert.equal(runtime.stats().otherDevices.reference.bytesInUse, 0, "memory stayed behind");
  await runtime.close();
  await home.close();
});

test("a whole tower on another device is one segment and crosses nothing", async () => {
  const runtime = await openRuntime({ ...SIMD, compile: { base: { ...base, device: "reference" } } });
  const encoder = await runtime.load(DIGITS, { components: ["vision"] });
  await encoder.encode(pixels(1));
  const { vision } = encoder.stats().towers;
  assert.equal(vision?.segments.length, 1);
  assert.equal(vision?.segments[0].device, "reference");
  assert.equal(vision?.crossedBytes, 0);
  assert.equal(runtime.stats().device.runs, 0, "the runtime's own device ran");
  await runtime.close();
});

test("an abort ends a run over several devices, and the next one is right", async () => {
  const runtime = await openRuntime({
    ...SIMD,
    compile: { base, components: { "*.block": { device: "reference" } } },
  });
  const encoder = await runtime.load(DIGITS, { components: ["vision"] });
  const controller = new AbortController();
  const running = encoder.encode(pixels(2), { signal: controller.signal });
  setTimeout(() => controller.abort(new Error("enough")), 0);
  await assert.rejects(running, /enough/);
  const [a, b] = await Promise.all([encoder.encode(pixels(2)), encoder.encode(pixels(2))]);
  assert.equal(distance(a.image_embeds, b.image_embeds), 0);
  await runtime.close();
});

test("a component's own target generates its code from that target's capabilities", async () => {
  const other = relaxedMultiplyAdd() === "absent" ? undefined : "wasm-relaxed";
  const pinned = await openRuntime(SIMD);
  const ready = async (runtime: typeof pinned) =>
    tracedModel(await runtime.prepare(DIGITS, { components: ["vision"] }))
      .towers.get("vision")
      ?.components.get("clip/vision.block");
  const [own] = (await ready(pinned))?.artifacts ?? assert.fail();
  if (other === undefined) {
    const config = { components: { "clip/vision.block": { target: "wasm-relaxed" } } };
    const runtime = await openRuntime({ ...SIMD, compile: config });
    await assert.rejects(
      runtime.load(DIGITS, { components: ["vision"] }),
      hasCode("unsupported_target", /"wasm-relaxed" cannot be used here: .*relaxed SIMD.*clip\/vision\.block/),
    );
    await runtime.close();
  } else {
    // The runtime's own target is relaxed; one component has the portable code, bit for bit.
    const runtime = await openRuntime({
      threads: 0,
      target: other,
      compile: { components: { "clip/vision.block": { target: "wasm-simd128" } } },
    });
    const component = await ready(runtime);
    assert.equal(component?.target, "wasm-simd128");
    assert.equal(component?.artifacts[0].digest, own.digest);
    assert.equal(component?.artifacts[0].artifact.target, "wasm-simd128");
    const encoder = await runtime.load(DIGITS, { components: ["vision"] });
    assert.match(encoder.explain(), /vision\.block .*for the target wasm-simd128 \(compile\.components/);
    assert.equal(loadedTower(encoder, "vision").components.get("clip/vision.embed")?.target, other);
    await encoder.encode(pixels(1));
    assert.equal(encoder.stats().towers.vision?.segments.length, 1, "another target is no other device");
    await runtime.close();
  }
  await pinned.close();
});

test("a plan is cut where its device changes, and a segment's results are what others want", () => {
  const [a, b] = ["a", "b"].map((kind) => ({ kind }) as Device);
  const call = (tag: string, from: string, to: string) => ({
    tag,
    instance: "",
    dims: {},
    inputs: { x: from },
    outputs: { y: to },
  });
  const i32 = { dtype: "i32", shape: [1], data: new Int32Array(1) } as const;
  const plan: Plan = {
    key: "k",
    calls: [call("a", "in", "v0"), call("a", "v0", "v1"), call("b", "v1", "v2"), call("a", "v1", "v3")],
    constants: { in: i32 },
    results: { first: "v2", last: "v3" },
  };
  const segments = partitionPlan(plan, (tag) => (tag === "a" ? a : b));
  assert.deepEqual(
    segments.map((s) => [s.device.kind, s.first, s.plan.calls.length, Object.keys(s.plan.results)]),
    [
      ["a", 0, 2, ["v1"]],
      ["b", 2, 1, ["v2"]],
      ["a", 3, 1, ["v3"]],
    ],
  );
  assert.deepEqual(Object.keys(segments[0].plan.constants), ["in"]);
  assert.deepEqual(Object.keys(segments[1].plan.constants), []);
  assert.equal(new Set(segments.map((s) => s.plan.key)).size, 3);
  const [whole] = partitionPlan(plan, () => a);
  assert.equal(whole.plan, plan);
});
