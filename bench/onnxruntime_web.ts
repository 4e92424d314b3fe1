/** onnxruntime-web on WebAssembly, with the settings that its users get or would choose. */
import * as ort from "onnxruntime-web";
import type { ExternalData } from "./onnx_weights.ts";

export interface OnnxSession {
  readonly version: string;
  /** `last_hidden_state` of pixels f32 [batch, 3, size, size]. */
  run(pixels: Float32Array, shape: readonly number[]): Promise<Float32Array>;
  close(): Promise<void>;
}

/** Opens a model; `threads` holds for the whole process and cannot be changed after the first session. */
export async function openOnnxSession(
  model: Uint8Array,
  external: ExternalData,
  threads: number,
): Promise<OnnxSession> {
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.proxy = false;
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
    externalData: [{ path: external.file, data: external.data }],
  });
  return {
    version: ort.env.versions.web ?? "unknown",
    async run(pixels, shape) {
      const result = await session.run({ pixel_values: new ort.Tensor("float32", pixels, shape) });
      return result.last_hidden_state.data as Float32Array;
    },
    close: () => session.release(),
  };
}
