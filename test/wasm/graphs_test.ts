import { join } from "node:path";
import { relaxedMultiplyAdd } from "../../kernels/wasm/device/probe.ts";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { FIXTURES, openClip, readJson } from "../clip/model_kit.ts";
import { testDevice } from "../kit/device_conformance.ts";
import { BARE_HOST } from "../kit/run_graph.ts";

const MEMORY = 64 * 2 ** 20;
const NO_RELAXED = relaxedMultiplyAdd() === "absent" ? { skip: "this engine has no relaxed SIMD" } : {};

for (const target of ["wasm-simd128", "wasm-relaxed"]) {
  testDevice({
    label: target,
    plugin: wasmPlugin,
    open: () => wasmPlugin.devices?.[0].open(BARE_HOST, { target, threads: 0, memory: MEMORY }) as Promise<Device>,
    tolerance: 5e-6,
    components: openClip(readJson(join(FIXTURES, "clip/config.json"))).towers.flatMap((t) => t.components),
    graphs: 40,
    ...(target === "wasm-relaxed" ? NO_RELAXED : {}),
  });
}
