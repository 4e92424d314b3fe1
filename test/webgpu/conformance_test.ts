/** Random graphs on the WebGPU device. Drivers on the processor take a tenth of a second and more for each shader, so few. */
import type { ComponentSpec } from "../../runtime/abi/encoder.ts";
import { testDevice } from "../kit/device_conformance.ts";
import { WEBGPU_SUITE } from "./suite_kit.ts";

/** Attention over a norm. */
const BLOCK: ComponentSpec = {
  tag: "test/block",
  symbols: { tokens: { min: 1, max: 11 } },
  instances: [""],
  build: (b) => {
    const { tokens } = b.dims;
    const x = b.input("x", [tokens, 24]);
    const normed = b.layerNorm(x, b.weight("scale", [24]), b.weight("bias", [24]), 1e-5);
    const qkv = b.matmul(normed, b.weight("qkv", [72, 24]), { transposeB: true });
    const [q, k, v] = [0, 1, 2].map((i) => b.reshape(b.slice(qkv, 1, 24 * i, 24 * (i + 1)), [1, tokens, 3, 8]));
    b.output("y", b.add(x, b.reshape(b.attention(q, k, v), [tokens, 24])));
  },
};

testDevice({
  ...WEBGPU_SUITE,
  label: "webgpu-core",
  components: [BLOCK],
  graphs: 4,
  // The second keeps what a product reads as f16.
  halfSeeds: [0, 46],
});
