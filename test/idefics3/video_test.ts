import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Tensor } from "../../mod.ts";
import { idefics3Plugin } from "../../plugins/idefics3/plugin.ts";
import {
  parseSmolVLMVideoProcessor,
  sampleSmolVLMFrames,
  smolVLMVideoProcessor,
  smolVLMVideoTiles,
} from "../../plugins/idefics3/video.ts";
import { FLOAT_PIXELS } from "../../runtime/abi/pixels.ts";
import { hasCode } from "../kit/assertions.ts";
import { modelFiles, withModel } from "../kit/tower_device.ts";
import { FIXTURES, openModelOf } from "../kit/tower_fixtures.ts";
import { fixture, noise } from "../media/media_kit.ts";
import { assertTensors, framesOf, processorConfig, processorTensors, type VideoCase } from "../media/processor_kit.ts";

const readJson = async (path: string): Promise<unknown> => JSON.parse(new TextDecoder().decode(await fixture(path)));

test("smolvlm: sampled frames become the tiles of SmolVLMVideoProcessor", async () => {
  const processor = smolVLMVideoProcessor(
    parseSmolVLMVideoProcessor(await processorConfig("smolvlm-video")),
    FLOAT_PIXELS,
  );
  const expected = await processorTensors("smolvlm-video/videos.safetensors.br");
  for (const own of (await readJson("smolvlm-video/videos.json")) as readonly VideoCase[]) {
    const frames = await framesOf(own);
    const wanted = processor.sample({ frames: own.frames, fps: own.fps });
    assertTensors(processor.run([wanted.map((at) => frames[at])]), expected, `${own.name}.`, 2 ** -11);
  }
});

type Sampling = readonly [frames: number, fps: number, rate: number, most: number, indices: readonly number[]];

test("smolvlm: frames are sampled as the reference does", async () => {
  const cases = (await readJson("smolvlm-video/sampling.json")) as readonly Sampling[];
  assert.equal(cases.length, 180);
  for (const [frames, fps, rate, most, indices] of cases) {
    const found = sampleSmolVLMFrames({ frames, fps }, { sampling: { fps: rate, numFrames: most } });
    assert.deepEqual(found, indices, JSON.stringify([frames, fps, rate, most]));
  }
});

test("smolvlm: every frame where its processor does not sample, or nobody says how fast", () => {
  const sample = (json: object, fps?: number): readonly number[] =>
    sampleSmolVLMFrames({ frames: 4, ...(fps === undefined ? {} : { fps }) }, parseSmolVLMVideoProcessor(json));
  const sampling = { do_sample_frames: true, fps: 1, num_frames: 2 };
  assert.deepEqual(sample({ fps: 1, num_frames: 2 }, 1), [0, 1, 2, 3]);
  assert.deepEqual(sample(sampling), [0, 1, 2, 3]);
  assert.deepEqual(sample(sampling, 1), [0, 3]);
});

test("smolvlm's video processor: sizes of frames, and wrong fields by their names", () => {
  const sizeOf = (json: object): unknown => parseSmolVLMVideoProcessor(json).frames.size;
  assert.deepEqual(
    [
      sizeOf({}),
      sizeOf({ video_sampling: { video_size: { longest_edge: 99 } } }),
      sizeOf({ size: { longest_edge: 5000 } }),
    ],
    [1456, 99, 4096],
  );
  assert.deepEqual(sizeOf({ size: { height: 20, width: 30 } }), { height: 20, width: 30 });
  const refuses = (json: object, message: RegExp): void =>
    assert.throws(() => parseSmolVLMVideoProcessor(json), { code: "invalid_config", message });
  refuses({ do_resize: false }, /`do_resize` holds false; expected true; frames become tiles of one size/);
  refuses({ do_sample_frames: true, fps: 1 }, /`num_frames` is absent/);
  refuses({ do_sample_frames: true, video_sampling: { fps: 1 } }, /`video_sampling.max_frames` is absent/);
  const config = parseSmolVLMVideoProcessor({});
  assert.throws(() => smolVLMVideoTiles([[]], config, FLOAT_PIXELS), hasCode("video.empty", /No frame/));
});

test("idefics3: only SmolVLM has a video processor", () => {
  const kinds = (model_type: string): readonly string[] =>
    Object.keys(openModelOf(idefics3Plugin, { model_type }).processors({ "preprocessor_config.json": {} })).sort();
  assert.deepEqual(kinds("idefics3"), ["images"]);
  assert.deepEqual(kinds("smolvlm"), ["images", "videos"]);
});

test("smolvlm: videos through a model, in bytes where its pictures are normalised alike", async () => {
  const files = modelFiles(join(FIXTURES, "smolvlm"));
  const sampling = { do_sample_frames: true, video_sampling: { fps: 1, max_frames: 3 } };
  const processor = { size: { longest_edge: 96 }, max_image_size: { longest_edge: 48 }, ...sampling };
  files.set("preprocessor_config.json", new TextEncoder().encode(JSON.stringify(processor)));
  const { frames: config } = parseSmolVLMVideoProcessor(processor);
  await withModel(files, async (encoder) => {
    const videos = [8, 2].map((count) => ({
      frames: Array.from({ length: count }, (_, i) => noise(i, 60, 40)),
      fps: 2,
    }));
    const found = (await encoder.encode({ videos })) as Readonly<Record<string, Tensor>>;
    assert.deepEqual([...found.num_frames.data], [3, 1]);
    assert.deepEqual(found.projected.shape, [4, 4, 24]);
    assert.equal(found.rows, undefined);
    const taken = [[0, 3, 7].map((i) => videos[0].frames[i]), [videos[1].frames[0]]];
    const { pixel_values } = smolVLMVideoTiles(taken, { frames: config }, FLOAT_PIXELS);
    const wanted = (await encoder.encode({ pixel_values })) as Readonly<Record<string, Tensor>>;
    assert.ok(wanted.projected.data.every((v, i) => Math.abs(v - found.projected.data[i]) < 1e-4));
  });
});
