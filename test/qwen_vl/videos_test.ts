/** Videos as callers give them, through a small model in memory. */

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import type { Encoder, PixelImage, Tensor, VideoInput } from "../../mod.ts";
import { qwenImageProcessor } from "../../plugins/qwen_vl/preprocess.ts";
import {
  parseQwenVideoProcessor,
  qwenVideoBytes,
  qwenVideoProcessor,
  qwenVideoValues,
} from "../../plugins/qwen_vl/video.ts";
import { type PixelForms, pixelForms } from "../../runtime/abi/pixels.ts";
import { openAnimation } from "../../runtime/media/animation.ts";
import { naturalOrder } from "../../runtime/session/inputs/video.ts";
import type { Json } from "../clip/model_kit.ts";
import { hasCode } from "../kit/assertions.ts";
import { apart, TOLERANCE } from "../kit/byte_towers.ts";
import { loadedTower } from "../kit/loaded_tower.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { fixture, loadCodec, noise } from "../media/media_kit.ts";
import { writePng } from "../media/png_writer.ts";
import { filesOf, smallConfig } from "./model_kit.ts";

const IMAGES: Json = { patch_size: 2, min_pixels: 16, max_pixels: 256 };
const VIDEOS: Json = { patch_size: 2, size: { shortest_edge: 64, longest_edge: 4096 } };

const animations = JSON.parse(new TextDecoder().decode(await fixture("decode/animations.json")));
const animated = (name: string): Uint8Array => Uint8Array.from(atob(animations[name].file), (c) => c.charCodeAt(0));

const png = (image: PixelImage): Uint8Array => {
  const { width, height, data } = image;
  return writePng({ width, height, colorType: 2, depth: 8 }, (x, y, c) => data[(y * width + x) * 3 + c]);
};

async function withModel(
  family: "qwen2_vl" | "qwen2_5_vl" | "qwen3_vl",
  work: (encoder: Encoder) => Promise<void>,
  videos: Json = VIDEOS,
): Promise<void> {
  const config = smallConfig(family, { in_channels: 3, temporal_patch_size: 2 });
  const runtime = await openRuntime({ threads: 0 });
  try {
    await work(await runtime.load(filesOf(config, IMAGES, videos)));
  } finally {
    await runtime.close();
  }
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "fovea videos-"));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const FRAMES = [1, 2, 3, 4, 5].map((seed) => noise(seed, 13, 9));

type Results = Readonly<Record<string, Tensor>>;

const encodeVideos = async (encoder: Encoder, ...videos: readonly VideoInput[]): Promise<Results> =>
  (await encoder.encode({ videos })) as Results;

const FORMS: PixelForms = pixelForms(qwenImageProcessor(IMAGES), 3);

/** The same frames, preprocessed here and given as tensors. */
async function fromTensors(encoder: Encoder, family: string, frames: readonly PixelImage[]): Promise<Results> {
  const { run } = qwenVideoProcessor(parseQwenVideoProcessor(VIDEOS, family), FORMS);
  return (await encoder.encode(run([frames]))) as Results;
}

for (const family of ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"] as const) {
  test(`${family}: a video is the same as folder, URL, list, and as its processor's tensors`, () =>
    withModel(family, (encoder) =>
      inFolder(async (folder) => {
        // Their order as texts would be 1, 10, 11, 2, 9.
        const names = ["frame 1.png", "frame 2.png", "frame 9.png", "frame 10.png", "frame 11.png"];
        await Promise.all(names.map((name, i) => writeFile(join(folder, name), png(FRAMES[i]))));
        await writeFile(join(folder, "notes.txt"), "no frame");
        await mkdir(join(folder, "thumbs.png"));
        const want = await fromTensors(encoder, family, FRAMES);
        assert.deepEqual([...want.video_grid_thw.data].slice(0, 1), [3]);
        const paths = names.map((name) => join(folder, name));
        const all: readonly VideoInput[] = [
          folder,
          `${folder}/`,
          pathToFileURL(folder),
          paths,
          FRAMES.map(png),
          FRAMES,
          { frames: FRAMES },
          { frames: folder },
        ];
        for (const video of all) assert.deepEqual(await encodeVideos(encoder, video), want);
      }),
    ));
}

test("videos go as bytes where pictures and videos are normalised by the same numbers", () =>
  withModel("qwen2_vl", async (encoder) => {
    const config = parseQwenVideoProcessor(VIDEOS, "qwen2_vl");
    const isReady = (part: string): boolean =>
      loadedTower(encoder, "vision").components.get(`qwen2_vl/vision.${part}`)?.artifacts.length !== 0;
    const found = await encodeVideos(encoder, FRAMES);
    assert.deepEqual([isReady("embed_frames_u8"), isReady("embed")], [true, false]);
    const bytes = { ...qwenVideoBytes([FRAMES], config) };
    assert.deepEqual(found, await encoder.encode(bytes));
    const wanted = (await encoder.encode(qwenVideoValues([FRAMES], config))) as Results;
    for (const [name, want] of Object.entries(wanted)) {
      const { difference, cosine } = apart(found[name], want);
      assert.ok(difference <= TOLERANCE && cosine >= 1 - 1e-9, `${name}: ${difference} standard deviations`);
    }
    const other = parseQwenVideoProcessor({ ...VIDEOS, image_mean: [0.5, 0.5, 0.5] }, "qwen2_vl");
    assert.equal(qwenVideoProcessor(config, FORMS).run([FRAMES]).pixel_values_videos.dtype, "u8");
    assert.equal(qwenVideoProcessor(other, FORMS).run([FRAMES]).pixel_values_videos.dtype, "f32");
  }));

test("a GIF and a WebP are videos of their frames at their own speed, as pictures their first frame", () =>
  withModel("qwen3_vl", async (encoder) => {
    for (const name of ["pillow-1.gif", "mask-lossy.webp"]) {
      const bytes = animated(name);
      const { decode, delays } = await openAnimation(bytes, { name, maxPixels: 1 << 26, loadCodec });
      const frames = await decode(delays.map((_, i) => i));
      const found = await encodeVideos(encoder, bytes);
      // Two frames a second of a clip shorter than one: at least four are taken, here all.
      assert.deepEqual(found, await fromTensors(encoder, "qwen3_vl", frames));
      assert.deepEqual(await encodeVideos(encoder, new Blob([bytes as Uint8Array<ArrayBuffer>])), found);
      const still = await encoder.encode({ images: [bytes] });
      assert.deepEqual(still, await encoder.encode({ images: [frames[0]] }));
    }
  }));

test("frames with a speed are sampled by time, and only those are read", () =>
  withModel("qwen3_vl", async (encoder) => {
    const many = Array.from({ length: 24 }, (_, i) => noise(i, 12, 8));
    const kept = [0, 5, 9, 14, 18, 23];
    const found = await encodeVideos(encoder, { frames: many, fps: 8 });
    assert.deepEqual(
      found,
      await fromTensors(
        encoder,
        "qwen3_vl",
        kept.map((i) => many[i]),
      ),
    );
    const holes = many.map((frame, i) => (kept.includes(i) ? frame : "no such file.png"));
    assert.deepEqual(await encodeVideos(encoder, { frames: holes, fps: 8 }), found);
  }));

test("several videos are their results one below the other, told apart by video_grid_thw", () =>
  withModel("qwen2_5_vl", async (encoder) => {
    const clips = [FRAMES, FRAMES.slice(2, 3), [noise(9, 20, 4), noise(8, 20, 4)]];
    const all = await encodeVideos(encoder, ...clips);
    const alone: Results[] = [];
    for (const clip of clips) alone.push(await encodeVideos(encoder, clip));
    for (const name of ["pooler_output", "last_hidden_state", "video_grid_thw"]) {
      assert.deepEqual(
        [...all[name].data],
        alone.flatMap((one) => [...one[name].data]),
        name,
      );
    }
    assert.deepEqual(all.video_grid_thw.shape, [3, 3]);
    const only = await encoder.encode({ videos: clips }, { outputs: ["pooler_output"] });
    assert.deepEqual(Object.keys(only), ["pooler_output"]);
    const grids = await encoder.encode({ videos: clips }, { outputs: ["video_grid_thw"] });
    assert.deepEqual(grids, { video_grid_thw: all.video_grid_thw });
  }));

test("a video of one frame works where the reference takes it, else a sentence says how many it needs", async () => {
  await withModel("qwen2_vl", async (encoder) => {
    const { video_grid_thw } = await encodeVideos(encoder, FRAMES.slice(0, 1));
    assert.equal(video_grid_thw.data[0], 1);
  });
  await withModel("qwen3_vl", (encoder) =>
    assert.rejects(
      encodeVideos(encoder, FRAMES.slice(0, 1)),
      hasCode(
        "video.too_short",
        /^The video at position 0 of `videos` cannot be prepared: A video of 1 frame is too short: this processor takes at least 2, .* Give more/,
      ),
    ),
  );
});

const DIGITS = repositoryPath("examples/models/digits-clip");
const CONFIG = join(DIGITS, "config.json");

const BAD: readonly (readonly [unknown, string, RegExp])[] = [
  [[], "invalid_input", /`videos` must be a list of at least one video; found an empty list/],
  [FRAMES[0], "invalid_input", /`videos` must be a list of at least one video/],
  [[[]], "invalid_input", /^The video at position 0 of `videos` must be a folder.*found an empty list\.$/],
  [[FRAMES, 7], "invalid_input", /^The video at position 1 of `videos` must be .* found 7/],
  [[{ frames: FRAMES, fps: 0 }], "invalid_input", /has `fps` 0; expected frames per second, above 0/],
  [[{ frames: FRAMES, fps: "8" }], "invalid_input", /has `fps` "8"/],
  [[[...FRAMES, 3]], "invalid_input", /^Frame 5 of the video at position 0 of `videos` must be a path.*found 3/],
  [[[FRAMES[0], noise(1, 9, 13)]], "video.shape", /Frame 1 of .* has 9x13 pixels and frame 0 has 13x9; .* one size/],
  [["no/such/clip.gif"], "file.not_found", /no\/such\/clip\.gif/],
  [[{ frames: CONFIG }], "video.empty", /config\.json is no folder, so it holds no frames/],
  [[DIGITS], "video.empty", /The folder .*digits-clip holds no frames among its \d+ entries; expected PNG/],
  [[CONFIG], "image.unknown", /config\.json is not an image/],
  [[png(FRAMES[0])], "video.still", /^The video at position 0 of `videos` is a PNG picture and no video/],
  [[animated("random-3.gif").subarray(0, 60)], "image.truncated", /position 0 of `videos` is a truncated GIF file/],
];

test("what is no video is refused with its position", () =>
  withModel("qwen2_5_vl", async (encoder) => {
    for (const [videos, code, says] of BAD) {
      await assert.rejects(encoder.encode({ videos: videos as VideoInput[] }), hasCode(code, says));
    }
  }));

test("pictures and videos in one call, or videos and tensors, are refused by a sentence", () =>
  withModel("qwen2_5_vl", async (encoder) => {
    const videos = [FRAMES];
    await assert.rejects(
      encoder.encode({ images: [FRAMES[0]], videos }),
      hasCode("invalid_input", /`images` and `videos` are given at once.* in calls of their own/),
    );
    const tensors = qwenVideoValues([FRAMES], parseQwenVideoProcessor(VIDEOS, "qwen2_5_vl"));
    await assert.rejects(
      encoder.encode({ videos, ...tensors }),
      hasCode("invalid_input", /Give `videos` or the vision tower's own tensors, not both/),
    );
    const { pixel_values_videos, video_grid_thw } = tensors;
    await assert.rejects(
      encoder.encode({ pixel_values_videos, pixel_values: pixel_values_videos, video_grid_thw }),
      hasCode(
        "invalid_input",
        /pixel_values and pixel_values_videos are given at once; encode images and videos in calls/,
      ),
    );
  }));

test("a video of more pixels than are kept is refused once the first frame is known", () =>
  withModel("qwen2_5_vl", async (encoder) => {
    const large = noise(1, 1, 1);
    const wide: PixelImage = { ...large, width: 8000, height: 4000, data: new Uint8Array(8000 * 4000 * 3) };
    const frames = [wide, ...Array.from({ length: 9 }, () => "never read.png")];
    await assert.rejects(
      encoder.encode({ videos: [frames] }),
      hasCode("video.too_large", /has 10 frames of 8000x4000, 320000000 pixels in all, above .* 268435456; take fewer/),
    );
  }));

test("pictures and frames that their processors make larger than the bounds are encoded", async () => {
  const config = smallConfig("qwen2_vl", { in_channels: 3, temporal_patch_size: 2 });
  const runtime = await openRuntime({ threads: 0 });
  try {
    const same = await runtime.load(
      filesOf(
        config,
        { patch_size: 2, min_pixels: 256, max_pixels: 256 },
        { patch_size: 2, size: { shortest_edge: 256, longest_edge: 256 } },
      ),
    );
    const grid = async (encoder: Encoder, image: PixelImage): Promise<readonly number[][]> => {
      const still = (await encoder.encode({ images: [image] })) as Results;
      const video = await encodeVideos(encoder, [image, image]);
      return [[...still.image_grid_thw.data], [...video.video_grid_thw.data]];
    };
    // Rounded up to 320 pixels, as in the reference.
    assert.deepEqual(await grid(same, noise(1, 13, 9)), [
      [1, 8, 10],
      [1, 8, 10],
    ]);
    const wide = await runtime.load(
      filesOf(config, IMAGES, { patch_size: 2, size: { shortest_edge: 16, longest_edge: 256 } }),
    );
    assert.deepEqual(await grid(wide, noise(2, 400, 4)), [
      [1, 2, 80],
      [1, 2, 80],
    ]);
  } finally {
    await runtime.close();
  }
});

test("an encoder without video says so", async () => {
  const runtime = await openRuntime({ threads: 0 });
  try {
    const encoder = await runtime.load(DIGITS, { components: ["vision"] });
    await assert.rejects(
      encoder.encode({ videos: [FRAMES] }),
      hasCode("invalid_input", /^This clip model takes no `videos`: .* Give the frames as `images`\.$/),
    );
  } finally {
    await runtime.close();
  }
});

test("an abort between frames ends the reading", () =>
  withModel("qwen2_5_vl", async (encoder) => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const slow = {
      get width(): number {
        controller.abort(reason);
        return 13;
      },
      height: 9,
      channels: 3,
      data: FRAMES[0].data,
    } as const;
    const videos = [[slow as PixelImage, "never read.png"]];
    await assert.rejects(encoder.encode({ videos }, { signal: controller.signal }), reason);
  }));

test("names are ordered as people count", () => {
  const names = ["b", "a10", "a2", "a02", "a", "a1b", "a1", "10", "9", "é", "B", "a1.5", "a1.10"];
  const sorted = [...names].sort(naturalOrder);
  assert.deepEqual(sorted, ["9", "10", "B", "a", "a1", "a1.5", "a1.10", "a1b", "a02", "a2", "a10", "b", "é"]);
  assert.deepEqual([...sorted].reverse().sort(naturalOrder), sorted);
});
