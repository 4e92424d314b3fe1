/** The plugins that come with fovea, loaded when first needed. They have no privilege over anyone else's. */
import type { Plugin } from "../abi/plugin.ts";

export async function firstPartyPlugins(): Promise<readonly Plugin[]> {
  return Promise.all([
    import("../../kernels/wasm/plugin.ts").then((m) => m.wasmPlugin),
    import("../../kernels/webgpu/plugin.ts").then((m) => m.webgpuPlugin),
    import("../../kernels/reference/plugin.ts").then((m) => m.referencePlugin),
    import("../../plugins/clip/plugin.ts").then((m) => m.clipPlugin),
    import("../../plugins/siglip/plugin.ts").then((m) => m.siglipPlugin),
    import("../../plugins/bert/plugin.ts").then((m) => m.bertPlugin),
    import("../../plugins/modernbert/plugin.ts").then((m) => m.modernBertPlugin),
    import("../../plugins/dino/plugin.ts").then((m) => m.dinoPlugin),
    import("../../plugins/vit/plugin.ts").then((m) => m.vitPlugin),
    import("../../plugins/whisper/plugin.ts").then((m) => m.whisperPlugin),
    import("../../plugins/llama4/plugin.ts").then((m) => m.llama4Plugin),
    import("../../plugins/internvl/plugin.ts").then((m) => m.internVLPlugin),
    import("../../plugins/pixtral/plugin.ts").then((m) => m.pixtralPlugin),
    import("../../plugins/qwen_vl/plugin.ts").then((m) => m.qwenVlPlugin),
  ]);
}
