/** More random graphs on the WebGPU device than a usual run has the time for. */
import { testDevice } from "../kit/device_conformance.ts";
import { WEBGPU_SUITE } from "../webgpu/suite_kit.ts";

testDevice({
  ...WEBGPU_SUITE,
  label: "webgpu-core, many graphs",
  components: [],
  graphs: 120,
  // Those that come first keep values as f16.
  halfSeeds: [10, 46, 62, 76, 120, 172, ...Array(24).keys()],
});
