/** Conformance of devices, for authors: from `node:test`, `bun test` and `deno test` alike. */
import assert from "node:assert/strict";
import type { Device, DeviceBuffer, DeviceHost, DeviceSpec, OpenOptions } from "../../runtime/abi/device.ts";
import type { Plugin } from "../../runtime/abi/plugin.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import type { GraphBuilder } from "../../runtime/ir/builder.ts";
import { evaluateGraph } from "../../runtime/ir/evaluate/mod.ts";
import { nodesOf } from "../../runtime/ir/graph.ts";
import { deviceHost } from "../../runtime/session/artifacts/devices.ts";
import { judges, limitFor } from "./noise.ts";
import { growRandomGraph, RANDOM_SYMBOLS, randomBindings, randomInputs, randomWeights } from "./random_graph.ts";
import { buildGraph, maxDifference, type OpenGraph, openGraph } from "./run_graph.ts";

/** Which device is checked, and how much of it. */
export interface DeviceCheckOptions {
  /** Which of the plugin's devices; its first unless given. */
  readonly kind?: string;
  /** How devices are opened; with their own defaults unless given. */
  readonly open?: OpenOptions;
  /** What they may use of the JavaScript runtime; all that this one has unless given. */
  readonly host?: DeviceHost;
  /** Plugins that bring its kernels, where its own does not. */
  readonly kernels?: readonly Plugin[];
  /** Random graphs that are compared; 6 unless given. */
  readonly graphs?: number;
  /** Ops that the device's kernels refuse, by name; graphs that hold one are left out. */
  readonly refuses?: readonly string[];
  /** Largest difference, as a share of 1 + the largest magnitude of a result; 2e-5 unless given. */
  readonly tolerance?: number;
}

/** What was checked. */
export interface DeviceCheck {
  /** Kind of the device. */
  readonly kind: string;
  /** Target that it was opened for. */
  readonly target: string;
  /** Results of graphs that were compared with the reference evaluator's. */
  readonly compared: number;
  /** Largest difference, as a share of what passes. */
  readonly worst: number;
}

const GUARD = 64;
const bytesOf = (seed: number, count: number): Uint8Array =>
  Uint8Array.from({ length: count }, (_, i) => hash32(seed, i));

/** The error of a call, thrown or rejected; it must be a FoveaError of the code. */
async function refused(what: string, code: string, work: () => unknown): Promise<void> {
  let found: unknown;
  try {
    await work();
  } catch (error) {
    found = error;
  }
  assert.ok(found !== undefined, `${what} is not refused; expected a FoveaError "${code}".`);
  const text = found instanceof Error ? `${found.name}: ${found.message}` : String(found);
  assert.ok(found instanceof FoveaError, `${what} is refused with ${text}; expected a FoveaError "${code}".`);
  assert.equal(found.code, code, `${what} is refused with "${found.code}" (${text}); expected "${code}".`);
}

async function readAll(device: Device, buffer: DeviceBuffer): Promise<Uint8Array> {
  const into = new Uint8Array(buffer.bytes);
  await device.read(buffer, 0, into);
  return into;
}

/** Bytes at odd places come back, their neighbours stay, and what is given back is no longer counted. */
async function checkMemory(device: Device): Promise<void> {
  const before = device.stats().bytesInUse;
  const sizes = [1, 4, 257, 4096 + 3];
  const buffers = sizes.map((bytes) => device.allocate(bytes + 2 * GUARD));
  const expected = buffers.map((buffer, i) => bytesOf(i, buffer.bytes));
  for (const [i, buffer] of buffers.entries()) device.write(buffer, 0, expected[i]);
  assert.ok(
    device.stats().bytesInUse - before >= buffers.reduce((n, b) => n + b.bytes, 0),
    "`stats().bytesInUse` does not count what is allocated.",
  );
  for (const [i, size] of sizes.entries()) {
    const data = bytesOf(100 + i, size);
    const offset = GUARD + (i % 3);
    device.write(buffers[i], offset, data);
    expected[i].set(data, offset);
    const into = new Uint8Array(size);
    await device.read(buffers[i], offset, into);
    assert.deepEqual(into, data, `${size} bytes that were written at ${offset} do not come back.`);
  }
  const together = await Promise.all(buffers.map((buffer) => readAll(device, buffer)));
  for (const [i, found] of together.entries())
    assert.deepEqual(found, expected[i], `Writing ${sizes[i]} bytes changed others, of the same buffer or another.`);
  await device.read(buffers[0], 3, new Uint8Array(0));
  for (const buffer of buffers) device.release(buffer);
  assert.equal(device.stats().bytesInUse, before, "`stats().bytesInUse` still counts what was given back.");
}

/** What cannot be done is refused by errors of the contract, and the device goes on. */
async function checkRefusals(spec: DeviceSpec, host: DeviceHost, options: OpenOptions, device: Device): Promise<void> {
  await refused('A target "nonsense"', "unknown_target", () => spec.targetCapabilities("nonsense"));
  await refused('Opening for a target "nonsense"', "unknown_target", () =>
    spec.open(host, { ...options, target: "nonsense" }),
  );
  await refused("Code that is none", "invalid_code", () => device.load(new Map([["none", Uint8Array.of(1, 2, 3)]])));
  assert.equal(device.has("none"), false, "Code that was refused is there.");
  const { limitBytes } = device.stats();
  assert.ok(limitBytes > 0, "`stats().limitBytes` is not positive.");
  await refused("An allocation beyond the limit", "out_of_memory", () => device.allocate(limitBytes + 1));
  const empty = device.bind([]);
  const signal = AbortSignal.abort(new Error("no longer wanted"));
  await assert.rejects(
    device.run(empty, { signal }),
    /no longer wanted/,
    "An aborted run does not reject with its reason.",
  );
  let started = false;
  await device.run(empty, {
    onStart: () => {
      started = true;
    },
  });
  assert.ok(started, "A run does not call `onStart`.");
  await assert.rejects(
    device.run(empty, {
      onStart: () => {
        throw new Error("too late");
      },
    }),
    /too late/,
    "What `onStart` throws is not what the run rejects with.",
  );
  empty.release();
  await checkMemory(device);
}

async function checkClosed(device: Device): Promise<void> {
  await device.close();
  await device.close();
  await refused("Allocating on a closed device", "device_closed", () => device.allocate(4));
  await refused("Loading onto a closed device", "device_closed", () => device.load(new Map()));
  await refused("Binding on a closed device", "device_closed", () => device.bind([]));
}

type Run = Awaited<ReturnType<OpenGraph["run"]>>;

function assertSame(what: string, found: Run, expected: Run): void {
  for (const name of Object.keys(expected)) {
    const at = expected[name].data.findIndex((v, i) => !Object.is(v, found[name].data[i]));
    assert.equal(
      at,
      -1,
      `${what}: "${name}" is another at element ${at}, ${found[name].data[at]} and ${expected[name].data[at]}.`,
    );
  }
}

interface Devices {
  /** Computes, and is closed in the middle. */
  readonly first: Device;
  readonly second: Device;
}

/**
 * Random graphs on both devices: as the reference evaluator has them, the same on both and whenever they run, in turns and
 * at once, and on the second after the first was closed.
 */
async function checkGraphs(
  { first, second }: Devices,
  plugins: readonly Plugin[],
  options: DeviceCheckOptions,
): Promise<Pick<DeviceCheck, "compared" | "worst">> {
  const { graphs = 6, tolerance = 2e-5, refuses = [] } = options;
  let [compared, worst] = [0, 0];
  const left: (() => Promise<void>)[] = [];
  for (let seed = 0; seed < graphs; seed++) {
    const bindings = randomBindings(seed);
    const inputs = randomInputs(seed, bindings);
    const weights = randomWeights(seed);
    const build = (b: GraphBuilder): void => {
      growRandomGraph(b, seed);
    };
    const graph = buildGraph(RANDOM_SYMBOLS, build);
    if (nodesOf(graph).some((n) => refuses.includes(n.op))) continue;
    const expected = evaluateGraph(graph, bindings, inputs, weights);
    const fair = judges({ graph, at: bindings, inputs, weights, expected }, tolerance);
    const opened: OpenGraph[] = [];
    for (const device of [first, second])
      opened.push(await openGraph({ device, plugins, symbols: RANDOM_SYMBOLS, build, weights }));
    const [a, b] = opened;
    const found = await a.run(bindings, inputs);
    for (const [name, value] of Object.entries(expected)) {
      if (!fair) continue;
      compared++;
      const share = maxDifference(found[name], value) / limitFor(value, tolerance);
      assert.ok(share <= 1, `Graph ${seed}: "${name}" is off the reference by ${share} times what passes.`);
      worst = Math.max(worst, share);
    }
    assertSame(`Graph ${seed} on the same device again`, await a.run(bindings, inputs), found);
    const both = await Promise.all([a.run(bindings, inputs), b.run(bindings, inputs)]);
    for (const one of both) assertSame(`Graph ${seed} on two devices at once`, one, found);
    a.release();
    left.push(async () => {
      assertSame(`Graph ${seed} after another device was closed`, await b.run(bindings, inputs), found);
      b.release();
    });
  }
  assert.ok(
    compared > 0,
    `None of ${graphs} graphs could be compared; all hold ops that are refused, or lose too many bits.`,
  );
  assert.equal(first.stats().bytesInUse, 0, "`stats().bytesInUse` counts something after everything was given back.");
  await checkClosed(first);
  for (const check of left) await check();
  assert.equal(second.stats().bytesInUse, 0, "`stats().bytesInUse` counts something after everything was given back.");
  return { compared, worst };
}

/**
 * Checks a device of a plugin: what its probe says, memory at odd places and sizes, refusals by errors of the contract, random
 * graphs against the reference evaluator, equal bits in every run and on two devices at once, and that closing one leaves the
 * other as it was.
 * @throws AssertionError with the first thing that is wrong; FoveaError `device_unavailable` where there is no device
 */
export async function checkDevice(plugin: Plugin, options: DeviceCheckOptions = {}): Promise<DeviceCheck> {
  const { open = {}, kernels = [], kind } = options;
  const spec = (plugin.devices ?? []).find((d) => kind === undefined || d.kind === kind);
  assert.ok(
    spec !== undefined,
    `The plugin "${plugin.name}" brings no device${kind === undefined ? "" : ` "${kind}"`}.`,
  );
  const host = options.host ?? deviceHost(await detectHost());
  const probed = await spec.probe(host);
  if ("unavailable" in probed)
    throw new FoveaError("device_unavailable", `The device "${spec.kind}" is not available: ${probed.unavailable}.`);
  assert.ok(
    spec.targets.includes(probed.target),
    `The probe finds the target "${probed.target}", which \`targets\` does not list: ${spec.targets.join(", ")}.`,
  );
  for (const target of spec.targets) assert.equal(typeof spec.targetCapabilities(target), "object");
  const [first, second] = [await spec.open(host, open), await spec.open(host, open)];
  try {
    assert.deepEqual(
      [first.kind, first.target],
      [spec.kind, open.target ?? probed.target],
      "The device is of another kind or target than what was opened.",
    );
    await checkRefusals(spec, host, open, first);
    const found = await checkGraphs({ first, second }, [plugin, ...kernels], options);
    return { kind: first.kind, target: first.target, ...found };
  } finally {
    await first.close();
    await second.close();
  }
}
