/** onnxruntime-node: native code for the machine at hand, the far ceiling. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { type OpenPeer, peerOf } from "./peer.ts";

/** It reads weights beside a model from a folder alone. */
export const openOnnxruntimeNode: OpenPeer = async ({ onnx, weights, weightsFile }, threads) => {
  const folder = await mkdtemp(join(tmpdir(), "fovea-bench-"));
  try {
    await writeFile(join(folder, weightsFile), weights);
    await writeFile(join(folder, "model.onnx"), onnx);
    const session = await ort.InferenceSession.create(join(folder, "model.onnx"), {
      executionProviders: ["cpu"],
      graphOptimizationLevel: "all",
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
    });
    const make = (type: "float32" | "int32", data: Float32Array & Int32Array, shape: readonly number[]): ort.Tensor =>
      new ort.Tensor(type, data, shape);
    return peerOf("onnxruntime-node", ort.env.versions.node ?? "unknown", session, make);
  } finally {
    await rm(folder, { recursive: true });
  }
};
