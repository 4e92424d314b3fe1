/** Every vision family takes bytes: `(x / 255 - mean) / std` lies in its weights. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import {
  compareForms,
  GRID,
  i32,
  noise,
  normalized,
  PROCESSOR,
  STEPS,
  TOLERANCE,
  withProcessor,
} from "../kit/byte_towers.ts";

interface Family {
  readonly folder: string;
  readonly pixels: Tensor;
  /** Samples of one channel that lie together; whole planes unless given. */
  readonly run?: number;
  readonly others?: Tensors;
  readonly processor?: object;
}

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
  { folder: "smolvlm", pixels: noise(2, 3, 48, 48) },
  { folder: "qwen2_vl", pixels: noise(32, 3 * 2 * 14 * 14), run: 2 * 14 * 14, others: GRID },
  { folder: "qwen2_5_vl", pixels: noise(32, 3 * 2 * 14 * 14), run: 2 * 14 * 14, others: GRID },
  {
    folder: "qwen3_vl",
    pixels: noise(32, 3 * 2 * 16 * 16),
    run: 2 * 16 * 16,
    others: GRID,
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
