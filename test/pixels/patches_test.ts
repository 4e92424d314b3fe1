/** Bytes of patches: still images of one frame, padding, and what configurations may say of values. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tensors } from "../../runtime/abi/encoder.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
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
      const forms = await compareForms(encoder, { pixel_values: stills, ...GRID }, { pixel_values: full, ...GRID });
      for (const [name, { difference }] of Object.entries(forms)) {
        assert.ok(difference <= TOLERANCE, `${name}: ${difference} standard deviations`);
      }
      await assert.rejects(encoder.encode({ pixel_values: noise(32, frame), ...GRID }), {
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
