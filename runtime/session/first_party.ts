/** The plugins that come with fovea, loaded when first needed. They have no privilege over anyone else's. */
import type { Plugin } from "../abi/plugin.ts";

export async function firstPartyPlugins(): Promise<readonly Plugin[]> {
  const [wasm, reference, clip] = await Promise.all([
    import("../../kernels/wasm/plugin.ts"),
    import("../../kernels/reference/plugin.ts"),
    import("../../plugins/clip/plugin.ts"),
  ]);
  return [wasm.wasmPlugin, reference.referencePlugin, clip.clipPlugin];
}
