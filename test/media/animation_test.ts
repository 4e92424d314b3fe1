import assert from "node:assert/strict";
import { test } from "node:test";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { type Animation, frameRate, openAnimation } from "../../runtime/media/animation.ts";
import { decodeLzw } from "../../runtime/media/gif_lzw.ts";
import { hasCode } from "../kit/assertions.ts";
import { decode, fixture, fnv, loadCodec, refuses } from "./media_kit.ts";

/** What Pillow composes; digests are FNV-1a of RGB pixels. */
interface Expected {
  /** Base64. */
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly frames: readonly number[];
  readonly times: readonly number[];
}

const json = new TextDecoder().decode(await fixture("decode/animations.json"));
const expected = JSON.parse(json) as Readonly<Record<string, Expected>>;

const bytesOf = (name: string): Uint8Array => Uint8Array.from(atob(expected[name].file), (c) => c.charCodeAt(0));

const open = (bytes: Uint8Array, name = "clip", maxPixels = 1 << 26): Promise<Animation> =>
  openAnimation(bytes, { name, maxPixels, loadCodec });

for (const [name, want] of Object.entries(expected)) {
  test(`${name} has the frames that Pillow composes`, async () => {
    const animation = await open(bytesOf(name));
    assert.deepEqual([animation.width, animation.height], [want.width, want.height]);
    assert.deepEqual(animation.delays, want.times);
    const frames = await animation.decode(want.frames.map((_, i) => i));
    assert.deepEqual(
      frames.map(({ data }) => fnv(data)),
      want.frames,
    );
    // As a picture: the first frame.
    assert.equal(fnv((await decode(bytesOf(name))).data), want.frames[0]);
  });
}

test("some frames of an animation are those of all, repeated where they are wanted twice", async () => {
  for (const name of ["pillow-3.gif", "mask-lossless.webp"]) {
    const { decode: some } = await open(bytesOf(name));
    const digests = (await some([1, 1, 3])).map(({ data }) => fnv(data));
    assert.deepEqual(
      digests,
      [1, 1, 3].map((i) => expected[name].frames[i]),
      name,
    );
  }
});

test("frames per second are an average in which too short times count as 100 ms", async () => {
  assert.equal(frameRate(await open(bytesOf("pillow-0.gif"))), 4000 / (20 + 50 + 100 + 130));
  assert.equal(frameRate(await open(bytesOf("full-lossy.webp"))), 4000 / (30 + 100 + 70 + 200));
});

test("a still picture as a video: a GIF or WebP has one frame, others are refused", async () => {
  const webp = await open(await fixture("decode/lossless.webp"));
  const [frame] = await webp.decode([0]);
  assert.deepEqual(frame, await decode(await fixture("decode/lossless.webp")));
  for (const [file, kind] of [
    ["gray.png", "PNG"],
    ["decode/baseline.jpg", "JPEG"],
  ]) {
    await assert.rejects(
      open(await fixture(file), "cat"),
      hasCode("video.still", new RegExp(`^cat is a ${kind} picture and no video; expected a folder of frames`)),
    );
  }
});

/** A GIF of `count` frames of nothing but their descriptions. */
function emptyGif(width: number, height: number, count: number): Uint8Array {
  const word = (n: number): readonly number[] => [n & 255, n >> 8];
  const header = [..."GIF89a"].map((c) => c.charCodeAt(0));
  const frame = [0x2c, 0, 0, 0, 0, ...word(width), ...word(height), 0, 2, 0];
  const frames = Array.from({ length: count }, () => frame).flat();
  return Uint8Array.of(...header, ...word(width), ...word(height), 0, 0, 0, ...frames, 0x3b);
}

test("bombs are refused by what their headers promise", async () => {
  await refuses(emptyGif(65535, 65535, 1), "image.too_large", /declares 65535x65535 = 4294836225 pixels/);
  await assert.rejects(
    open(emptyGif(4000, 4000, 100), "clip.gif"),
    hasCode("video.too_large", /^clip\.gif has 100 frames of 4000x4000, 1600000000 pixels in all, above .* 268435456;/),
  );
  const file = bytesOf("mask-lossless.webp");
  await assert.rejects(
    open(file, "clip", 100),
    hasCode("image.too_large", /14x11 = 154 pixels, above the limit of 100/),
  );
});

test("a frame whose data end too early is damaged, with the numbers", async () => {
  const { decode: frames } = await open(emptyGif(3, 2, 2), "clip.gif");
  await assert.rejects(
    frames([0]),
    hasCode("image.damaged", /^clip\.gif is a damaged GIF file: frame 0 holds 0 of its 3x2 = 6 pixels\.$/),
  );
  await refuses(emptyGif(3, 2, 0), "image.damaged", /damaged GIF file: it holds no image/);
});

test("animations cut anywhere are refused as truncated", async () => {
  for (const [name, format] of [
    ["random-3.gif", "GIF"],
    ["full-lossy.webp", "WebP"],
  ]) {
    const file = bytesOf(name);
    for (let length = 8; length < file.length; length += 11) {
      const cut = file.subarray(0, length);
      const says = new RegExp(`^cut is a truncated ${format} file: .*Copy or download it again`);
      await assert.rejects(open(cut, "cut"), hasCode("image.truncated", says));
      await refuses(cut, "image.truncated", new RegExp(`truncated ${format} file`));
    }
  }
});

test("600 damaged copies of animations are frames or a FoveaError", async () => {
  let whole = 0;
  const names = ["random-1.gif", "pillow-2.gif", "mask-lossy.webp", "full-lossless.webp"];
  for (const [k, name] of names.entries()) {
    for (let i = 0; i < 150; i++) {
      const bad = bytesOf(name).slice();
      for (let n = 0; n <= hash32(k, i) % 4; n++) bad[hash32(i, n) % bad.length] = hash32(i, 50 + n);
      try {
        const animation = await open(bad, name, 1 << 20);
        const frames = await animation.decode(animation.delays.map((_, at) => at));
        for (const { width, height, data } of frames) assert.equal(data.length, width * height * 3);
        whole++;
      } catch (error) {
        assert.ok(error instanceof FoveaError, String(error));
        assert.match(error.code, /^(image|video)\./);
      }
    }
  }
  assert.ok(whole > 0 && whole < 600);
});

test("LZW: codes of the code about to be made, and codes that grow by a bit", () => {
  // Clear, 0, 6 (00), 7 (000), end; the fourth code makes the table outgrow 3 bits.
  const codes = [4, 0, 6, 7, 5];
  const sizes = [3, 3, 3, 4, 4];
  let held = 0;
  let at = 0;
  codes.forEach((code, i) => {
    held |= code << at;
    at += sizes[i];
  });
  const data = Uint8Array.of(held & 255, (held >> 8) & 255, (held >> 16) & 255);
  const out = new Uint8Array(8).fill(9);
  assert.equal(decodeLzw(data, 2, out), 6);
  assert.deepEqual([...out], [0, 0, 0, 0, 0, 0, 9, 9]);
});

test("a GIF needs no trailer behind its last frame, and empty blocks between others are passed over", async () => {
  const file = bytesOf("random-1.gif");
  const all = async (bytes: Uint8Array): Promise<unknown> => {
    const { delays, decode: frames } = await open(bytes, "clip.gif");
    return [delays, await frames(delays.map((_, i) => i))];
  };
  assert.equal(file.at(-1), 0x3b);
  const wanted = await all(file);
  const bare = file.subarray(0, -1);
  assert.deepEqual(await all(bare), wanted);
  assert.deepEqual(await all(Uint8Array.from([...bare, 0, 0, 0x3b])), wanted);
  // Of a frame that was announced there is nothing.
  const control = [0x21, 0xf9, 4, 0, 0, 0, 0, 0];
  await assert.rejects(open(Uint8Array.from([...bare, ...control, 0]), "clip.gif"), hasCode("image.truncated", /GIF/));
});
