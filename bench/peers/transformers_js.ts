/**
 * transformers.js on WebAssembly: its package for Node, which decodes pictures with sharp on all three runtimes, over
 * onnxruntime-web, which it takes in place of onnxruntime-node where a program brings it.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-web";
import type { PeerModel } from "./peer.ts";

/** Where transformers.js looks for an engine of the program's own. */
const ENGINE = Symbol.for("onnxruntime");
const NAME = "model";

export interface ImageEmbedder {
  readonly version: string;
  /** `pooler_output` of a picture's file. */
  embed(file: Uint8Array<ArrayBuffer>): Promise<Float32Array>;
}

export interface VisionModel extends PeerModel {
  readonly config: unknown;
  readonly preprocessor: unknown;
}

/** Opens a SigLIP vision tower with its image processor from a folder that is there for the while. */
export async function openTransformersJs(model: VisionModel, threads: number): Promise<ImageEmbedder> {
  (globalThis as Record<symbol, unknown>)[ENGINE] = ort;
  const { AutoProcessor, env, RawImage, SiglipVisionModel } = await import("@huggingface/transformers");
  // It points to its own files on the network otherwise; those of the package lie beside it.
  ort.env.wasm.wasmPaths = undefined;
  ort.env.wasm.numThreads = threads;
  const folder = await mkdtemp(join(tmpdir(), "fovea-bench-"));
  try {
    await mkdir(join(folder, NAME, "onnx"), { recursive: true });
    await writeFile(join(folder, NAME, "config.json"), JSON.stringify(model.config));
    await writeFile(join(folder, NAME, "preprocessor_config.json"), JSON.stringify(model.preprocessor));
    await writeFile(join(folder, NAME, "onnx", "vision_model.onnx"), model.onnx);
    env.allowRemoteModels = false;
    env.localModelPath = `${folder}/`;
    const processor = await AutoProcessor.from_pretrained(NAME);
    const vision = await SiglipVisionModel.from_pretrained(NAME, {
      dtype: "fp32",
      // The devices that it knows are those of its own engine; this one leaves the choice to the session's options.
      device: "auto",
      session_options: {
        executionProviders: ["wasm"],
        graphOptimizationLevel: "all",
        externalData: [{ path: model.weightsFile, data: model.weights }],
      },
    });
    return {
      version: env.version,
      embed: async (file) => {
        const { pooler_output } = await vision(await processor(await RawImage.fromBlob(new Blob([file]))));
        return pooler_output.data as Float32Array;
      },
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}
