/** CLIP ViT-B/32's vision tower: fovea against onnxruntime-web on WebAssembly, same weights, input, output and process. */
import { readFile } from "node:fs/promises";
import { createRuntime } from "../mod.ts";
import { fillNormal } from "../runtime/core/random.ts";
import type { BenchOptions, BenchResult } from "./benchmark.ts";
import { type ClipVisionSizes, clipCheckpoint, clipVisionFlops } from "./clip_checkpoint.ts";
import { type Contender, interleave, median, medianRatio } from "./interleave.ts";
import { readOnnxGraph } from "./onnx_graph.ts";
import { makeExternalData } from "./onnx_weights.ts";
import { openOnnxSession } from "./onnxruntime_web.ts";

/** Largest difference of the results over their standard deviation: sums in another order, far below a wrong formula. */
const TOLERANCE = 1e-4;
const WARM_UP = 3;

const folder = (file: string): URL => new URL(`./models/clip-vit-base-patch32/${file}`, import.meta.url);

async function gunzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

/** Largest difference over the standard deviation of the expected values. @throws Error when too large or not finite */
function checkEqual(name: string, found: Float32Array, expected: Float32Array): number {
  if (found.length !== expected.length) {
    throw new Error(`${name} gives ${found.length} values, onnxruntime-web ${expected.length}.`);
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
    `${name} and onnxruntime-web differ by ${difference} standard deviations; at most ${TOLERANCE} are allowed.`,
  );
}

/** @throws Error when both sides do not compute the same */
export async function clipVsOnnxruntimeWeb({ batch, threads, rounds, runs }: BenchOptions): Promise<BenchResult> {
  const config = await readFile(folder("config.json"));
  const { vision_config, projection_dim } = JSON.parse(config.toString());
  const sizes: ClipVisionSizes = { ...vision_config, projection_dim };
  const model = await gunzip(new Uint8Array(await readFile(folder("model.onnx.gz"))));
  const graph = readOnnxGraph(model);
  const external = makeExternalData(graph);
  const checkpoint = new Map([
    ["config.json", new Uint8Array(config)],
    ["model.safetensors", clipCheckpoint(graph, external, sizes)],
  ]);

  const shape = [batch, 3, sizes.image_size, sizes.image_size];
  const pixels = new Float32Array(shape.reduce((a, b) => a * b));
  fillNormal(pixels, 7, 0, 1);

  const peer = await openOnnxSession(model, external, threads);
  const close: (() => Promise<void>)[] = [() => peer.close()];
  const contenders: Contender[] = [{ name: "onnxruntime-web", run: () => peer.run(pixels, shape) }];
  let [target, difference] = ["", 0];
  let times: number[][][];
  try {
    const expected = await peer.run(pixels, shape);
    // A runtime of one worker is compared with one thread, and so is the one that computes on the caller's.
    for (const workers of threads === 1 ? [1, 0] : [threads]) {
      const runtime = await createRuntime({ device: "wasm", threads: workers });
      close.push(() => runtime.close());
      const encoder = await runtime.load(checkpoint, { components: ["vision"] });
      const input = { pixel_values: { dtype: "f32", shape, data: pixels } } as const;
      const run = async (): Promise<Float32Array> => {
        const { last_hidden_state } = await encoder.encode(input, { outputs: ["last_hidden_state"] });
        return last_hidden_state?.data as Float32Array;
      };
      const name = workers === 0 ? "fovea, inline" : `fovea, ${workers} worker${workers === 1 ? "" : "s"}`;
      difference = Math.max(difference, checkEqual(name, await run(), expected));
      target = runtime.target;
      contenders.push({ name, run });
    }
    times = await interleave(contenders, { rounds, runs, warmUp: WARM_UP });
  } finally {
    for (const one of close) await one();
  }
  const flops = clipVisionFlops(sizes, batch);
  return {
    settings: {
      model: "clip-vit-base-patch32 vision",
      target,
      threads,
      batch,
      rounds,
      runs,
      onnxruntimeWeb: peer.version,
    },
    difference,
    rows: contenders.map(({ name }, i) => {
      const all = times[i].flat();
      const ms = median(all);
      return { name, ms, min: Math.min(...all), gflops: flops / ms / 1e6, ratio: medianRatio(times[0], times[i]) };
    }),
  };
}
