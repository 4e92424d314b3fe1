/** onnxruntime-web on WebAssembly, with the settings that its users get or would choose. */
import * as ort from "onnxruntime-web";
import { type OpenPeer, peerOf } from "./peer.ts";

export const openOnnxruntimeWeb: OpenPeer = async ({ onnx, weights, weightsFile }, threads) => {
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.proxy = false;
  const session = await ort.InferenceSession.create(onnx, {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
    externalData: [{ path: weightsFile, data: weights }],
  });
  const make = (type: "float32" | "int32", data: Float32Array & Int32Array, shape: readonly number[]): ort.Tensor =>
    new ort.Tensor(type, data, shape);
  return peerOf("onnxruntime-web", ort.env.versions.web ?? "unknown", session, make);
};
