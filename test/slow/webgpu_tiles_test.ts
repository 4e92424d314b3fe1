/** Tiles of large products and of large heads, which drivers on the processor take seconds to compile. */
import { after } from "node:test";
import type { Device } from "../../runtime/abi/device.ts";
import { testAttention } from "../webgpu/attention_kit.ts";
import { openGpu } from "../webgpu/gpu_kit.ts";
import { testTile } from "../webgpu/tile_kit.ts";

let opened: Promise<Device> | undefined;
const device = (): Promise<Device> => {
  opened ??= openGpu();
  return opened;
};
after(async () => (await opened)?.close());

for (const at of [0, 1, 2]) testTile(at, device);
testAttention({ title: "large heads", headDim: 140 }, device);
for (const given of [
  { title: "heads of 72 in tiles", headDim: 72 },
  { title: "heads of 128 in tiles, keys of a window", headDim: 128, window: 40 },
  { title: "heads of odd size in tiles, keys of the own segment", headDim: 11, segments: true },
])
  testAttention({ ...given, tiled: true }, device);
testAttention({ title: "heads of 72 in pairs", headDim: 72, group: 2 }, device);
