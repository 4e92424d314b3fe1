/** A video processor of someone else's plugin, through the public contract. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { definePlugin, type EncoderSpec, type PixelImage, type Plugin, type Tensor } from "../../mod.ts";
import { clipPlugin } from "../../plugins/clip/plugin.ts";
import type { EncoderModel, Processors, Tensors, VideoProcessor } from "../../runtime/abi/encoder.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { noise } from "../media/media_kit.ts";

/** Every second frame as a picture of its own; `num_frames` [videos] tells them apart. */
function framesAsPictures(images: NonNullable<Processors["images"]>): VideoProcessor {
  return {
    sample: ({ frames }) => Array.from({ length: Math.ceil(frames / 2) }, (_, i) => 2 * i),
    run: (videos): Tensors => ({
      ...images(videos.flat()),
      num_frames: { dtype: "i32", shape: [videos.length], data: Int32Array.from(videos, (v) => v.length) },
    }),
  };
}

function withVideos(model: EncoderModel): EncoderModel {
  return {
    ...model,
    towers: model.towers.map((t) => (t.modality === "vision" ? { ...t, layout: ["num_frames"] } : t)),
    processors: (files) => {
      const own = model.processors(files);
      return own.images === undefined ? own : { ...own, videos: framesAsPictures(own.images) };
    },
  };
}

test("a plugin's own video processor samples, computes and hands its layout back", async () => {
  const [clip] = clipPlugin.encoders as readonly EncoderSpec[];
  const encoder: EncoderSpec = { ...clip, open: (config, files) => withVideos(clip.open(config, files)) };
  const plugin: Plugin = definePlugin({ name: "@acme/clip_video", version: "1.0.0", abi: 1, encoders: [encoder] });
  const runtime = await openRuntime({ threads: 0, plugins: [wasmPlugin, plugin] });
  try {
    const model = await runtime.load(repositoryPath("examples/models/digits-clip"), { components: ["vision"] });
    const clipOf = (seed: number, frames: number): readonly PixelImage[] =>
      Array.from({ length: frames }, (_, i) => noise(seed + i, 8, 8));
    const videos = [clipOf(1, 5), clipOf(20, 2)];
    const found = (await model.encode({ videos })) as Readonly<Record<string, Tensor>>;
    assert.deepEqual([...found.num_frames.data], [3, 1]);
    const images = [0, 2, 4].map((i) => videos[0][i]).concat(videos[1][0]);
    const { image_embeds } = await model.encode({ images });
    assert.deepEqual(found.image_embeds.shape, [4, 64]);
    found.image_embeds.data.forEach((v, i) => {
      assert.ok(Math.abs(v - (image_embeds?.data[i] ?? Number.NaN)) < 1e-5);
    });
    // Tensors without a layout are as before.
    assert.equal("num_frames" in (await model.encode({ images })), false);
  } finally {
    await runtime.close();
  }
});
