/** Pictures take the way of bytes where their processor allows it, and nothing is compiled for the other form. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Encoder, Tensor } from "../../mod.ts";
import { clipImageProcessor } from "../../plugins/clip/preprocess.ts";
import { bitImageProcessor, dinov3ImageProcessor } from "../../plugins/dino/preprocess.ts";
import { internVLImageProcessor } from "../../plugins/internvl/preprocess.ts";
import { llama4ImageProcessor } from "../../plugins/llama4/preprocess.ts";
import { pixtralImageProcessor } from "../../plugins/pixtral/preprocess.ts";
import { qwenImageProcessor } from "../../plugins/qwen_vl/preprocess.ts";
import { naflexImageProcessor } from "../../plugins/siglip/naflex_processor.ts";
import { siglipImageProcessor } from "../../plugins/siglip/preprocess.ts";
import { vitImageProcessor } from "../../plugins/vit/preprocess.ts";
import type { PixelProcessor } from "../../runtime/abi/pixels.ts";
import { apart, TOLERANCE, withProcessor } from "../kit/byte_towers.ts";
import { picture } from "../media/processor_kit.ts";

interface Family {
  readonly folder: string;
  /** Tags begin with this. */
  readonly tag: string;
  readonly config: object;
  readonly processor: (config: unknown) => PixelProcessor;
  /** What the processor makes. */
  readonly form: "u8" | "f32";
}

const square = (side: number): object => ({ size: { height: side, width: side } });

const FAMILIES: readonly Family[] = [
  {
    ...{ folder: "clip", tag: "clip", processor: clipImageProcessor, form: "u8" },
    config: { size: { shortest_edge: 32 }, crop_size: 32 },
  },
  { folder: "siglip", tag: "siglip", processor: siglipImageProcessor, form: "u8", config: square(56) },
  {
    ...{ folder: "siglip2", tag: "siglip2", processor: naflexImageProcessor, form: "u8" },
    config: { patch_size: 8, max_num_patches: 25 },
  },
  { folder: "vit", tag: "vit", processor: vitImageProcessor, form: "u8", config: square(32) },
  {
    ...{ folder: "dinov2", tag: "dinov2", processor: bitImageProcessor, form: "u8" },
    config: { size: { shortest_edge: 64 }, crop_size: { height: 56, width: 70 } },
  },
  { folder: "dinov3", tag: "dinov3", processor: dinov3ImageProcessor, form: "f32", config: square(64) },
  {
    ...{ folder: "llama4", tag: "llama4", processor: llama4ImageProcessor, form: "f32" },
    config: { ...square(56), max_patches: 2 },
  },
  {
    ...{ folder: "pixtral", tag: "pixtral", form: "u8" },
    processor: (config) => pixtralImageProcessor(config, 8),
    config: { size: { longest_edge: 64 }, patch_size: 8 },
  },
  {
    ...{ folder: "internvl", tag: "internvl", processor: internVLImageProcessor, form: "u8" },
    config: { ...square(56), crop_to_patches: true, max_patches: 3 },
  },
  {
    ...{ folder: "qwen2_5_vl", tag: "qwen2_5_vl", processor: qwenImageProcessor, form: "u8" },
    config: { min_pixels: 784, max_pixels: 784 * 12 },
  },
];

const isReady = (encoder: Encoder, tag: string): boolean =>
  encoder.tower("vision").components.get(tag)?.artifacts.length !== 0;

for (const { folder, tag, config, processor, form } of FAMILIES) {
  test(`${folder}: pictures go as ${form}, with the results of the processor's values`, async () => {
    const { values, bytes } = processor(config);
    assert.equal(bytes === undefined ? "f32" : "u8", form);
    const images = [await picture("astronaut"), await picture("coffee"), await picture("gray")];
    await withProcessor(folder, config, async (encoder) => {
      const given = form === "u8" ? `${tag}/vision.embed_u8` : `${tag}/vision.embed`;
      const rest = form === "u8" ? `${tag}/vision.embed` : `${tag}/vision.embed_u8`;
      assert.deepEqual([isReady(encoder, given), isReady(encoder, rest)], [true, false]);
      const found = (await encoder.encode({ images })) as Readonly<Record<string, Tensor>>;
      assert.ok(!isReady(encoder, rest), `${rest} was compiled for pictures`);
      const taken = Object.entries(values(images)).filter(([name]) =>
        encoder.tower("vision").spec.inputs.includes(name),
      );
      const wanted = (await encoder.encode(Object.fromEntries(taken))) as Readonly<Record<string, Tensor>>;
      for (const [name, want] of Object.entries(wanted)) {
        const { difference, cosine } = apart(found[name], want);
        assert.ok(difference <= TOLERANCE && cosine >= 1 - 1e-9, `${name}: ${difference} standard deviations`);
      }
    });
  });
}
