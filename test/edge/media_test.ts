import assert from "node:assert/strict";
import { test } from "node:test";
import { format as png } from "../../runtime/edge/formats/png.ts";
import { format as wav } from "../../runtime/edge/formats/wav.ts";
import { frozenMedia } from "../../runtime/edge/media.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { decodeImage } from "../../runtime/media/decode.ts";
import { repositoryPath } from "../kit/run_cli.ts";

const noCodec = async (): Promise<never> => assert.fail("a codec was asked for");
const read = async (path: string): Promise<Uint8Array> => (await detectHost()).readFile(repositoryPath(path));

test("pictures are those of every other runtime, in the formats that a folder has", async () => {
  const media = frozenMedia({ png }, 1 << 20, noCodec);
  const bytes = await read("examples/models/digits-clip/images/006-1.png");
  assert.deepEqual(await media.image(bytes), await decodeImage(bytes));
  assert.deepEqual(await media.image(new Blob([Uint8Array.from(bytes)])), await decodeImage(bytes));
  const pixels = { width: 1, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3) } as const;
  assert.deepEqual(await media.image(pixels), pixels);
  await assert.rejects(
    media.image(await read("test/fixtures/preprocess/decode/baseline.jpg"), { name: "The picture" }),
    {
      code: "no_format",
      message:
        /The picture is a file of the format jpeg, and this folder was frozen with png\. Freeze it again with --formats jpeg/,
    },
  );
});

test("pictures beyond what the place's memory holds are refused before they are decoded", async () => {
  const media = frozenMedia({ png }, 16, noCodec);
  const bytes = await read("examples/models/digits-clip/images/006-1.png");
  await assert.rejects(media.image(bytes), { code: "image.too_large" });
});

test("recordings are samples, or WAV files where a folder has them", async () => {
  const clip = { sampleRate: 16000, channels: [new Float32Array(4)] };
  assert.equal(await frozenMedia({}, 1, noCodec).audio(clip), clip);
  const bytes = Uint8Array.from([..."RIFF\0\0\0\0WAVE"].map((c) => c.charCodeAt(0)));
  await assert.rejects(frozenMedia({}, 1, noCodec).audio(bytes), { code: "no_format" });
  await assert.rejects(frozenMedia({ wav }, 1, noCodec).audio(bytes), { code: "audio.truncated" });
  const flac = await read("test/fixtures/audio/stereo_16.flac");
  await assert.rejects(frozenMedia({ wav }, 1, noCodec).audio(flac, { name: "The recording" }), {
    code: "no_format",
    message:
      "The recording is a file of the format flac, and frozen folders read WAV alone; convert it, or give samples.",
  });
});

test("what a folder cannot take is refused with what it takes", async () => {
  const media = frozenMedia({ png }, 1 << 20, noCodec);
  await assert.rejects(media.image("cat.png", { name: "The picture" }), {
    code: "invalid_input",
    message: 'The picture must be bytes, a blob, or pixels { width, height, channels: 3, data }; found "cat.png".',
  });
  await assert.rejects(media.audio(new URL("https://example.org/a.wav"), { name: "The recording" }), {
    code: "invalid_input",
    message:
      "The recording must be bytes, a blob, or samples { sampleRate, channels: Float32Array[] }; found an object of type URL.",
  });
  const jpeg = await read("test/fixtures/preprocess/decode/baseline.jpg");
  await assert.rejects(media.image(jpeg), { message: /--formats jpeg, or give pixels\.$/ });
  await assert.rejects(media.audio(jpeg), { message: /--formats wav, or give samples\.$/ });
});
