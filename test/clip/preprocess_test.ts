import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { CLIP_PROCESSOR, clipImageProcessor, llavaImageProcessor } from "../../plugins/clip/preprocess.ts";
import type { PixelImage } from "../../runtime/abi/encoder.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { rgbImage } from "../../runtime/media/image.ts";
import { type ImageProcessorConfig, parseImageProcessor } from "../../runtime/media/image_processor.ts";
import { decode, fixture, fnv, noise } from "../media/media_kit.ts";
import { processorTensors } from "../media/processor_kit.ts";

const parseClipProcessor = (json: unknown): ImageProcessorConfig => parseImageProcessor(json, CLIP_PROCESSOR);

const text = async (path: string): Promise<unknown> => JSON.parse(new TextDecoder().decode(await fixture(path)));

const floats = (images: readonly PixelImage[], config: unknown): Float32Array =>
  clipImageProcessor(config).values(images).pixel_values.data as Float32Array;

for (const name of ["astronaut"]) {
  test(`${name} is preprocessed as Hugging Face's CLIPImageProcessor does`, async () => {
    const config = await text("clip/preprocessor_config.json");
    const { pixel_values } = clipImageProcessor(config).values([await decode(await fixture(`${name}.png`))]);
    assert.deepEqual([pixel_values.dtype, pixel_values.shape], ["f32", [1, 3, 224, 224]]);
    const { pixel_values: expected } = await processorTensors(`clip/${name}.safetensors.br`);
    assert.equal(pixel_values.data.length, expected.data.length);
    let worst = 0;
    let sum = 0;
    expected.data.forEach((value, i) => {
      const apart = Math.abs(pixel_values.data[i] - Number(value));
      worst = Math.max(worst, apart);
      sum += apart;
    });
    // Nothing but the rounding to float16 of values up to 2.2 is left: no pixel is a grey level off.
    assert.ok(worst < 2 ** -10, `worst ${worst}`);
    assert.ok(sum / expected.data.length < 0.0003, `mean ${sum / expected.data.length}`);
  });
}

test("the Pillow variant of the processor resizes with Pillow's own arithmetic", async () => {
  const image = await decode(await fixture("astronaut.png"));
  const config = { do_center_crop: false, do_rescale: false, do_normalize: false, size: { height: 100, width: 80 } };
  const pillow = floats([image], { ...config, image_processor_type: "CLIPImageProcessorPil" });
  assert.equal(fnv(Uint8Array.from(pillow)), 0x26431289);
  const torchvision = floats([image], { ...config, image_processor_type: "CLIPImageProcessor" });
  assert.notDeepEqual(torchvision, pillow);
});

test("bilinear has the pixels of Hugging Face's ViTImageProcessor", async () => {
  const image = await decode(await fixture("astronaut.png"));
  const config = { do_center_crop: false, do_rescale: false, do_normalize: false, resample: 2 };
  const values = floats([image], { ...config, size: { height: 224, width: 224 } });
  assert.equal(fnv(Uint8Array.from(values)), 0x37aff9f2);
});

test("the digits: 8x8 greys to 32x32, normalised to -1..1", async () => {
  const folder = new URL("../../examples/models/digits-clip/", import.meta.url);
  const config = JSON.parse(await readFile(new URL("preprocessor_config.json", folder), "utf8"));
  const names = (await readdir(new URL("images/", folder))).sort();
  assert.equal(names.length, 100);
  const images: PixelImage[] = [];
  for (const name of names)
    images.push(await decode(new Uint8Array(await readFile(new URL(`images/${name}`, folder)))));
  assert.deepEqual([images[0].width, images[0].height], [8, 8]);
  const { pixel_values } = clipImageProcessor(config).values(images);
  assert.deepEqual(pixel_values.shape, [100, 3, 32, 32]);
  assert.ok(pixel_values.data.every((v) => v >= -1 && v <= 1));
  // Grey: the three planes of an image are equal.
  assert.deepEqual(pixel_values.data.subarray(0, 1024), pixel_values.data.subarray(2048, 3072));
  // A batch holds what its images give alone.
  const last = floats([images[99]], config);
  assert.deepEqual(pixel_values.data.subarray(99 * 3072), last);
});

test("old and new spellings of sizes mean the same", () => {
  const spelled = (size: unknown, crop_size: unknown): unknown => parseClipProcessor({ size, crop_size });
  assert.deepEqual(spelled(224, 224), spelled({ shortest_edge: 224 }, { height: 224, width: 224 }));
  assert.deepEqual(parseClipProcessor({}), spelled(224, 224));
  assert.deepEqual(parseClipProcessor({ size: null, resample: null, do_resize: null }), spelled(224, 224));
  assert.deepEqual(parseClipProcessor({ image_processor: { size: 99 } }), spelled(99, 224));
  assert.deepEqual(parseClipProcessor({ size: { height: 30, width: 20 } }).size, { height: 30, width: 20 });
});

test("absent fields take CLIPImageProcessor's defaults", () => {
  const parsed = parseClipProcessor({});
  assert.deepEqual(parsed.size, { shortestEdge: 224 });
  assert.equal(parsed.filter, "bicubic");
  assert.deepEqual(parsed.cropSize, { height: 224, width: 224 });
  assert.equal(parsed.values.rescaleFactor, 1 / 255);
  assert.deepEqual(parsed.values.mean, [0.48145466, 0.4578275, 0.40821073]);
  assert.deepEqual(parsed.values.std, [0.26862954, 0.26130258, 0.27577711]);
});

test("resample takes Pillow's six numbers", () => {
  const filters = [0, 1, 2, 3, 4, 5].map((resample) => parseClipProcessor({ resample }).filter);
  assert.deepEqual(filters, ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]);
});

test("each step can be left out", () => {
  const image = noise(1, 40, 30);
  const off = {
    do_resize: false,
    do_center_crop: false,
    do_rescale: false,
    do_normalize: false,
    do_convert_rgb: false,
  };
  const raw = floats([image], off);
  for (let i = 0; i < 1200; i++) assert.equal(raw[1200 + i], image.data[i * 3 + 1]);
  const shape = (config: object): readonly number[] =>
    clipImageProcessor({ ...off, ...config }).values([image]).pixel_values.shape;
  assert.deepEqual(shape({}), [1, 3, 30, 40]);
  assert.deepEqual(shape({ do_resize: true, size: 15 }), [1, 3, 15, 20]);
  assert.deepEqual(shape({ do_resize: true, size: 15, default_to_square: true }), [1, 3, 15, 15]);
  assert.deepEqual(shape({ do_resize: true, size: [15, 8] }), [1, 3, 15, 8]);
  assert.deepEqual(shape({ do_center_crop: true, crop_size: { height: 7, width: 9 } }), [1, 3, 7, 9]);
  assert.deepEqual(shape({ do_center_crop: true, crop_size: [7, 9] }), [1, 3, 7, 9]);
  assert.equal(floats([image], { ...off, do_rescale: true })[0], Math.fround(image.data[0] * Math.fround(1 / 255)));
  const scaled = floats([image], { ...off, do_rescale: true, rescale_factor: 0.5 });
  assert.equal(scaled[0], image.data[0] / 2);
  const normalized = floats([image], { ...off, do_normalize: true, image_mean: [1, 2, 3], image_std: [2, 4, 8] });
  assert.equal(normalized[0], (image.data[0] - 1) / 2);
  assert.equal(normalized[2400], (image.data[2] - 3) / 8);
  const equal = { image_mean: [3, 3, 3], image_std: [4, 4, 4] };
  const single = floats([image], { ...off, do_normalize: true, image_mean: 3, image_std: 4 });
  assert.deepEqual(single, floats([image], { ...off, do_normalize: true, ...equal }));
});

test("a crop larger than the image is padded with black before it is normalised", () => {
  const white = rgbImage(2, 2, new Uint8Array(12).fill(255));
  const config = { do_resize: false, crop_size: 4, image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] };
  const values = floats([white], config);
  assert.deepEqual(Array.from(values.subarray(0, 8)), [-1, -1, -1, -1, -1, 1, 1, -1]);
});

test("images of one pixel, and of one row or column, become a full input", () => {
  for (const [width, height] of [
    [1, 1],
    [20000, 1],
    [1, 20000],
  ]) {
    const { pixel_values } = clipImageProcessor({}).values([noise(2, width, height)]);
    assert.deepEqual(pixel_values.shape, [1, 3, 224, 224]);
    assert.ok(pixel_values.data.every(Number.isFinite));
  }
});

test("fields of a wrong type or value are named", () => {
  const cases: readonly (readonly [object, string, RegExp])[] = [
    [
      { size: "224" },
      "size",
      /holds "224"; expected a number, \[height, width\], \{ shortest_edge \} or \{ height, width \}/,
    ],
    [{ size: true }, "size", /holds true/],
    [{ size: {} }, "size", /holds \{\}/],
    [{ size: 0 }, "size", /holds 0; expected a whole number of pixels from 1 to 8192/],
    [{ size: 1e9 }, "size", /from 1 to 8192/],
    [{ size: { shortest_edge: 22.5 } }, "size.shortest_edge", /holds 22.5/],
    [{ size: { shortest_edge: 224, longest_edge: 300 } }, "size", /longest_edge/],
    [{ size: { height: 224 } }, "size.width", /holds nothing/],
    [{ size: [224] }, "size", /expected a number, \[height, width\], \{ shortest_edge \} or \{ height, width \}/],
    [{ size: [224, "a"] }, "size.width", /holds "a"/],
    [{ crop_size: [224, 224, 3] }, "crop_size", /expected a number, \[height, width\] or \{ height, width \}/],
    [{ crop_size: { height: "a", width: 1 } }, "crop_size.height", /holds "a"/],
    [{ resample: 6 }, "resample", /holds 6; expected 0 \(nearest\), 1 \(lanczos\).*5 \(hamming\)/],
    [{ resample: "bicubic" }, "resample", /holds "bicubic"/],
    [{ do_resize: "yes" }, "do_resize", /expected true or false/],
    [{ do_center_crop: 1 }, "do_center_crop", /expected true or false/],
    [{ do_rescale: [] }, "do_rescale", /expected true or false/],
    [{ do_normalize: "no" }, "do_normalize", /expected true or false/],
    [{ do_convert_rgb: 0 }, "do_convert_rgb", /expected true or false/],
    [{ rescale_factor: "1/255" }, "rescale_factor", /expected a positive number/],
    [{ rescale_factor: 0 }, "rescale_factor", /expected a positive number/],
    [{ image_mean: [0.5, 0.5] }, "image_mean", /expected a number or a list of 3 numbers/],
    [{ image_mean: "0.5" }, "image_mean", /holds "0.5"; expected a number or a list of 3 numbers/],
    [{ image_std: [0.5, 0, 0.5] }, "image_std", /expected a positive number or a list of 3 positive numbers/],
    [{ image_std: 0 }, "image_std", /holds 0; expected a positive number or/],
  ];
  for (const [config, field, message] of cases) {
    assert.throws(
      () => clipImageProcessor(config),
      (error: unknown) => {
        assert.ok(error instanceof FoveaError);
        assert.equal(error.code, "invalid_config");
        assert.ok(error.message.includes(`the field \`${field}\``), error.message);
        assert.match(error.message, message);
        return true;
      },
    );
  }
  for (const config of [undefined, null, 3, "x", []]) {
    assert.throws(() => clipImageProcessor(config), { code: "invalid_config", message: /not a JSON object/ });
  }
});

test("llava's processor: CLIP's, unless pictures were padded to squares", () => {
  const picture = noise(1, 60, 20);
  const config = { size: { shortest_edge: 24 }, crop_size: 24 };
  const expected = clipImageProcessor(config).values([picture]);
  const same = [{}, { do_pad: false }, { do_pad: true, image_processor_type: "CLIPImageProcessor" }];
  for (const fields of same)
    assert.deepEqual(llavaImageProcessor({ ...config, ...fields }).values([picture]), expected);
  for (const type of [undefined, "LlavaImageProcessor", "LlavaImageProcessorFast"]) {
    assert.throws(() => llavaImageProcessor({ do_pad: true, image_processor_type: type }), {
      code: "invalid_config",
      message: /`do_pad` holds true; expected false or nothing, since pictures are not padded to squares here/,
    });
  }
});

test("batches that cannot be one tensor, and sizes beyond reason, are refused", () => {
  const uncropped = clipImageProcessor({ do_center_crop: false }).values;
  assert.throws(() => uncropped([noise(1, 40, 30), noise(2, 30, 40)]), {
    code: "image.shape",
    message: /Image 1 is 224x298 pixels after resizing and image 0 is 298x224; a batch needs one size/,
  });
  assert.throws(() => uncropped([noise(1, 20000, 1)]), {
    code: "image.too_large",
    message: /would be resized to 4480000x224, above the limit of 67108864 pixels/,
  });
  assert.throws(() => uncropped([]), { code: "image.empty_batch" });
});
