// What this browser can compute on, as choices for `createRuntime`.
import { probeDevices } from "./fovea/fovea.js";

const NOT_ISOLATED =
  "the page is not cross-origin isolated; serve it with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp";

/** The choices, best first: `{ id, name, options }`, or `{ id, name, absent }` with the reason. */
export async function findChoices() {
  const devices = await probeDevices();
  const reasonOf = (kind) => devices.find((device) => device.kind === kind)?.unavailable;
  // Adapters that compute on the processor take seconds for a pipeline: nothing is made that no picture asked for.
  const software = devices.find(({ kind }) => kind === "webgpu")?.capabilities?.software === true;
  const lazily = software ? { compile: { base: { lazy: true } } } : {};
  const cores = navigator.hardwareConcurrency;
  const choice = (id, name, absent, options) => (absent === undefined ? { id, name, options } : { id, name, absent });
  return [
    choice("webgpu", "WebGPU", reasonOf("webgpu"), { device: "webgpu", ...lazily }),
    choice(
      "threads",
      `WebAssembly, ${cores} threads`,
      reasonOf("wasm") ?? (crossOriginIsolated ? undefined : NOT_ISOLATED),
      {
        device: "wasm",
      },
    ),
    choice("thread", "WebAssembly, one thread", reasonOf("wasm"), { device: "wasm", threads: 0 }),
  ];
}
