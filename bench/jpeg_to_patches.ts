/**
 * A 12-megapixel JPEG file to the u8 patches of Qwen2-VL, against sharp decoding and resizing it to the same size.
 *
 *   jpeg_to_patches.ts [--threads N] [--rounds N]
 */
import process from "node:process";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { wasmPlugin } from "../kernels/wasm/plugin.ts";
import { qwenVlPlugin } from "../plugins/qwen_vl/plugin.ts";
import type { PixelImage } from "../runtime/abi/encoder.ts";
import { cutSize } from "../runtime/core/pixel_cut.ts";
import { detectHost } from "../runtime/host/mod.ts";
import { decodeImage } from "../runtime/media/decode.ts";
import { deviceHost, openDevice } from "../runtime/session/devices.ts";
import { createPixelCutter } from "../runtime/session/pixels.ts";
import { createMediaReader } from "../runtime/session/source.ts";
import { openArtifacts } from "../test/kit/artifacts.ts";
import { callContext } from "../test/kit/call_context.ts";
import { interleave, median, medianRatio } from "./interleave.ts";

const [WIDTH, HEIGHT] = [4000, 3000];

/** Qwen2-VL's default and its largest. */
const MAX_PIXELS = [28 * 28 * 1280, 12845056];

function sizeOption(name: string, text: string): number {
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new Error(`--${name} takes a whole number, not "${text}".`);
}

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

async function main(): Promise<void> {
  const [encoder] = qwenVlPlugin.encoders ?? [];
  const config = JSON.parse(new TextDecoder().decode(await fixture("qwen2_vl/config.json"))) as Record<string, unknown>;
  const { values } = parseArgs({
    options: { threads: { type: "string", default: "2" }, rounds: { type: "string", default: "7" } },
  });
  const threads = sizeOption("threads", values.threads);
  const rounds = sizeOption("rounds", values.rounds);
  const host = await detectHost();
  const device = await openDevice("wasm", [wasmPlugin], deviceHost(host), { threads });
  const artifacts = await openArtifacts(device);
  const cutter = createPixelCutter(artifacts);
  const file = await largeJpeg();
  const media = createMediaReader(host);
  const loadCodec = async (specifier: string): Promise<WebAssembly.Module> =>
    WebAssembly.compile((await host.loadPackageFile(specifier)) as Uint8Array<ArrayBuffer>);
  for (const maxPixels of MAX_PIXELS) {
    const files = { "preprocessor_config.json": { max_pixels: maxPixels } };
    const { pixels: plan, images: bytes } = encoder.open(config, files).processors(files);
    if (plan === undefined || bytes === undefined) throw new Error("This processor states no plan.");
    const image: PixelImage = await media.image(file);
    const { width, height } = cutSize(plan([image]).cuts[0]);
    const patches = async (decoded: PixelImage): Promise<unknown> =>
      cutter.cut([decoded], plan([decoded]), callContext("bench"));
    const { pixel_values } = await cutter.cut([image], plan([image]), callContext("bench"));
    if (bytes([image]).pixel_values.data.some((v, i) => v !== pixel_values.data[i]))
      throw new Error("The bits differ.");
    const fill = { fit: "fill", kernel: "cubic" } as const;
    // A crop between keeps libvips from decoding the file smaller than it is.
    const whole = { left: 0, top: 0, width: WIDTH, height: HEIGHT };
    const contenders = [
      { name: "sharp, as it comes", run: () => sharp(file).resize(width, height, fill).raw().toBuffer() },
      {
        name: "sharp, whole decode",
        run: () => sharp(file).extract(whole).resize(width, height, fill).raw().toBuffer(),
      },
      { name: "fovea", run: async () => patches(await media.image(file)) },
      { name: "  decode, sharp", run: () => media.image(file) },
      { name: "  resize and cut", run: () => patches(image) },
      { name: "fovea without sharp", run: async () => patches(await decodeImage(file, { loadCodec })) },
    ];
    const times = await interleave(contenders, { rounds, runs: 1, warmUp: 1 });
    const rows = contenders.map(({ name }, i) => ({
      name: name.trim(),
      ms: Number(median(times[i].flat()).toPrecision(4)),
      ratio: Number(medianRatio(times[i], times[0]).toPrecision(3)),
      whole: Number(medianRatio(times[i], times[1]).toPrecision(3)),
    }));
    console.error(`${WIDTH}x${HEIGHT} -> ${width}x${height} on ${host.name} ${host.version}, ${threads} threads`);
    for (const { name, ms, ratio, whole: other } of rows) {
      console.error(
        `  ${name.padEnd(22)}${ms.toFixed(1).padStart(9)} ms${ratio.toFixed(2).padStart(7)}x${other.toFixed(2).padStart(7)}x`,
      );
    }
    console.log(
      JSON.stringify({ benchmark: "jpeg_to_patches", runtime: host.name, threads, maxPixels, width, height, rows }),
    );
  }
  await device.close();
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
