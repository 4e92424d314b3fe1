import assert from "node:assert/strict";
import { test } from "node:test";
import {
  mostFramePixels,
  parseQwenVideoProcessor,
  type QwenVideoConfig,
  qwenVideoProcessor,
  qwenVideoValues,
  sampleFrames,
  videoSize,
} from "../../plugins/qwen_vl/video.ts";
import { FLOAT_PIXELS } from "../../runtime/abi/pixels.ts";
import type { FoveaError } from "../../runtime/core/diagnostics.ts";
import { hashStream } from "../../runtime/core/random.ts";
import { hasCode } from "../kit/assertions.ts";
import { fixture, noise } from "../media/media_kit.ts";
import { assertTensors, framesOf, processorTensors, type VideoCase } from "../media/processor_kit.ts";

type Json = Readonly<Record<string, unknown>>;

const readJson = async (path: string): Promise<unknown> => JSON.parse(new TextDecoder().decode(await fixture(path)));

const FOLDERS: readonly (readonly [folder: string, family: string])[] = [
  ["qwen2_vl-video", "qwen2_vl"],
  ["qwen2_vl-video-14", "qwen2_5_vl"],
  ["qwen2_vl-video-sampled", "qwen2_5_vl"],
  ["qwen3_vl-video", "qwen3_vl"],
  ["qwen3_vl-video-capped", "qwen3_vl"],
];

for (const [folder, family] of FOLDERS) {
  test(`${folder}: sampled frames become the patches of the reference's video processor`, async () => {
    const config = parseQwenVideoProcessor(await readJson(`${folder}/video_preprocessor_config.json`), family);
    const processor = qwenVideoProcessor(config, FLOAT_PIXELS);
    const cases = (await readJson(`${folder}/videos.json`)) as readonly VideoCase[];
    const expected = await processorTensors(`${folder}/videos.safetensors.br`);
    for (const own of cases) {
      const frames = await framesOf(own);
      const run = (): ReturnType<typeof processor.run> => {
        const wanted = processor.sample({ frames: own.frames, ...(own.fps === undefined ? {} : { fps: own.fps }) });
        return processor.run([wanted.map((at) => frames[at])]);
      };
      if (own.refused !== undefined) {
        assert.throws(run, hasCode("video.too_short", /^A video of 1 frame is too short: .* Give more frames\.$/));
        continue;
      }
      assertTensors(run(), expected, `${own.name}.`, 2 ** -10);
    }
  });
}

type Sampling = readonly [
  kind: "qwen2" | "qwen3",
  total: number,
  fps: number | null,
  wanted: { readonly fps?: number; readonly num_frames?: number },
  indices: readonly number[] | null,
];

test("frames are sampled by time and by number as the reference samples them", async () => {
  const cases = (await readJson("qwen3_vl-video/sampling.json")) as readonly Sampling[];
  let refused = 0;
  for (const [kind, frames, fps, wanted, indices] of cases) {
    const config = parseQwenVideoProcessor({ do_sample_frames: true, ...wanted }, `${kind}_vl`);
    const sample = (): readonly number[] => sampleFrames({ frames, ...(fps === null ? {} : { fps }) }, config);
    if (indices === null) {
      assert.throws(sample, hasCode("video.too_short", /is too short: this processor samples \d+, in whole patches/));
      refused++;
    } else {
      assert.deepEqual(sample(), indices, JSON.stringify([kind, frames, fps, wanted]));
    }
  }
  assert.ok(cases.length > 300 && refused > 10 && refused < 100, `${refused} of ${cases.length}`);
});

test("without timing, and where the class does not sample, every frame is taken", () => {
  const all = [0, 1, 2, 3, 4, 5, 6, 7];
  for (const family of ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"]) {
    assert.deepEqual(sampleFrames({ frames: 8 }, parseQwenVideoProcessor({ do_sample_frames: true }, family)), all);
    const none = parseQwenVideoProcessor({ do_sample_frames: false, fps: 1 }, family);
    assert.deepEqual(sampleFrames({ frames: 8, fps: 4 }, none), all);
  }
  assert.deepEqual(sampleFrames({ frames: 8, fps: 1 }, parseQwenVideoProcessor({}, "qwen2_vl")), all);
  assert.deepEqual(sampleFrames({ frames: 8, fps: 4 }, parseQwenVideoProcessor({}, "qwen3_vl")), [0, 2, 5, 7]);
});

type VolumeCase = readonly [
  frames: number,
  height: number,
  width: number,
  factor: number,
  minPixels: number,
  maxPixels: number,
  size: readonly [number, number] | null,
];

test("300 sizes of frames under a bound of all pixels are the reference's", async () => {
  const cases = (await readJson("qwen3_vl-video/sizes.json")) as readonly VolumeCase[];
  assert.equal(cases.length, 300);
  for (const [frames, height, width, factor, shortest_edge, longest_edge, size] of cases) {
    const json = { patch_size: factor / 2, size: { shortest_edge, longest_edge } };
    const config = parseQwenVideoProcessor(json, "qwen3_vl");
    const found = (): readonly number[] => {
      const { height: h, width: w } = videoSize(frames, { height, width }, config);
      return [h, w];
    };
    if (size === null) assert.throws(found, hasCode("image.shape", /more than 200 times/));
    else assert.deepEqual(found(), size, `${frames}x${height}x${width}`);
  }
});

const PLAIN = { do_resize: false, do_rescale: false, do_normalize: false, patch_size: 3, merge_size: 2 };

test("every sample of a video stands where the reference's transpose puts it, the last frame repeated", () => {
  const [height, width, P, m, T, count] = [12, 18, 3, 2, 2, 3];
  const frames = [1, 2, 3].map((seed) => noise(seed, width, height));
  const config = parseQwenVideoProcessor(PLAIN, "qwen2_vl");
  const { pixel_values_videos, video_grid_thw } = qwenVideoValues([frames], config);
  assert.deepEqual([...video_grid_thw.data], [2, 4, 6]);
  const sizes = [2, height / P / m, width / P / m, m, m, 3, T, P, P];
  assert.equal(
    pixel_values_videos.data.length,
    sizes.reduce((a, b) => a * b, 1),
  );
  pixel_values_videos.data.forEach((v, i) => {
    const at: number[] = [];
    for (let axis = sizes.length - 1, left = i; axis >= 0; axis--) {
      at[axis] = left % sizes[axis];
      left = Math.floor(left / sizes[axis]);
    }
    const [group, top, left, row, column, channel, t, y, x] = at;
    const pixel = ((top * m + row) * P + y) * width + (left * m + column) * P + x;
    assert.equal(v, frames[Math.min(group * T + t, count - 1)].data[pixel * 3 + channel]);
  });
});

test("several videos are their patches one below the other", () => {
  const config = parseQwenVideoProcessor({ ...PLAIN, do_normalize: true }, "qwen3_vl");
  const videos = [
    [noise(1, 6, 12), noise(2, 6, 12)],
    [noise(3, 12, 6), noise(4, 12, 6), noise(5, 12, 6)],
  ];
  const both = qwenVideoValues(videos, config);
  const alone = videos.map((v) => qwenVideoValues([v], config));
  assert.deepEqual([...both.video_grid_thw.data], [1, 4, 2, 2, 2, 4]);
  assert.deepEqual(
    [...both.pixel_values_videos.data],
    alone.flatMap((a) => [...a.pixel_values_videos.data]),
  );
});

test("video processors: defaults of both classes, and which class a folder means", () => {
  const shown = ({ kind, minPixels, maxPixels, patchSize, samples, fps, maxVideoTokens }: QwenVideoConfig): unknown => [
    kind,
    minPixels,
    maxPixels,
    patchSize,
    samples,
    fps,
    maxVideoTokens,
  ];
  const two = ["Qwen2VLVideoProcessor", 100352, 602112, 14, false, undefined, 128000];
  const three = ["Qwen3VLVideoProcessor", 131072, 786432, 16, true, 2, 768];
  assert.deepEqual(shown(parseQwenVideoProcessor({}, "qwen2_vl")), two);
  assert.deepEqual(shown(parseQwenVideoProcessor({}, "qwen2_5_vl")), two);
  assert.deepEqual(shown(parseQwenVideoProcessor({}, "qwen3_vl")), three);
  const named = parseQwenVideoProcessor({ video_processor_type: "Qwen3VLVideoProcessor" }, "qwen2_vl");
  assert.deepEqual(shown(named), three);
  // Of images, in a folder without a configuration for videos.
  const old = parseQwenVideoProcessor({ min_pixels: 3136, max_pixels: 12845056 }, "qwen2_vl");
  assert.deepEqual([old.minPixels, old.maxPixels], [3136, 12845056]);
  assert.deepEqual([mostFramePixels(old), mostFramePixels(named)], [12845056, 393216]);
  // The newer class knows `size` alone.
  const unread = parseQwenVideoProcessor({ min_pixels: 3136, max_pixels: 12845056 }, "qwen3_vl");
  assert.deepEqual([unread.minPixels, unread.maxPixels], [131072, 786432]);
  // Frames of a video and of a second exclude each other where they are sampled.
  const every = parseQwenVideoProcessor({ do_sample_frames: false, fps: 2, num_frames: 3 }, "qwen3_vl");
  assert.deepEqual(sampleFrames({ frames: 4, fps: 8 }, every), [0, 1, 2, 3]);
});

test("video processors: older and newer bounds complete each other, and what `size` holds beside is passed over", () => {
  const bounds = (json: Json): readonly number[] => {
    const { minPixels, maxPixels } = parseQwenVideoProcessor(json, "qwen2_vl");
    return [minPixels, maxPixels];
  };
  const older = { min_pixels: 3136, max_pixels: 12544 };
  assert.deepEqual(bounds({ ...older, size: older }), [3136, 12544]);
  assert.deepEqual(bounds({ min_pixels: 3136, size: { longest_edge: 9000 } }), [3136, 9000]);
  assert.deepEqual(bounds({ max_pixels: 9000, size: { shortest_edge: 3136 } }), [3136, 9000]);
  assert.throws(() => bounds({ size: older }), hasCode("invalid_config", /`size.shortest_edge` is absent/));
});

test("where rounding gives one frame too many, those that are there are taken", () => {
  // 34 / (34 / 28) is a little more than 28, and the reference fails at frame 34.
  const json = { do_sample_frames: true, fps: 6.86, temporal_patch_size: 4 };
  const found = sampleFrames({ frames: 34, fps: 7.5 }, parseQwenVideoProcessor(json, "qwen2_vl"));
  assert.deepEqual([found.length, found[0], found[27]], [28, 0, 32]);
});

test("no frame is larger than what its processor says of the largest", () => {
  const next = hashStream(20261201);
  let drawn = 0;
  const below = (most: number): number => next(drawn++) % most;
  const upTo = (most: number): number => 1 + below(most);
  let [bounded, beyond] = [0, 0];
  for (let i = 0; i < 4000; i++) {
    const unit = upTo(4);
    const shortest_edge = upTo(1 << below(16));
    const longest_edge = shortest_edge + below(3) * upTo(1 << 14);
    const json = {
      patch_size: upTo(16),
      merge_size: upTo(3),
      temporal_patch_size: unit,
      size: { shortest_edge, longest_edge },
      cap_pixels_per_frame: i % 2 === 0,
      max_video_tokens: upTo(50),
    };
    const config = parseQwenVideoProcessor(json, i % 3 === 0 ? "qwen2_vl" : "qwen3_vl");
    const sides = { width: upTo(1 << below(11)), height: upTo(1 << below(11)) };
    if (Math.max(sides.width, sides.height) > 200 * Math.min(sides.width, sides.height)) continue;
    const { width, height } = videoSize(unit + below(20), sides, config);
    assert.ok(width * height <= mostFramePixels(config), JSON.stringify([json, sides, width, height]));
    bounded++;
    if (width * height > longest_edge) beyond++;
  }
  assert.ok(bounded > 3000 && beyond > 100, `${beyond} of ${bounded}`);
});

test("video processors: what they cannot take is refused by a sentence", () => {
  const wrong = (fields: Json, pattern: RegExp): void =>
    assert.throws(
      () => parseQwenVideoProcessor(fields, "qwen3_vl"),
      (e: FoveaError) => e.code === "invalid_config" && pattern.test(e.message),
    );
  wrong({ fps: 2, num_frames: 4 }, /video_preprocessor_config.json: the field `num_frames` holds 4; .* where `fps` is/);
  wrong({ fps: 0 }, /`fps` holds 0/);
  wrong({ num_frames: 0 }, /`num_frames` holds 0/);
  wrong({ do_sample_frames: 1 }, /`do_sample_frames` holds 1; expected true or false/);
  wrong({ video_processor_type: "LlavaVideoProcessor" }, /`video_processor_type` holds "LlavaVideoProcessor"/);
  wrong({ size: { shortest_edge: 9 } }, /`size.longest_edge` is absent/);
  const config = parseQwenVideoProcessor(PLAIN, "qwen3_vl");
  const run = (videos: Parameters<typeof qwenVideoValues>[0], own = config): unknown => qwenVideoValues(videos, own);
  assert.throws(() => run([]), hasCode("video.empty", /at least one video of one frame/));
  assert.throws(() => run([[]]), hasCode("video.empty", /No frame was given/));
  assert.throws(() => run([[noise(1, 7, 6)]]), hasCode("image.shape", /frames of a video have 7x6 pixels; .* of 6/));
  const resizing = parseQwenVideoProcessor({}, "qwen3_vl");
  assert.throws(
    () => run([[noise(1, 64, 64)]], resizing),
    hasCode("video.too_short", /1 frame is too short: .* at least 2/),
  );
});
