/** A 12-megapixel JPEG file to the u8 patches of Qwen2-VL, against sharp decoding and resizing it to the same size. */
import sharp from "sharp";
import { wasmPlugin } from "../kernels/wasm/plugin.ts";
import { qwenVlPlugin } from "../plugins/qwen_vl/plugin.ts";
import type { PixelImage, PixelSize } from "../runtime/abi/encoder.ts";
import { cutSize, type Reduction } from "../runtime/core/pixel_cut.ts";
import { detectHost } from "../runtime/host/mod.ts";
import { decodeImage } from "../runtime/media/decode.ts";
import { jpegReduction } from "../runtime/media/jpeg_reduction.ts";
import { deviceHost, openDevice } from "../runtime/session/artifacts/devices.ts";
import type { ReadImageOptions } from "../runtime/session/inputs/inputs.ts";
import { createPixelCutter, pictureSize } from "../runtime/session/inputs/pixels.ts";
import { createMediaReader } from "../runtime/session/inputs/source.ts";
import { openArtifacts } from "../test/kit/artifacts.ts";
import { callContext } from "../test/kit/call_context.ts";
import type { BenchOptions, BenchResult } from "./benchmark.ts";
import { interleave, rowsOf } from "./interleave.ts";

const [WIDTH, HEIGHT] = [4000, 3000];

/** `max_pixels` of Qwen2-VL's published processor, and what Qwen2.5-VL's users set it to. */
const SIZES = [
  { model: "Qwen2-VL", maxPixels: 12_845_056 },
  { model: "Qwen2.5-VL, 1280 tokens", maxPixels: 1280 * 28 * 28 },
];

async function fixture(name: string): Promise<Uint8Array> {
  const host = await detectHost();
  return host.readFile(host.pathOf(new URL(`../test/fixtures/${name}`, import.meta.url)));
}

/** A photograph of the repository, stretched. */
async function largeJpeg(): Promise<Uint8Array> {
  const picture = await fixture("preprocess/astronaut.jpg");
  const grown = sharp(picture).resize(WIDTH, HEIGHT, { fit: "fill", kernel: "cubic" });
  return new Uint8Array(await grown.jpeg({ quality: 90 }).toBuffer());
}

/**
 * For each size a result against sharp as it comes, and where libvips then decodes the file smaller than it is another
 * against a whole decode, with the same times.
 */
export async function jpegToPatches({ threads, rounds, runs }: BenchOptions): Promise<readonly BenchResult[]> {
  const [encoder] = qwenVlPlugin.encoders ?? [];
  const config = JSON.parse(new TextDecoder().decode(await fixture("qwen2_vl/config.json"))) as Record<string, unknown>;
  const results: BenchResult[] = [];
  const host = await detectHost();
  const device = await openDevice("wasm", [wasmPlugin], deviceHost(host), { threads });
  const artifacts = await openArtifacts(device);
  const cutter = createPixelCutter(artifacts);
  const context = callContext("bench");
  const file = await largeJpeg();
  const media = createMediaReader(host);
  const loadCodec = async (specifier: string): Promise<WebAssembly.Module> =>
    WebAssembly.compile((await host.loadPackageFile(specifier)) as Uint8Array<ArrayBuffer>);
  for (const { model, maxPixels } of SIZES) {
    const files = { "preprocessor_config.json": { max_pixels: maxPixels } };
    const { pixels: plan, images: bytes } = encoder.open(config, files).processors(files);
    if (plan === undefined || bytes === undefined) throw new Error("This processor states no plan.");
    const image: PixelImage = await media.image(file);
    const { width, height } = cutSize(plan([image]).cuts[0]);
    const patches = async (decoded: PixelImage): Promise<void> =>
      cutter.release(await cutter.cut([decoded], plan([pictureSize(decoded)]), context));
    /** As an encoder does with a file of a call. */
    const readAndCut = async (options?: ReadImageOptions): Promise<void> => {
      const decoded = await media.image(file, options);
      await patches(decoded);
      await media.release?.(decoded);
    };
    const reduceJpeg = (size: PixelSize): Reduction | 1 => jpegReduction(size, plan([size]).cuts);
    const reduced = await media.image(file, { reduceJpeg });
    const readAlone = async (options?: ReadImageOptions): Promise<void> =>
      media.release?.(await media.image(file, options));
    const { pixel_values } = await cutter.cut([image], plan([image]), context);
    if (bytes([image]).pixel_values.data.some((v, i) => v !== pixel_values.data[i]))
      throw new Error("The bits differ.");
    const fill = { fit: "fill", kernel: "cubic" } as const;
    // A crop between keeps libvips from decoding the file smaller than it is: `fastShrinkOnLoad` only asks it to do so less.
    const cropped = { left: 0, top: 0, width: WIDTH, height: HEIGHT };
    const contenders = [
      { name: "sharp, as it comes", run: () => sharp(file).resize(width, height, fill).raw().toBuffer() },
      {
        name: "sharp, whole decode",
        run: () => sharp(file).extract(cropped).resize(width, height, fill).raw().toBuffer(),
      },
      { name: "fovea", run: () => readAndCut() },
      ...(reduced.reducedFrom === undefined
        ? []
        : [{ name: "fovea, jpegShrinkOnLoad", run: () => readAndCut({ reduceJpeg }) }]),
    ];
    /** Timed apart: what they leave to garbage collectors would be paid by the others. */
    const parts = [
      { name: "decode", run: () => readAlone() },
      { name: "resize and cut", run: () => patches(image) },
      ...(reduced.reducedFrom === undefined
        ? []
        : [
            { name: "decode, jpegShrinkOnLoad", run: () => readAlone({ reduceJpeg }) },
            { name: "resize and cut, jpegShrinkOnLoad", run: () => patches(reduced) },
          ]),
      { name: "all, without sharp", run: async () => patches(await decodeImage(file, { loadCodec })) },
    ];
    const times = await interleave(contenders, { rounds, runs, warmUp: 1 });
    const part = `${model}, ${WIDTH}x${HEIGHT} to ${width}x${height}`;
    results.push({ settings: { part, threads }, rows: rowsOf(contenders, times) });
    // As libjpeg does: sides of a half, a quarter or an eighth.
    if (2 * width <= WIDTH) {
      results.push({
        settings: { part: `${part}, against a whole decode`, threads },
        rows: rowsOf(contenders.slice(1), times.slice(1)),
      });
    }
    results.push({
      settings: { part: `${part}, parts of fovea's`, threads },
      rows: rowsOf(parts, await interleave(parts, { rounds, runs, warmUp: 1 })),
    });
  }
  await device.close();
  return results;
}
