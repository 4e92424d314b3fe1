/** Handing over between devices of any kind: what answers when, what is held, and what happens where it cannot be. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { referencePlugin } from "../../kernels/reference/plugin.ts";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import {
  createRuntime,
  deviceOf,
  FoveaError,
  type Plugin,
  type Progress,
  type Runtime,
  type RuntimeOptions,
  type Tensor,
} from "../../mod.ts";
import { clipPlugin } from "../../plugins/clip/plugin.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { hasCode } from "../kit/assertions.ts";
import { repositoryPath } from "../kit/run_cli.ts";

const CLIP = repositoryPath("test/fixtures/clip");

const HANDOVER: RuntimeOptions = { device: ["reference", "wasm"], handover: true, threads: 0 };

const textOf = (length: number): { readonly input_ids: Tensor } => ({
  input_ids: { dtype: "i32", shape: [1, length], data: Int32Array.from({ length }, (_, i) => i + 1) },
});

const bytesOn = (runtime: Runtime): readonly (number | undefined)[] => {
  const { device, otherDevices } = runtime.stats();
  return [device.bytesInUse, otherDevices.wasm?.bytesInUse];
};

/** A plugin whose device has something else in its place. */
function withDevice(plugin: Plugin, change: (device: Device) => Partial<Device>, available = true): Plugin {
  const [spec] = plugin.devices ?? [];
  const open: typeof spec.open = async (host, options) => {
    const device = await spec.open(host, options);
    return new Proxy(device, {
      get: (own, name) => {
        const other = change(own)[name as keyof Device] ?? own[name as keyof Device];
        return typeof other === "function" ? other.bind(own) : other;
      },
    });
  };
  const probe: typeof spec.probe = available ? spec.probe : async () => ({ unavailable: "it is switched off" });
  return { ...plugin, devices: [{ ...spec, open, probe }] };
}

/** The reference device with something else in its place, beside others. */
const changed = (change: (device: Device) => Partial<Device>, available = true): readonly Plugin[] => [
  wasmPlugin,
  withDevice(referencePlugin, change, available),
  clipPlugin,
];

/** A device that takes code once `open` was called. */
function gated(): { readonly open: () => void; readonly change: (device: Device) => Partial<Device> } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const change = (device: Device): Partial<Device> => ({
    load: async (code) => {
      await opened;
      return device.load(code);
    },
  });
  return { open: () => open(), change };
}

const broken = changed(() => ({
  load: async () => {
    throw new FoveaError("invalid_code", "The device takes no code today.");
  },
}));

test("an encoder answers on the second device until the first is ready; weights lie on both until then", async () => {
  const told: Progress[] = [];
  const gate = gated();
  const options = { ...HANDOVER, plugins: changed(gate.change), onProgress: (one: Progress) => void told.push(one) };
  const runtime = await createRuntime(options);
  assert.deepEqual([runtime.device, runtime.interim], ["reference", "wasm"]);
  const encoder = await runtime.load(CLIP, { components: ["text"] });
  const { handover } = encoder;
  assert.deepEqual(encoder.stats().handover, { from: "wasm", to: "reference", state: "pending" });
  assert.match(encoder.explain(), /^handover: answers on wasm until reference is ready\n/);
  const early = await encoder.encode(textOf(5));
  assert.equal(deviceOf(early), "wasm");
  assert.deepEqual([encoder.device, handover?.state], ["wasm", "pending"]);
  assert.ok(told.every(({ device, phase }) => device === "wasm" && phase !== "handover"));
  const [, onlyWasm] = bytesOn(runtime);
  gate.open();
  assert.equal(await handover?.ended, "done");
  const late = await encoder.encode(textOf(5));
  assert.equal(deviceOf(late), "reference");
  assert.deepEqual([encoder.device, encoder.stats().handover?.state], ["reference", "done"]);
  assert.match(encoder.explain(), /^handover: handed over from wasm to reference\n/);
  const phases = told.filter(({ device }) => device === "reference").map(({ phase }) => phase);
  assert.deepEqual([...new Set(phases)], ["compile", "weights", "handover"]);
  assert.equal(phases.at(-1), "handover");
  const [there, here] = bytesOn(runtime);
  assert.ok((onlyWasm ?? 0) > 0 && (there ?? 0) > 0);
  assert.equal(here, 0);
  const [a, b] = [early.text_embeds, late.text_embeds];
  for (const [i, value] of (a?.data ?? []).entries()) assert.ok(Math.abs(value - Number(b?.data[i])) < 1e-4);
  assert.deepEqual(Object.keys(late).sort(), Object.keys(early).sort());
  await runtime.close();
});

test("a runtime that is sealed while it hands over compiles what the handover asks for, and nothing later", async () => {
  const runtime = await createRuntime({ ...HANDOVER, compile: { base: { lazy: true } } });
  const encoder = await runtime.load(CLIP, { components: ["text"] });
  await encoder.encode(textOf(5));
  runtime.seal();
  assert.equal(await encoder.handover?.ended, "done");
  // What was used before is ready on the other device as well.
  assert.equal(deviceOf(await encoder.encode(textOf(5))), "reference");
  await assert.rejects(encoder.encode({ ...textOf(5), input_ids: batch(2) }), hasCode("sealed", /was sealed/));
  await runtime.close();
});

test("a runtime that is sealed while it hands over hands over what cuts pictures as well", async () => {
  const problems: string[] = [];
  const runtime = await createRuntime({ ...HANDOVER, onProblem: (sentence) => problems.push(sentence) });
  const encoder = await runtime.load(repositoryPath("examples/models/digits-clip"), { components: ["vision"] });
  runtime.seal();
  assert.equal(await encoder.handover?.ended, "done", problems.join("\n"));
  const images = [{ width: 640, height: 480, channels: 3 as const, data: new Uint8Array(640 * 480 * 3) }];
  const { image_embeds } = await encoder.encode({ images }, { outputs: ["image_embeds"] });
  assert.deepEqual(image_embeds?.shape, [1, 64]);
  assert.deepEqual(problems, []);
  await runtime.close();
});

test("a range that a call makes ready while the other device takes its place is made ready there as well", async () => {
  const gate = gated();
  const plugins = [withDevice(wasmPlugin, gate.change), referencePlugin, clipPlugin];
  const runtime = await createRuntime({ ...HANDOVER, plugins, compile: { base: { lazy: true } } });
  const encoder = await runtime.load(CLIP, { components: ["text"] });
  const call = encoder.encode(textOf(5));
  while (encoder.device === "wasm") await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal(encoder.handover?.state, "done");
  gate.open();
  assert.equal(deviceOf(await call), "wasm");
  runtime.seal();
  assert.equal(await encoder.handover?.ended, "done");
  assert.equal(deviceOf(await encoder.encode(textOf(5))), "reference");
  await runtime.close();
});

test("closing does not wait for a call that began before another device took the place", async () => {
  const gate = gated();
  const plugins = [withDevice(wasmPlugin, gate.change), referencePlugin, clipPlugin];
  const runtime = await createRuntime({ ...HANDOVER, plugins, compile: { base: { lazy: true } } });
  const encoder = await runtime.load(CLIP, { components: ["text"] });
  const call = assert.rejects(encoder.encode(textOf(5)), hasCode("closed", /closed/));
  while (encoder.device === "wasm") await new Promise((resolve) => setTimeout(resolve, 1));
  encoder.close();
  assert.equal(await encoder.handover?.ended, "done");
  gate.open();
  await call;
  await runtime.close();
});

const batch = (rows: number): Tensor => ({ dtype: "i32", shape: [rows, 4], data: new Int32Array(4 * rows).fill(3) });

test("a first device that cannot take over leaves the encoder where it is, with a sentence", async () => {
  const problems: string[] = [];
  const options = { ...HANDOVER, plugins: broken, onProblem: (sentence: string) => problems.push(sentence) };
  const runtime = await createRuntime(options);
  const encoder = await runtime.load(CLIP, { components: ["text"] });
  assert.equal(await encoder.handover?.ended, "stayed");
  const says = /^The encoder stays on the device "wasm", for "reference" could not take over: The device takes no code/;
  assert.equal(problems.length, 1);
  assert.match(problems[0], says);
  assert.equal(deviceOf(await encoder.encode(textOf(5))), "wasm");
  assert.match(encoder.explain(), /^handover: stayed on wasm: The device takes no code today\.\n/);
  assert.equal(bytesOn(runtime)[0], 0);
  await runtime.close();
});

test("with `strict` that is an error of the handover and of every call", async () => {
  const runtime = await createRuntime({ ...HANDOVER, plugins: broken, compile: { strict: true } });
  const encoder = await runtime.load(CLIP, { components: ["text"] });
  const says = hasCode("invalid_code", /could not be handed over from the device "wasm" to "reference".*no code today/);
  await assert.rejects(encoder.handover?.ended ?? Promise.resolve(), says);
  await assert.rejects(encoder.encode(textOf(5)), says);
  assert.equal(encoder.stats().handover?.state, "failed");
  await runtime.close();
});

test("a first device that is absent is a problem that is told, and an error with `strict`", async () => {
  const plugins = changed(() => ({}), false);
  const problems: string[] = [];
  const options = { ...HANDOVER, plugins, onProblem: (sentence: string) => problems.push(sentence) };
  const runtime = await createRuntime(options);
  assert.deepEqual([runtime.device, runtime.interim], ["wasm", undefined]);
  assert.match(
    problems[0],
    /^Encoders stay on the device "wasm": .*"reference" is not available: it is switched off\.$/,
  );
  const encoder = await runtime.load(CLIP, { components: ["text"] });
  assert.equal(encoder.handover, undefined);
  assert.equal(deviceOf(await encoder.encode(textOf(5))), "wasm");
  await runtime.close();
  await assert.rejects(
    createRuntime({ ...HANDOVER, plugins, compile: { strict: true } }),
    hasCode("device_unavailable", /"reference" is not available: it is switched off/),
  );
});

test("closing while it hands over gives everything back", async () => {
  const runtime = await createRuntime(HANDOVER);
  for (const turns of [0, 1, 3, 8, 20]) {
    const encoder = await runtime.load(CLIP, { components: ["text"] });
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setTimeout(resolve, 0));
    encoder.close();
    await encoder.handover?.ended;
    assert.deepEqual(bytesOn(runtime), [0, 0], `after ${turns} turns`);
  }
  const encoder = await runtime.load(CLIP, { components: ["text"] });
  await runtime.close();
  await assert.rejects(encoder.encode(textOf(5)), hasCode("closed", /closed/));
});

test("`handover` without two devices is refused", async () => {
  for (const device of [undefined, "wasm", ["wasm"], ["wasm", "wasm"], ["webgpu", "wasm", "reference"]]) {
    const options = { handover: true, ...(device === undefined ? {} : { device }) };
    await assert.rejects(
      createRuntime(options),
      hasCode("invalid_options", /`handover` needs two devices.*"webgpu", "wasm"/),
    );
  }
});
