/** Many more random graphs on every device than a usual run compares. */

import { referencePlugin } from "../../kernels/reference/plugin.ts";
import { relaxedMultiplyAdd } from "../../kernels/wasm/device/probe.ts";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { testDevice } from "../kit/device_conformance.ts";
import { BARE_HOST } from "../kit/run_graph.ts";

const NO_RELAXED = relaxedMultiplyAdd() === "absent" ? { skip: "this engine has no relaxed SIMD" } : {};
const GRAPHS = { components: [], graphs: 400 };

for (const target of ["wasm-simd128", "wasm-relaxed"]) {
  testDevice({
    label: `${target}, many graphs`,
    plugin: wasmPlugin,
    open: () =>
      wasmPlugin.devices?.[0].open(BARE_HOST, { target, threads: 0, memory: 64 * 2 ** 20 }) as Promise<Device>,
    tolerance: 5e-6,
    ...GRAPHS,
    ...(target === "wasm-relaxed" ? NO_RELAXED : {}),
  });
}

testDevice({
  label: "reference, many graphs",
  plugin: referencePlugin,
  open: () => referencePlugin.devices?.[0].open(BARE_HOST, {}) as Promise<Device>,
  tolerance: 2e-6,
  ...GRAPHS,
});
