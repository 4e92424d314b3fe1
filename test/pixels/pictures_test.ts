/** Pictures take the way of bytes, and nothing is compiled for the other form. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Encoder, Tensor } from "../../mod.ts";
import { clipImageProcessor } from "../../plugins/clip/preprocess.ts";
import { bitImageProcessor, dinov3ImageProcessor } from "../../plugins/dino/preprocess.ts";
import { idefics3ImageProcessor } from "../../plugins/idefics3/preprocess.ts";
import { internVLImageProcessor } from "../../plugins/internvl/preprocess.ts";
import { llama4ImageProcessor } from "../../plugins/llama4/preprocess.ts";
import { pixtralImageProcessor } from "../../plugins/pixtral/preprocess.ts";
import { qwenImageProcessor } from "../../plugins/qwen_vl/preprocess.ts";
import { naflexImageProcessor } from "../../plugins/siglip/naflex_processor.ts";
import { siglipImageProcessor } from "../../plugins/siglip/preprocess.ts";
import { deitImageProcessor, vitImageProcessor } from "../../plugins/vit/preprocess.ts";
import type { PixelProcessor } from "../../runtime/abi/pixels.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import { apart, normalized, TOLERANCE, withProcessor } from "../kit/byte_towers.ts";
import { loadedTower } from "../kit/loaded_tower.ts";
import { picture } from "../media/processor_kit.ts";

interface Family {
  readonly folder: string;
  /** Tags begin with this. */
  readonly tag: string;
  readonly config: object;
  readonly processor: (config: unknown) => PixelProcessor;
  /** How far the processor's values are from normalised bytes, at most and on average, in grey levels; 0 unless given. */
  readonly rounds?: readonly [most: number, mean: number];
}

const square = (side: number): object => ({ size: { height: side, width: side } });

const FAMILIES: readonly Family[] = [
  {
    ...{ folder: "clip", tag: "clip", processor: clipImageProcessor },
    config: { size: { shortest_edge: 32 }, crop_size: 32 },
  },
  { folder: "siglip", tag: "siglip", processor: siglipImageProcessor, config: square(56) },
  {
    ...{ folder: "siglip2", tag: "siglip2", processor: naflexImageProcessor },
    config: { patch_size: 8, max_num_patches: 25 },
  },
  { folder: "vit", tag: "vit", processor: vitImageProcessor, config: square(32) },
  { folder: "vit-deit", tag: "vit", processor: deitImageProcessor, config: { ...square(15), crop_size: 12 } },
  { folder: "vit-ijepa", tag: "vit", processor: vitImageProcessor, config: square(12) },
  {
    ...{ folder: "dinov2", tag: "dinov2", processor: bitImageProcessor },
    config: { size: { shortest_edge: 64 }, crop_size: { height: 56, width: 70 } },
  },
  {
    ...{ folder: "dinov3", tag: "dinov3", processor: dinov3ImageProcessor, config: square(64) },
    // The reference does not round after either pass of the resize.
    rounds: [1, 0.3],
  },
  {
    ...{ folder: "llama4", tag: "llama4", processor: llama4ImageProcessor },
    config: { ...square(56), max_patches: 2 },
    // The reference rounds to bfloat16, whose steps at 0.5..1 are 2^-8.
    rounds: [0.5, 0.2],
  },
  {
    ...{ folder: "pixtral", tag: "pixtral" },
    processor: (config) => pixtralImageProcessor(config, 8),
    config: { size: { longest_edge: 64 }, patch_size: 8 },
  },
  {
    ...{ folder: "internvl", tag: "internvl", processor: internVLImageProcessor },
    config: { ...square(56), crop_to_patches: true, max_patches: 3 },
  },
  {
    ...{ folder: "smolvlm", tag: "idefics3", processor: idefics3ImageProcessor },
    config: { size: { longest_edge: 130 }, max_image_size: { longest_edge: 48 } },
  },
  {
    ...{ folder: "qwen2_5_vl", tag: "qwen2_5_vl", processor: qwenImageProcessor },
    config: { min_pixels: 784, max_pixels: 784 * 12 },
  },
];

const isReady = (encoder: Encoder, tag: string): boolean =>
  loadedTower(encoder, "vision").components.get(tag)?.artifacts.length !== 0;

/** Largest and mean difference of values from those that `steps` make of bytes, in samples. */
function levelsApart(found: Tensor, wanted: Tensor, { rescaleFactor = 1, std = [1, 1, 1] }: ValueSteps): number[] {
  const [, , height, width] = found.shape;
  let [most, sum] = [0, 0];
  found.data.forEach((v, i) => {
    const channel = Math.floor(i / (height * width)) % 3;
    const levels = (Math.abs(v - wanted.data[i]) * std[channel]) / rescaleFactor;
    most = Math.max(most, levels);
    sum += levels;
  });
  return [most, sum / found.data.length];
}

for (const { folder, tag, config, processor, rounds } of FAMILIES) {
  const what = rounds === undefined ? "values" : "samples, which its values round otherwise";
  test(`${folder}: pictures go as u8, with the results of the processor's ${what}`, async () => {
    const { values, bytes, steps } = processor(config);
    const images = [await picture("astronaut"), await picture("coffee"), await picture("gray")];
    const inputs: Record<string, Tensor> = { ...values(images) };
    if (rounds !== undefined) {
      const pixels = bytes?.(images).pixel_values as Tensor;
      const exact = normalized(pixels, pixels.shape[2] * pixels.shape[3], steps);
      const [most, mean] = levelsApart(inputs.pixel_values, exact, steps);
      assert.ok(most > 0 && most <= rounds[0] && mean <= rounds[1], `${most} levels at most, ${mean} on average`);
      inputs.pixel_values = exact;
    }
    await withProcessor(folder, config, async (encoder) => {
      const [given, rest] = [`${tag}/vision.embed_u8`, `${tag}/vision.embed`];
      assert.deepEqual([isReady(encoder, given), isReady(encoder, rest)], [true, false]);
      const found = (await encoder.encode({ images })) as Readonly<Record<string, Tensor>>;
      assert.ok(!isReady(encoder, rest), `${rest} was compiled for pictures`);
      const taken = Object.entries(inputs).filter(([name]) => encoder.tower("vision").spec.inputs.includes(name));
      const wanted = (await encoder.encode(Object.fromEntries(taken))) as Readonly<Record<string, Tensor>>;
      for (const [name, want] of Object.entries(wanted)) {
        const { difference, cosine } = apart(found[name], want);
        assert.ok(difference <= TOLERANCE && cosine >= 1 - 1e-9, `${name}: ${difference} standard deviations`);
      }
    });
  });
}
