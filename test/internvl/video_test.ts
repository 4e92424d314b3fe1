import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Tensor } from "../../mod.ts";
import {
  internVLVideoProcessor,
  internVLVideoTiles,
  parseInternVLVideoProcessor,
  sampleInternVLFrames,
} from "../../plugins/internvl/video.ts";
import { FLOAT_PIXELS } from "../../runtime/abi/pixels.ts";
import { writePlanes } from "../../runtime/media/pixels.ts";
import { resizeImage } from "../../runtime/media/resize.ts";
import { hasCode } from "../kit/assertions.ts";
import { modelFiles, withModel } from "../kit/tower_device.ts";
import { FIXTURES } from "../kit/tower_fixtures.ts";
import { fixture, noise } from "../media/media_kit.ts";
import { assertTensors, framesOf, processorTensors, type VideoCase } from "../media/processor_kit.ts";

type Results = Readonly<Record<string, Tensor>>;

const readJson = async (path: string): Promise<unknown> => JSON.parse(new TextDecoder().decode(await fixture(path)));

for (const folder of ["internvl-video", "internvl-video-sampled"]) {
  test(`${folder}: sampled frames become the tiles of InternVLVideoProcessor`, async () => {
    const config = parseInternVLVideoProcessor(await readJson(`${folder}/video_preprocessor_config.json`));
    const processor = internVLVideoProcessor(config, FLOAT_PIXELS);
    const expected = await processorTensors(`${folder}/videos.safetensors.br`);
    for (const own of (await readJson(`${folder}/videos.json`)) as readonly VideoCase[]) {
      const frames = await framesOf(own);
      const wanted = processor.sample({ frames: own.frames, ...(own.fps === undefined ? {} : { fps: own.fps }) });
      assertTensors(processor.run([wanted.map((at) => frames[at])]), expected, `${own.name}.`, 2 ** -10);
    }
  });
}

type Sampling = readonly [total: number, fps: number | null, wanted: object, indices: readonly number[] | null];

test("InternVL's frames are sampled by time, by number and from where the reference begins", async () => {
  const cases = (await readJson("internvl-video/sampling.json")) as readonly Sampling[];
  let refused = 0;
  for (const [frames, fps, wanted, indices] of cases) {
    const config = parseInternVLVideoProcessor({ do_sample_frames: true, ...wanted });
    const sample = (): readonly number[] => sampleInternVLFrames({ frames, ...(fps === null ? {} : { fps }) }, config);
    if (indices === null || indices.length === 0) {
      assert.throws(sample, hasCode("video.too_short", /too short: this processor samples \d+ frames?.*\. Give more/));
      refused++;
    } else {
      assert.deepEqual(sample(), indices, JSON.stringify([frames, fps, wanted]));
    }
  }
  assert.ok(cases.length > 200 && refused > 20 && refused < 150, `${refused} of ${cases.length}`);
});

test("InternVL takes every frame where its processor does not sample, or by time and nobody says how fast", () => {
  const all = [0, 1, 2, 3, 4];
  const sample = (json: object, fps?: number): readonly number[] =>
    sampleInternVLFrames({ frames: 5, ...(fps === undefined ? {} : { fps }) }, parseInternVLVideoProcessor(json));
  assert.deepEqual(sample({}, 5), all);
  assert.deepEqual(sample({ fps: 1, num_frames: 2 }, 5), all);
  assert.deepEqual(sample({ do_sample_frames: true }, 5), all);
  assert.deepEqual(sample({ do_sample_frames: true, fps: 1 }), all);
  assert.deepEqual(sample({ do_sample_frames: true, fps: 1 }, 5), [2]);
  // A number of frames wins.
  assert.deepEqual(sample({ do_sample_frames: true, fps: 1, num_frames: 2 }, 5), [1, 3]);
});

test("each frame is one tile, resized alone; bytes where the tower normalises as the videos' processor does", () => {
  const size = { height: 12, width: 20 };
  const config = parseInternVLVideoProcessor({ size, crop_to_patches: true });
  const videos = [[noise(1, 31, 9), noise(2, 31, 9), noise(3, 31, 9)], [noise(4, 8, 50)]];
  const forms = { processor: "u8", steps: config.frames.steps } as const;
  const { pixel_values, num_patches } = internVLVideoTiles(videos, config, forms);
  const expected = new Uint8Array(4 * 3 * 12 * 20);
  for (const [i, frame] of videos.flat().entries()) {
    writePlanes(resizeImage(frame, 20, 12, { filter: "bicubic" }), expected, i * 720);
  }
  assert.deepEqual([pixel_values.shape, pixel_values.data], [[4, 3, 12, 20], expected]);
  assert.deepEqual([num_patches.shape, [...num_patches.data]], [[2], [3, 1]]);
  const other = internVLVideoTiles(videos, config, { processor: "u8", steps: { rescaleFactor: 1 } }).pixel_values;
  assert.deepEqual([other.dtype, other.data], ["f32", config.frames.values(videos.flat()).pixel_values.data]);
});

test("a model of InternVL takes videos: the rows of its frames are those of pictures of one tile", async () => {
  const files = modelFiles(join(FIXTURES, "internvl-projector"));
  const { vision_config } = JSON.parse(new TextDecoder().decode(files.get("config.json")));
  const [side] = [vision_config.image_size].flat() as number[];
  const write = (name: string, json: object): unknown =>
    files.set(name, new TextEncoder().encode(JSON.stringify({ size: { height: side, width: side }, ...json })));
  write("preprocessor_config.json", { image_processor_type: "GotOcr2ImageProcessor", crop_to_patches: false });
  write("video_preprocessor_config.json", { do_sample_frames: true, num_frames: 2 });
  await withModel(files, async (encoder) => {
    const frames = [1, 2, 3, 4].map((seed) => noise(seed, 40, 21));
    const found = (await encoder.encode({ videos: [frames, { frames: frames.slice(1), fps: 2 }] })) as Results;
    assert.deepEqual([...found.num_patches.data], [2, 2]);
    const images = [frames[1], frames[3], frames[1], frames[3]];
    const wanted = (await encoder.encode({ images })) as Results;
    assert.deepEqual(found.projected.shape[0], 4);
    assert.deepEqual(found.projected.data, wanted.projected.data);
    await assert.rejects(
      async () => encoder.encode({ videos: [[frames[0]]] }),
      hasCode(
        "video.too_short",
        /^The video at position 0 of `videos` cannot be prepared: A video of 1 frame is too short: this processor samples 2 f/,
      ),
    );
  });
});

test("InternVL's video processor: what it cannot take is refused by a sentence", () => {
  const refuses = (json: unknown, message: RegExp): void =>
    assert.throws(() => parseInternVLVideoProcessor(json), hasCode("invalid_config", message));
  refuses(
    { initial_shift: "yes" },
    /video_preprocessor_config.json: the field `initial_shift` holds "yes"; expected true/,
  );
  refuses({ initial_shift: -1 }, /`initial_shift` holds -1/);
  refuses({ video_processor_type: "Qwen2VLVideoProcessor" }, /`video_processor_type` holds "Qwen2VLVideoProcessor"/);
  refuses({ num_frames: 0 }, /`num_frames` holds 0/);
  refuses({ fps: 0 }, /`fps` holds 0/);
  const config = parseInternVLVideoProcessor({});
  assert.throws(() => internVLVideoTiles([], config, FLOAT_PIXELS), hasCode("video.empty", /one video of one frame/));
  assert.throws(() => internVLVideoTiles([[]], config, FLOAT_PIXELS), hasCode("video.empty", /No frame/));
});
