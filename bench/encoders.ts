/** fovea against other engines: the same graph, weights, inputs and output, in one process. */
import { createRuntime, type Encoder, type Runtime } from "../mod.ts";
import type { BenchOptions, BenchResult } from "./benchmark.ts";
import { makeCheckpoint, WEIGHTS_FILE } from "./checkpoint.ts";
import { type Contender, interleave, rowsOf } from "./interleave.ts";
import { type BenchModel, OP_BY_OP, openModel } from "./models.ts";
import { exportTower } from "./onnx/export.ts";
import { encodeOnnx } from "./onnx/model.ts";
import type { OpenPeer } from "./peers/peer.ts";

/** Largest difference of the results over their standard deviation: sums in another order, far below a wrong formula. */
const TOLERANCE = 1e-4;
const WARM_UP = 2;
const OUTPUT = "last_hidden_state";

/** Loaded when asked for: a package may not load on every runtime. */
const PEERS: Readonly<Record<string, () => Promise<OpenPeer>>> = {
  web: async () => (await import("./peers/onnxruntime_web.ts")).openOnnxruntimeWeb,
  node: async () => (await import("./peers/onnxruntime_node.ts")).openOnnxruntimeNode,
};

/** Largest difference over the standard deviation of the expected values. @throws Error when too large or not finite */
function checkEqual(name: string, found: Float32Array, expected: Float32Array): number {
  if (found.length !== expected.length) {
    throw new Error(`${name} gives ${found.length} values, the first contender ${expected.length}.`);
  }
  let [sum, squares, worst] = [0, 0, 0];
  for (let i = 0; i < found.length; i++) {
    sum += expected[i];
    squares += expected[i] ** 2;
    // Negated, so that NaN counts as different.
    if (!(Math.abs(found[i] - expected[i]) <= worst)) worst = Math.abs(found[i] - expected[i]);
  }
  const std = Math.sqrt(squares / found.length - (sum / found.length) ** 2);
  const difference = worst / std;
  if (difference <= TOLERANCE) return difference;
  throw new Error(
    `${name} and the first contender differ by ${difference} standard deviations; at most ${TOLERANCE} are allowed.`,
  );
}

interface Encoding extends Contender {
  readonly run: () => Promise<Float32Array>;
}

async function openFovea(model: BenchModel, weights: Uint8Array, runtime: Runtime): Promise<Encoder> {
  const checkpoint = new Map([
    ["config.json", new TextEncoder().encode(JSON.stringify(model.config))],
    [WEIGHTS_FILE, weights],
  ]);
  return runtime.load(checkpoint, { components: [model.tower.modality] });
}

/** @throws Error when two sides do not compute the same */
export async function encoders(options: BenchOptions): Promise<BenchResult> {
  const { threads, rounds, runs } = options;
  const model = await openModel(options.model, options.batch);
  const { bytes, place } = makeCheckpoint(model.tower);
  const exported = exportTower(model.tower, { inputs: model.inputs, outputs: [OUTPUT], weight: place });
  const onnx = encodeOnnx(exported.model);
  const settings: Record<string, string | number> = { model: model.name, threads, batch: options.batch };
  const contenders: Encoding[] = [];
  const close: (() => Promise<void>)[] = [];
  try {
    for (const peer of options.peers) {
      if (!Object.hasOwn(PEERS, peer)) {
        throw new Error(`There is no peer "${peer}"; there are ${Object.keys(PEERS).join(", ")}.`);
      }
      const open = await PEERS[peer]();
      const session = await open({ onnx, weights: bytes, weightsFile: WEIGHTS_FILE }, threads);
      close.push(() => session.close());
      settings[session.name] = session.version;
      contenders.push({ name: session.name, run: () => session.run(exported.feeds, OUTPUT) });
    }
    for (const enabled of OP_BY_OP.includes(model.name) ? [true, false] : [true]) {
      const runtime = await createRuntime({ threads, compile: { enabled } });
      close.push(() => runtime.close());
      const encoder = await openFovea(model, bytes, runtime);
      settings.target = runtime.target;
      const run = async (): Promise<Float32Array> => {
        const { last_hidden_state } = await encoder.encode(model.inputs, { outputs: [OUTPUT] });
        return last_hidden_state?.data as Float32Array;
      };
      contenders.push({ name: enabled ? "fovea" : "fovea, op by op", run });
    }
    const [first, ...others] = contenders;
    const expected = (await first.run()).slice();
    let difference = 0;
    for (const { name, run } of others) {
      difference = Math.max(difference, checkEqual(name, await run(), expected));
    }
    const times = await interleave(contenders, { rounds, runs, warmUp: WARM_UP });
    return { settings, difference, rows: rowsOf(contenders, times, exported.flops) };
  } finally {
    for (const one of close) await one();
  }
}
