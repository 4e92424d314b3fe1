/** A JPEG file to SigLIP's embedding, from bytes to numbers, against transformers.js on the same runtime. */
import { readFile } from "node:fs/promises";
import sharp from "sharp";
import { createRuntime } from "../mod.ts";
import type { BenchOptions, BenchResult } from "./benchmark.ts";
import { makeCheckpoint, WEIGHTS_FILE } from "./checkpoint.ts";
import { interleave, rowsOf } from "./interleave.ts";
import { openModel } from "./models.ts";
import { exportTower } from "./onnx/export.ts";
import { encodeOnnx } from "./onnx/model.ts";
import { openTransformersJs } from "./peers/transformers_js.ts";

const [WIDTH, HEIGHT] = [1024, 768];
const OUTPUT = "pooler_output";
const WARM_UP = 2;

/** Least cosine of the two embeddings: both resize with a bicubic filter, but not with the same bits. */
const LEAST_COSINE = 0.999;

const fixture = (path: string): URL => new URL(`../test/fixtures/${path}`, import.meta.url);

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, value, i) => sum + value * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/** @throws Error when the embeddings are not alike */
export async function jpegToEmbedding({ threads, rounds, runs }: BenchOptions): Promise<BenchResult> {
  const model = await openModel("siglip-base", 1);
  const processorFile = "preprocessor_config.json";
  const text = await readFile(fixture(`configs/siglip-base-patch16-224/${processorFile}`), "utf8");
  const { bytes, place } = makeCheckpoint(model.tower);
  const exported = exportTower(model.tower, { inputs: model.inputs, outputs: [OUTPUT], weight: place });
  const grown = sharp(await readFile(fixture("preprocess/astronaut.jpg"))).resize(WIDTH, HEIGHT, { fit: "fill" });
  const file = new Uint8Array(await grown.jpeg({ quality: 90 }).toBuffer());

  const peer = await openTransformersJs(
    {
      ...{ onnx: encodeOnnx(exported.model), weights: bytes, weightsFile: WEIGHTS_FILE },
      ...{ config: model.config, preprocessor: JSON.parse(text) },
    },
    threads,
  );
  const runtime = await createRuntime({ threads });
  try {
    const encode = new TextEncoder();
    const checkpoint = new Map([
      ["config.json", encode.encode(JSON.stringify(model.config))],
      [processorFile, encode.encode(text)],
      [WEIGHTS_FILE, bytes],
    ]);
    const encoder = await runtime.load(checkpoint, { components: ["vision"] });
    const contenders = [
      { name: "transformers.js", run: () => peer.embed(file) },
      {
        name: "fovea",
        run: async () => {
          const { pooler_output } = await encoder.encode({ images: [file] }, { outputs: [OUTPUT] });
          return pooler_output?.data as Float32Array;
        },
      },
    ];
    const [expected, found] = [(await contenders[0].run()).slice(), await contenders[1].run()];
    const alike = cosine(found, expected);
    if (!(alike >= LEAST_COSINE)) {
      throw new Error(`The embeddings have a cosine of ${alike}; at least ${LEAST_COSINE} is expected.`);
    }
    const times = await interleave(contenders, { rounds, runs, warmUp: WARM_UP });
    const settings = {
      ...{ model: model.name, part: `${WIDTH}x${HEIGHT} JPEG`, threads, target: runtime.target },
      ...{ "transformers.js": peer.version, cosine: Number(alike.toFixed(6)) },
    };
    return { settings, rows: rowsOf(contenders, times) };
  } finally {
    await runtime.close();
  }
}
