/** Videos, tiles and recordings on the command line, with small models written for the test. */
import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { repositoryPath, runCli } from "../kit/run_cli.ts";
import { fixture, noise } from "../media/media_kit.ts";
import { writePng } from "../media/png_writer.ts";
import { filesOf, smallConfig } from "../qwen_vl/model_kit.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");

/** A folder with a model, `frames/` of three pictures, `one/` of one, and `clip.gif` of four frames. */
async function withModel(family: "qwen2_5_vl" | "qwen3_vl", work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "fovea-videos-"));
  try {
    const config = smallConfig(family, { in_channels: 3, temporal_patch_size: 2 });
    const files = filesOf(
      config,
      { patch_size: 2, min_pixels: 16, max_pixels: 256 },
      { patch_size: 2, size: { shortest_edge: 64, longest_edge: 1024 } },
    );
    for (const [name, bytes] of files) await writeFile(join(folder, name), bytes);
    for (const [name, count] of [
      ["frames", 3],
      ["one", 1],
    ] as const) {
      await mkdir(join(folder, name));
      for (let i = 0; i < count; i++) {
        const { data } = noise(i, 12, 8);
        const shape = { width: 12, height: 8, colorType: 2, depth: 8 };
        const bytes = writePng(shape, (x, y, c) => data[(y * 12 + x) * 3 + c]);
        await writeFile(join(folder, name, `${i}.png`), bytes);
      }
    }
    const animations = JSON.parse(new TextDecoder().decode(await fixture("decode/animations.json")));
    const gif = Uint8Array.from(atob(animations["pillow-1.gif"].file), (c) => c.charCodeAt(0));
    await writeFile(join(folder, "clip.gif"), gif);
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("embed takes videos as folders and animated files, beside pictures", () =>
  withModel("qwen2_5_vl", async (folder) => {
    const [clip, frames] = [join(folder, "clip.gif"), join(folder, "frames")];
    const args = ["embed", folder, clip, "--threads", "0", "--video", frames, clip];
    const { code, stdout, stderr } = await runCli([...args, "--json"]);
    assert.equal(code, 0, stderr);
    const found = JSON.parse(stdout);
    assert.deepEqual(found.videos, [frames, clip]);
    assert.deepEqual(found.files, [clip]);
    // Three frames fill two temporal patches; a GIF is a picture of one, and a video of four frames.
    assert.deepEqual(
      found.image_grid_thw.map((g: number[]) => g[0]),
      [1],
    );
    assert.deepEqual(
      found.video_grid_thw.map((g: number[]) => g[0]),
      [2, 2],
    );
    const merged = (grids: number[][]): number => grids.reduce((n, [t, h, w]) => n + (t * h * w) / 4, 0);
    assert.equal(found.pooler_output.length, merged(found.image_grid_thw));
    assert.equal(found.video_pooler_output.length, merged(found.video_grid_thw));
    const table = await runCli(args);
    assert.equal(table.code, 0, table.stderr);
    assert.match(table.stdout, /clip\.gif +image_grid_thw +3 +1 4 4/);
    assert.match(table.stdout, /all 2 inputs +video_pooler_output/);
  }));

test("embed samples the frames of a folder by --fps, and writes one array as npy", () =>
  withModel("qwen3_vl", async (folder) => {
    const frames = join(folder, "frames");
    const run = ["embed", folder, "--threads", "0", "--video", frames];
    const { code, stdout, stderr } = await runCli([...run, "--fps", "24", "--outputs", "video_grid_thw", "--json"]);
    assert.equal(code, 0, stderr);
    assert.equal(JSON.parse(stdout).video_grid_thw[0][0], 2);
    assert.equal(JSON.parse(stdout).pooler_output, undefined);
    const npy = await runCli([...run, "--out", join(folder, "x.npy")]);
    assert.equal(npy.code, 0, npy.stderr);
  }));

test("embed tells of pictures and of videos what their processor tells, each its own", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fovea-tiles-"));
  try {
    await cp(repositoryPath("test/fixtures/smolvlm"), folder, { recursive: true });
    const size = { longest_edge: 96 };
    const processor = { image_processor_type: "SmolVLMImageProcessor", size, max_image_size: { longest_edge: 48 } };
    await writeFile(join(folder, "preprocessor_config.json"), JSON.stringify(processor));
    const frame = join(folder, "frame.png");
    const shape = { width: 40, height: 30, colorType: 2, depth: 8 };
    await writeFile(
      frame,
      writePng(shape, (x, y, c) => (7 * x + 5 * y + c) & 255),
    );
    await mkdir(join(folder, "frames"));
    for (const name of ["0.png", "1.png"]) await cp(frame, join(folder, "frames", name));
    const run = ["embed", folder, "--threads", "0"];
    const picture = await runCli([...run, frame, "--json"]);
    assert.equal(picture.code, 0, picture.stderr);
    const found = JSON.parse(picture.stdout);
    assert.deepEqual([found.rows, found.cols, found.num_frames], [[2], [2], undefined]);
    assert.equal(found.projected.length, 5);
    const video = await runCli([...run, "--video", join(folder, "frames"), "--fps", "2", "--json"]);
    assert.equal(video.code, 0, video.stderr);
    const seen = JSON.parse(video.stdout);
    assert.deepEqual([seen.rows, seen.num_frames], [undefined, [2]]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("recordings of several lengths, which a model does not pad, are encoded and calibrated with each by itself", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fovea-waves-"));
  try {
    const fixtures = repositoryPath("test/fixtures");
    await cp(join(fixtures, "wav2vec2"), folder, { recursive: true });
    await cp(join(fixtures, "preprocess/wav2vec2"), folder, { recursive: true });
    const [long, short] = ["chirp.wav", "chirp-start.wav"].map((name) => join(fixtures, "preprocess", name));
    const shapesOf = async (...files: readonly string[]): Promise<Readonly<Record<string, unknown>>> => {
      const out = join(folder, "x.safetensors");
      const { code, stdout, stderr } = await runCli([
        "embed",
        folder,
        ...files,
        "--threads",
        "0",
        "--json",
        "--out",
        out,
      ]);
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout).outputs;
    };
    const of = { "last_hidden_state.0": [1, 2398, 24], "last_hidden_state.1": [1, 78, 24] };
    assert.deepEqual(await shapesOf(long, short), of);
    assert.deepEqual(await shapesOf(short, short), { last_hidden_state: [2, 78, 24] });
    const calibration = ["tune", "calibration", folder, long, short, "--out", join(folder, "c.safetensors")];
    const { code, stderr } = await runCli([...calibration, "--threads", "0"]);
    assert.equal(code, 0, stderr);
  } finally {
    await rm(folder, { recursive: true });
  }
});

interface BadVideo {
  readonly what: string;
  readonly args: (folder: string) => readonly string[];
  readonly says: RegExp;
}

const BAD: readonly BadVideo[] = [
  {
    what: "a video of one frame where two are needed",
    args: (f) => ["embed", f, "--video", join(f, "one")],
    says: /A video of 1 frame is too short: this processor takes at least 2.* Give more frames/,
  },
  {
    what: "a picture as a video",
    args: (f) => ["embed", f, "--video", join(f, "one", "0.png")],
    says: /0\.png is a PNG picture and no video; expected a folder of frames/,
  },
  {
    what: "a folder as a picture",
    args: (f) => ["embed", f, join(f, "frames")],
    says: /frames is a folder; name the pictures in it, .* or give it as a video/,
  },
  {
    what: "what tells of videos beside pictures alone",
    args: (f) => ["embed", f, join(f, "clip.gif"), "--outputs", "video_grid_thw"],
    says: /There is no output "video_grid_thw"; these inputs give pooler_output, .*, image_grid_thw\./,
  },
  { what: "a speed without a video", args: (f) => ["embed", f, "x.png", "--fps", "2"], says: /there is no --video/ },
  {
    what: "a video for an encoder that takes none",
    args: (f) => ["embed", DIGITS, "--video", join(f, "frames")],
    says: /This clip model takes no `videos`/,
  },
];

test("bad videos are sentences on stderr", () =>
  withModel("qwen3_vl", async (folder) => {
    for (const { what, args, says } of BAD) {
      const { code, stdout, stderr } = await runCli([...args(folder), "--threads", "0"]);
      assert.equal(code, 2, `${what}: ${stderr}`);
      assert.equal(stdout, "", what);
      assert.match(stderr, says, what);
      assert.doesNotMatch(stderr, /^\s+at /m, what);
    }
  }));
