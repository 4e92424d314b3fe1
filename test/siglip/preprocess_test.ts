import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { naflexGrid, naflexImageProcessor, parseNaflexProcessor } from "../../plugins/siglip/naflex_processor.ts";
import { gemmaImageProcessor, siglipImageProcessor } from "../../plugins/siglip/preprocess.ts";
import type { PixelImage, Tensors } from "../../runtime/abi/encoder.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { FIXTURES, type Json, readJson } from "../clip/model_kit.ts";
import { decode, fixture, noise } from "../media/media_kit.ts";
import { assertProcessed } from "../media/processor_kit.ts";
import { i32 } from "./model_kit.ts";

const config = (name: string): Json => readJson(join(FIXTURES, "preprocess", name, "preprocessor_config.json"));

// Nothing but the rounding to float16 of values up to 1 is left: no pixel is a grey level off.
const equalsReference = (folder: string, name: string, found: Tensors): Promise<void> =>
  assertProcessed(found, folder, name, 2 ** -12);

test("coffee is preprocessed as Hugging Face's SiglipImageProcessor does", async () => {
  const image = await decode(await fixture("coffee.png"));
  await equalsReference("siglip", "coffee", siglipImageProcessor(config("siglip")).values([image]));
});

test("pictures are preprocessed as Hugging Face's Gemma3ImageProcessor does", async () => {
  const pictures = await Promise.all(["coffee", "gray"].map(async (name) => decode(await fixture(`${name}.png`))));
  const { pixel_values } = gemmaImageProcessor(config("gemma3")).values(pictures);
  // Crops of pan and scan, of which there are none.
  await equalsReference("gemma3", "batch", { pixel_values, num_crops: i32([2], [0, 0]) });
});

test("gemma3's processor: bilinear where it says nothing; crops of pan and scan are refused", () => {
  const size = { height: 24, width: 20 };
  const picture = noise(1, 60, 20);
  const values = gemmaImageProcessor({ size }).values([picture]);
  assert.deepEqual(values, siglipImageProcessor({ size, resample: 2 }).values([picture]));
  assert.notDeepEqual(values, siglipImageProcessor({ size }).values([picture]));
  assert.throws(() => gemmaImageProcessor({ do_pan_and_scan: true }), {
    code: "invalid_config",
    message: /^preprocessor_config.json: the field `do_pan_and_scan` holds true; expected false or nothing/,
  });
});

for (const name of ["astronaut", "gray"]) {
  test(`${name} is preprocessed as Hugging Face's Siglip2ImageProcessor does`, async () => {
    const image = await decode(await fixture(`${name}.png`));
    await equalsReference("siglip2", name, naflexImageProcessor(config("siglip2")).values([image]));
  });
}

test("siglip's processor: absent fields take its defaults, a plain size is that of the shorter side", () => {
  const { pixel_values } = siglipImageProcessor({}).values([noise(1, 60, 20)]);
  assert.deepEqual(pixel_values.shape, [1, 3, 224, 224]);
  assert.ok(pixel_values.data.every((v) => v >= -1 && v <= 1));
  const shape = (config: object): readonly number[] =>
    siglipImageProcessor(config).values([noise(1, 60, 20)]).pixel_values.shape;
  assert.deepEqual(shape({ size: { height: 32, width: 32 } }), [1, 3, 32, 32]);
  assert.deepEqual(shape({ size: 32 }), [1, 3, 32, 96]);
  assert.deepEqual(shape({ size: 32, default_to_square: true }), [1, 3, 32, 32]);
  const raw = { do_resize: false, do_rescale: false, do_normalize: false };
  assert.deepEqual(siglipImageProcessor(raw).values([noise(1, 6, 2)]).pixel_values.shape, [1, 3, 2, 6]);
});

/** Height, width, patch, most patches -> rows, columns, as transformers 5.18 finds them. */
const GRIDS: readonly (readonly number[])[] = [
  [224, 224, 16, 256, 16, 16],
  [480, 640, 16, 256, 14, 18],
  [1, 1, 16, 256, 7, 7],
  [1, 20000, 16, 256, 1, 256],
  [20000, 1, 16, 256, 256, 1],
  [3000, 4000, 16, 1024, 27, 36],
  [333, 500, 14, 729, 22, 33],
  [17, 16, 16, 1, 1, 1],
  [16, 16, 16, 4, 2, 2],
  [1327, 618, 32, 1024, 46, 22],
  [198, 297, 8, 196, 11, 17],
  [2388, 238, 14, 7, 7, 1],
  [353, 1777, 32, 7, 1, 6],
  [986, 372, 32, 7, 3, 2],
  [2317, 508, 14, 1024, 68, 15],
  [2388, 254, 32, 7, 7, 1],
  [906, 191, 14, 196, 29, 6],
  [1717, 591, 8, 576, 41, 14],
  [1264, 2295, 14, 7, 2, 3],
  [2383, 2340, 14, 196, 14, 14],
  [400, 2244, 8, 576, 10, 57],
  [245, 844, 32, 1024, 17, 59],
  [2178, 1752, 16, 256, 18, 14],
  [2399, 1857, 16, 196, 16, 12],
  [1018, 737, 14, 7, 3, 2],
  [2353, 1230, 32, 196, 19, 10],
  [1839, 1180, 8, 7, 3, 2],
  [2097, 1713, 14, 196, 15, 13],
  [623, 2003, 32, 7, 1, 4],
  [318, 2286, 16, 196, 5, 36],
  [1435, 2435, 32, 576, 18, 31],
  [1869, 282, 8, 196, 34, 5],
  [1942, 267, 8, 1024, 85, 12],
  [1269, 2368, 32, 196, 10, 19],
  [1581, 1422, 8, 256, 17, 15],
  [1456, 689, 8, 256, 23, 11],
  [242, 894, 16, 64, 4, 15],
  [1015, 1630, 32, 256, 12, 20],
  [331, 682, 32, 256, 11, 23],
  [2251, 1139, 14, 256, 22, 11],
];

test("naflex grids are those of transformers", () => {
  for (const [height, width, patch, most, rows, columns] of GRIDS) {
    assert.deepEqual(naflexGrid({ height, width }, patch, most), { rows, columns }, `${height}x${width}`);
  }
});

test("naflex grids never hold too many patches, and waste less than a row and a column", () => {
  for (let seed = 0; seed < 300; seed++) {
    const [height, width, most] = [3000, 3000, 1024].map((limit, i) => 1 + (hash32(seed, i) % limit));
    const { rows, columns } = naflexGrid({ height, width }, 16, most);
    assert.ok(
      rows >= 1 && columns >= 1 && rows * columns <= most,
      `${height}x${width}: ${rows}x${columns} over ${most}`,
    );
    const larger = height * width > 16 * 16 ? (rows + 1) * (columns + 1) : Number.POSITIVE_INFINITY;
    assert.ok(larger > most, `${height}x${width}: ${rows}x${columns} under ${most}`);
    // The sides' ratio is the image's, but for less than a patch each.
    const scale = rows / height;
    if (rows > 1 && columns > 1) {
      assert.ok((columns - 1) / width < scale && (rows - 1) / height < columns / width);
    }
  }
});

test("naflex patches hold their pixels row by row, channels side by side, and zeros beyond the grid", () => {
  const raw = { do_resize: false, do_rescale: false, do_normalize: false, patch_size: 4, max_num_patches: 9 };
  const images = [noise(1, 12, 8), noise(2, 4, 4)];
  const found = naflexImageProcessor(raw).values(images);
  assert.deepEqual(Object.fromEntries(Object.entries(found).map(([name, t]) => [name, [t.dtype, ...t.shape]])), {
    pixel_values: ["f32", 2, 9, 48],
    pixel_attention_mask: ["i32", 2, 9],
    spatial_shapes: ["i32", 2, 2],
  });
  assert.deepEqual(Array.from(found.spatial_shapes.data), [2, 3, 1, 1]);
  assert.deepEqual(Array.from(found.pixel_attention_mask.data), [1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  const wanted = new Float32Array(2 * 9 * 48);
  for (const [i, { width, height, data }] of images.entries()) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const patch = Math.floor(y / 4) * (width / 4) + Math.floor(x / 4);
        for (let c = 0; c < 3; c++) {
          wanted[((i * 9 + patch) * 16 + (y % 4) * 4 + (x % 4)) * 3 + c] = data[(y * width + x) * 3 + c];
        }
      }
    }
  }
  assert.deepEqual(found.pixel_values.data, wanted);
});

test("a naflex batch holds what its images give alone", () => {
  const process = naflexImageProcessor({ max_num_patches: 20 }).values;
  const images: readonly PixelImage[] = [noise(1, 300, 20), noise(2, 17, 90), noise(3, 1, 1), noise(4, 64, 64)];
  const all = process(images);
  for (const [i, image] of images.entries()) {
    for (const [name, alone] of Object.entries(process([image]))) {
      const row = alone.data.length;
      assert.deepEqual(all[name].data.subarray(i * row, (i + 1) * row), alone.data);
    }
  }
});

test("naflex: absent fields take the processor's defaults, a whole processor_config.json is read", () => {
  const plain = parseNaflexProcessor({});
  assert.deepEqual([plain.resizes, plain.patchSize, plain.maxPatches], [true, 16, 256]);
  assert.deepEqual([plain.filter, plain.arithmetic], ["bilinear", "torchvision"]);
  assert.deepEqual(plain.values, { rescaleFactor: 1 / 255, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] });
  assert.deepEqual(parseNaflexProcessor({ image_processor: { patch_size: 14 } }).patchSize, 14);
  // A size left over from another processor says nothing here.
  assert.deepEqual(parseNaflexProcessor({ size: { longest_edge: 3 }, resample: 3 }).filter, "bicubic");
});

test("naflex: what cannot be used is refused", () => {
  const refuses = (json: unknown, message: RegExp): void => {
    assert.throws(() => naflexImageProcessor(json), { code: "invalid_config", message });
  };
  refuses(null, /preprocessor_config.json must be a JSON object/);
  refuses({ image_processor: [] }, /the field `image_processor` must be an object/);
  refuses({ patch_size: "16" }, /`patch_size` holds "16"; expected a whole number from 1 to 1024/);
  refuses({ max_num_patches: 0 }, /`max_num_patches` holds 0/);
  refuses({ image_processor: { max_num_patches: 5000 } }, /`image_processor.max_num_patches` holds 5000; .* to 4096/);
  refuses({ resample: "bilinear" }, /`resample` holds "bilinear"/);
  refuses({ do_resize: 1 }, /`do_resize` holds 1/);
  assert.throws(() => naflexImageProcessor({}).values([]), { code: "image.empty_batch" });
  const given = naflexImageProcessor({ do_resize: false, max_num_patches: 4 }).values;
  assert.deepEqual(given([noise(1, 64, 16)]).pixel_values.shape, [1, 4, 768]);
  const message = /Image 1 is \d+x\d+ pixels; without do_resize its sides must be multiples of 16 and make at most 4/;
  for (const [width, height] of [
    [17, 16],
    [16, 8],
    [80, 16],
  ]) {
    assert.throws(() => given([noise(1, 16, 16), noise(1, width, height)]), { code: "image.shape", message });
  }
});
