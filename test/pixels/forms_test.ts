/** Every vision family takes bytes: `(x / 255 - mean) / std` lies in its weights. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import { hash32 } from "../../runtime/core/random.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import { compareForms, normalized, withProcessor } from "../kit/byte_towers.ts";

/** As `fovea verify` asks for. */
const TOLERANCE = 2e-5;

const STEPS: ValueSteps = {
  rescaleFactor: 1 / 255,
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
};
const PROCESSOR = { rescale_factor: 1 / 255, image_mean: STEPS.mean, image_std: STEPS.std };

const noise = (...shape: readonly number[]): Tensor => ({
  dtype: "u8",
  shape,
  data: Uint8Array.from({ length: shape.reduce((a, d) => a * d, 1) }, (_, i) => hash32(shape.length, i)),
});
const i32 = (shape: readonly number[], ...data: readonly number[]): Tensor => ({
  dtype: "i32",
  shape,
  data: Int32Array.from(data),
});

interface Family {
  readonly folder: string;
  readonly pixels: Tensor;
  /** Samples of one channel that lie together; whole planes unless given. */
  readonly run?: number;
  readonly others?: Tensors;
  readonly processor?: object;
}

const grid = { image_grid_thw: i32([2, 3], 1, 4, 6, 2, 2, 2) };

const FAMILIES: readonly Family[] = [
  { folder: "clip", pixels: noise(2, 3, 32, 32) },
  { folder: "siglip", pixels: noise(2, 3, 56, 56) },
  { folder: "vit", pixels: noise(1, 3, 32, 32) },
  { folder: "vit-nobias", pixels: noise(3, 3, 24, 24) },
  { folder: "dinov2", pixels: noise(2, 3, 61, 75) },
  { folder: "dinov3", pixels: noise(1, 3, 64, 80) },
  { folder: "llama4", pixels: noise(2, 3, 56, 56) },
  {
    folder: "pixtral",
    pixels: noise(2, 3, 40, 48),
    others: { image_sizes: i32([2, 2], 40, 32, 16, 48) },
  },
  { folder: "internvl", pixels: noise(1, 3, 70, 59) },
  { folder: "qwen2_vl", pixels: noise(32, 3 * 2 * 14 * 14), run: 2 * 14 * 14, others: grid },
  { folder: "qwen2_5_vl", pixels: noise(32, 3 * 2 * 14 * 14), run: 2 * 14 * 14, others: grid },
  {
    folder: "qwen3_vl",
    pixels: noise(32, 3 * 2 * 16 * 16),
    run: 2 * 16 * 16,
    others: grid,
    processor: { patch_size: 16 },
  },
];

for (const { folder, pixels, run, others = {}, processor = {} } of FAMILIES) {
  test(`${folder} gives for bytes what it gives for normalised values`, async () => {
    await withProcessor(folder, { ...PROCESSOR, ...processor }, async (encoder) => {
      const plane = run ?? pixels.shape[2] * pixels.shape[3];
      const values = normalized(pixels, plane, STEPS);
      const bytes = await compareForms(
        encoder,
        { pixel_values: pixels, ...others },
        { pixel_values: values, ...others },
      );
      for (const [name, { difference, cosine }] of Object.entries(bytes)) {
        assert.ok(difference <= TOLERANCE, `${name}: ${difference} standard deviations`);
        assert.ok(cosine >= 1 - 1e-9, `${name}: cosine ${cosine}`);
      }
    });
  });
}

for (const [folder, side] of [
  ["qwen2_vl", 14],
  ["qwen2_5_vl", 14],
  ["qwen3_vl", 16],
] as const) {
  test(`${folder} takes one frame of a still image for two equal ones`, async () => {
    await withProcessor(folder, { ...PROCESSOR, patch_size: side }, async (encoder) => {
      const frame = side * side;
      const stills = noise(32, 3 * frame);
      const twice = new Uint8Array(2 * stills.data.length);
      for (let at = 0; at < stills.data.length; at += frame) {
        const own = (stills.data as Uint8Array).subarray(at, at + frame);
        twice.set(own, 2 * at);
        twice.set(own, 2 * at + frame);
      }
      const full = normalized({ dtype: "u8", shape: [32, 6 * frame], data: twice }, 2 * frame, STEPS);
      const forms = await compareForms(encoder, { pixel_values: stills, ...grid }, { pixel_values: full, ...grid });
      for (const [name, { difference }] of Object.entries(forms)) {
        assert.ok(difference <= TOLERANCE, `${name}: ${difference} standard deviations`);
      }
      await assert.rejects(encoder.encode({ pixel_values: noise(32, frame), ...grid }), {
        code: "invalid_input",
        message: new RegExp(`expected \\[patches, ${6 * frame}\\].*or \\[patches, ${3 * frame}\\] of one frame`),
      });
    });
  });
}

test("siglip2 leaves padding as it is, whatever the mask hides", async () => {
  await withProcessor("siglip2", PROCESSOR, async (encoder) => {
    const [patches, width] = [20, 3 * 8 * 8];
    const pixels = noise(2, patches, width);
    const values = normalized(pixels, 1, STEPS);
    const sides = [4, 5, 3, 4];
    const shapes = { spatial_shapes: i32([2, 2], ...sides) };
    for (const data of [pixels.data, values.data]) data.fill(0, (patches + 12) * width);
    const masks: readonly Tensors[] = [
      {},
      {
        pixel_attention_mask: i32(
          [2, patches],
          ...Array.from({ length: 2 * patches }, (_, i) => (i % patches < 11 ? 1 : 0)),
        ),
      },
    ];
    for (const mask of masks) {
      const others = { ...shapes, ...mask };
      const forms = await compareForms(
        encoder,
        { pixel_values: pixels, ...others },
        { pixel_values: values, ...others },
      );
      for (const [name, { difference }] of Object.entries(forms)) {
        assert.ok(difference <= TOLERANCE, `${name}: ${difference} standard deviations`);
      }
    }
  });
});

test("configurations that rescale alone, or not at all, and means of every channel alike", async () => {
  const alike = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] };
  const cases: readonly (readonly [object, ValueSteps])[] = [
    [{ do_normalize: false }, { rescaleFactor: 1 / 255 }],
    [{ do_normalize: false, rescale_factor: 1 / 127.5 }, { rescaleFactor: 1 / 127.5 }],
    [alike, { rescaleFactor: 1 / 255, mean: alike.image_mean, std: alike.image_std }],
    [
      { do_rescale: false, image_mean: [120, 110, 100], image_std: [60, 70, 80] },
      { mean: [120, 110, 100], std: [60, 70, 80] },
    ],
  ];
  for (const [processor, steps] of cases) {
    await withProcessor("vit-nobias", processor, async (encoder) => {
      const pixels = noise(1, 3, 24, 24);
      const values = normalized(pixels, 24 * 24, steps);
      const forms = await compareForms(encoder, { pixel_values: pixels }, { pixel_values: values });
      for (const [name, { difference }] of Object.entries(forms)) {
        assert.ok(difference <= TOLERANCE, `${JSON.stringify(processor)}, ${name}: ${difference} standard deviations`);
      }
    });
  }
});
