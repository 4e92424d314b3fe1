/** `fovea embed`: pictures, videos, texts and recordings to vectors. */
import { Command, InvalidArgumentError } from "commander";
import type { Modality, Tensor } from "../abi/encoder.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { encodeNpy, encodeSafetensors } from "../exec/weights/writer.ts";
import { detectHost, type Host } from "../host/mod.ts";
import { didYouMean } from "../session/check.ts";
import { checkOutFile } from "../session/check_folder.ts";
import { writeSizes } from "../session/tune/tune_ranges.ts";
import type { EncodeInputs, Encoder, RecordedSizes, VideoInput } from "../session.ts";
import { embedBulk } from "./embed_bulk.ts";
import { encodeRecordings, type RecordedResult } from "./embed_recordings.ts";
import { oneShot } from "./one_shot.ts";
import {
  type CalibrationOption,
  type CommonOptions,
  dtypeOption,
  type JpegOption,
  jpegOption,
  jpegReport,
  nameList,
  nonEmpty,
  type Opened,
  sayReduced,
  weightOptions,
  wholeNumber,
  withCalibrationOption,
  withCommonOptions,
  withJpegOption,
  withRuntime,
} from "./options.ts";
import { checkPictures, checkVideos, RECORDING } from "./pictures.ts";
import { oneLine, table } from "./table.ts";
import { print, printJson, say } from "./terminal.ts";
import { type TraceOptions, traceFile, withTraceOption } from "./trace_file.ts";

interface EmbedOptions extends CommonOptions, CalibrationOption, JpegOption, TraceOptions {
  readonly text?: readonly string[];
  readonly video?: readonly string[];
  readonly fps?: number;
  readonly out?: string;
  readonly outputs?: readonly string[];
  readonly record?: string;
  readonly resume?: boolean;
  readonly shardRows?: number;
}

/** Characters of an input that the table shows. */
const TEXT_WIDTH = 80;

const OUT_FORMATS = [".safetensors", ".json", ".npy"];

export function embedCommand(): Command {
  const command = new Command("embed")
    .description("Encode pictures, videos, texts and recordings; print or write their vectors.")
    .argument("<model>", "model folder, or hf:organisation/name, or an https address")
    .argument(
      "[files...]",
      "PNG, JPEG, WebP or GIF pictures; WAV, FLAC, MP3 or Ogg recordings; with --out x.parquet also folders and patterns",
    )
    .option("--text <text...>", "texts to encode as well")
    .option("--video <files...>", "videos to encode as well: folders of frames, GIF or WebP files")
    .option("--fps <n>", "frames per second of the folders given as --video", framesPerSecond)
    .option("--outputs <names>", "results wanted, comma-separated; the embeddings unless given", nameList)
    .option("--record <file>", "add the sizes of each component's calls, for `fovea tune ranges`", nonEmpty("a file"))
    .option("--out <file>", "write x.safetensors, x.json or x.npy, - prints JSON; x.parquet holds a row for each file")
    .option("--resume", "a row for each file: go on with what --out and the journal beside it hold")
    .option("--shard-rows <n>", "a row for each file: rows of x-00000.parquet, x-00001.parquet, …", wholeNumber(1));
  return withCommonOptions(withJpegOption(withCalibrationOption(withTraceOption(command))))
    .addHelpText(
      "after",
      "\nExamples:\n  fovea embed ./clip cat.jpg dog.png --out vectors.safetensors\n  fovea embed ./qwen2.5-vl --video clip.gif frames/ --json\n  fovea embed ./clip --text 'a cat' 'a dog' --json\n  fovea embed ./clip 'photos/**' --out photos.parquet --resume",
    )
    .action(embed);
}

async function embed(model: string, files: readonly string[], options: EmbedOptions): Promise<void> {
  const { text: texts = [], video: videos = [], fps } = options;
  if (isBulk(options)) return embedBulk(model, files, options);
  if (files.length === 0 && texts.length === 0 && videos.length === 0) {
    throw new FoveaError(
      "bad_usage",
      "There is nothing to embed; name pictures or recordings, or give --video or --text.",
    );
  }
  if (fps !== undefined && videos.length === 0) {
    throw new FoveaError(
      "bad_usage",
      "--fps says how fast the frames of --video follow each other, and there is no --video.",
    );
  }
  const out = options.out;
  if (out !== undefined && out !== "-") await checkOut(out);
  await checkPictures(files);
  await checkVideos(videos);
  const sizes: RecordedSizes[] = [];
  const trace = await traceFile(options);
  const recording = options.record === undefined ? {} : { onSizes: (one: RecordedSizes) => void sizes.push(one) };
  // A video holds any number of pictures.
  const inputs = videos.length > 0 ? Number.POSITIVE_INFINITY : files.length + texts.length;
  const once = await oneShot(model, inputs, options);
  const run = async ({ host, runtime, progress }: Opened): Promise<void> => {
    const given: Readonly<Record<Kind, readonly string[]>> = {
      images: files.filter((f) => !RECORDING.test(f)),
      videos,
      texts,
      audio: files.filter((f) => RECORDING.test(f)),
    };
    const kinds = KINDS.filter((kind) => given[kind].length > 0);
    const encoder = await runtime.load(model, {
      components: [...new Set(kinds.map((kind) => MODALITY_OF[kind]))],
      ...weightOptions(options),
      ...once.load,
      ...jpegOption(options),
    });
    const timedInputs: Readonly<Record<Kind, EncodeInputs[Kind]>> = {
      ...given,
      videos: await timed(host, videos, fps),
    };
    const wanted = wantedOutputs(encoder, kinds, options.outputs);
    // A file of one tensor has no room for it.
    const layout = options.outputs === undefined && out?.endsWith(".npy") !== true;
    const tensors: Record<string, Tensor> = {};
    const inputsOf: Record<string, readonly string[]> = {};
    for (const kind of kinds) {
      const outputs = wanted[kind] ?? [];
      if (outputs.length === 0) continue;
      const encoded = async (): Promise<readonly RecordedResult[]> => {
        const call = { outputs, layout, onProgress: progress.onEncoded };
        if (kind === "audio" && given.audio.length > 1) return encodeRecordings(encoder, given.audio, call);
        const result = await encoder.encode({ [kind]: timedInputs[kind] }, call);
        const named = Object.entries(result as Readonly<Record<string, Tensor>>);
        return named.map(([name, tensor]) => ({ name, tensor, inputs: given[kind] }));
      };
      for (const { name, tensor, inputs: of } of await encoded()) {
        // Towers share names of results; the second to come is told apart by what it was made of.
        const own = name in tensors ? `${PREFIXES[kind]}_${name}` : name;
        tensors[own] = tensor;
        inputsOf[own] = of;
      }
    }
    progress.stop();
    sayReduced(encoder);
    await trace.close();
    if (options.record !== undefined) await addSizes(host, options.record, sizes);
    const { device, target } = runtime;
    const head = {
      model,
      runtime: host.name,
      device,
      target,
      ...dtypeOption(options),
      ...jpegReport(encoder),
      files,
      texts,
      videos,
    };
    if (out !== undefined && out !== "-") {
      await writeOut(host, out, tensors, head);
      if (options.json !== true)
        say(
          `wrote ${Object.entries(tensors)
            .map(([n, t]) => `${n} [${t.shape.join(", ")}]`)
            .join(", ")} to ${out}`,
        );
      else printJson({ ...head, out, outputs: shapes(tensors) });
    } else if (options.json === true || out === "-") {
      printJson({ ...head, ...nested(tensors) });
    } else {
      print(summary(tensors, inputsOf));
    }
  };
  await withRuntime(options, run, { ...recording, ...trace.sink, ...once.runtime });
}

/** Whether a row for each file is wanted, rather than whole results of a few inputs. */
const isBulk = ({ out, resume, shardRows }: EmbedOptions): boolean =>
  out?.endsWith(".parquet") === true || resume === true || shardRows !== undefined;

/** Adds lines to a file of sizes, which need not be there. */
async function addSizes(host: Host, file: string, sizes: readonly RecordedSizes[]): Promise<void> {
  const old = await host.readFile(file).catch((error: unknown) => {
    if (error instanceof FoveaError && error.code === "file.not_found") return new Uint8Array();
    throw error;
  });
  await host.writeFileAtomic(file, new TextEncoder().encode(new TextDecoder().decode(old) + writeSizes(sizes)));
}

/** What is encoded in a call of its own. */
type Kind = "images" | "videos" | "texts" | "audio";

const KINDS: readonly Kind[] = ["images", "videos", "texts", "audio"];

const MODALITY_OF: Readonly<Record<Kind, Modality>> = {
  images: "vision",
  videos: "vision",
  texts: "text",
  audio: "audio",
};

const PREFIXES: Readonly<Record<Kind, string>> = { images: "vision", videos: "video", texts: "text", audio: "audio" };

/** @throws InvalidArgumentError */
function framesPerSecond(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("Expected a number of frames per second, above 0.");
}

/** Folders with the speed of their frames; files know their own. */
async function timed(host: Host, videos: readonly string[], fps: number | undefined): Promise<readonly VideoInput[]> {
  if (fps === undefined) return videos;
  const isFolder = async (video: string): Promise<boolean> =>
    (await host.stat(video).catch(() => undefined))?.kind === "directory";
  return Promise.all(videos.map(async (video) => ((await isFolder(video)) ? { frames: video, fps } : video)));
}

/** Results that stand for an input, the best first. */
const EMBEDDINGS = [
  ...["image_embeds", "text_embeds", "sentence_embedding"],
  ...["pooler_output", "projected", "last_hidden_state"],
];

/** What each call shall give: the wanted results that its tower has, or its embedding. @throws FoveaError `bad_usage` */
function wantedOutputs(
  encoder: Encoder,
  kinds: readonly Kind[],
  wanted: readonly string[] | undefined,
): Readonly<Partial<Record<Kind, readonly string[]>>> {
  const available = kinds.map((kind) => {
    const { outputs, layout = [] } = encoder.tower(MODALITY_OF[kind]).spec;
    return [kind, outputs, layout] as const;
  });
  const all = [...new Set(available.flatMap(([, outputs, layout]) => [...outputs, ...layout]))];
  const unknown = wanted?.find((name) => !all.includes(name));
  if (unknown !== undefined) {
    throw new FoveaError(
      "bad_usage",
      `There is no result "${unknown}"; these inputs give ${all.join(", ")}.${didYouMean(unknown, all)}`,
    );
  }
  return Object.fromEntries(
    available.map(([kind, outputs, layout]) => {
      if (wanted !== undefined) return [kind, [...outputs, ...layout].filter((name) => wanted.includes(name))];
      const embedding = EMBEDDINGS.find((name) => outputs.includes(name)) ?? outputs[0];
      return [kind, [embedding]];
    }),
  );
}

/** Refuses before anything is computed. @throws FoveaError `bad_usage` */
async function checkOut(out: string): Promise<void> {
  if (!OUT_FORMATS.some((f) => out.endsWith(f))) {
    throw new FoveaError(
      "bad_usage",
      `--out ${out} has no known format; use one of ${OUT_FORMATS.join(", ")}, .parquet for a row for each file, or - for JSON on stdout.`,
    );
  }
  await checkOutFile(await detectHost(), out, `--out ${out}`);
}

function shapes(tensors: Readonly<Record<string, Tensor>>): Readonly<Record<string, readonly number[]>> {
  return Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, t.shape]));
}

type Nested = number | readonly Nested[];

/** A tensor as lists in lists. */
function nest(tensor: Tensor): Nested {
  let level: Nested[] = Array.from(tensor.data);
  for (let axis = tensor.shape.length - 1; axis > 0; axis--) {
    const size = tensor.shape[axis];
    level = Array.from({ length: level.length / size }, (_, i) => level.slice(i * size, (i + 1) * size));
  }
  return level;
}

function nested(tensors: Readonly<Record<string, Tensor>>): Readonly<Record<string, Nested>> {
  return Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, nest(t)]));
}

async function writeOut(
  host: Host,
  out: string,
  tensors: Readonly<Record<string, Tensor>>,
  head: object,
): Promise<void> {
  if (out.endsWith(".json")) {
    return host.writeFileAtomic(out, new TextEncoder().encode(`${JSON.stringify({ ...head, ...nested(tensors) })}\n`));
  }
  if (out.endsWith(".safetensors")) return host.writeFileAtomic(out, encodeSafetensors(tensors));
  const all = Object.values(tensors);
  if (all.length !== 1) {
    throw new FoveaError(
      "bad_usage",
      `An .npy file holds one array and there are ${all.length} (${Object.keys(tensors).join(", ")}); use .safetensors.`,
    );
  }
  return host.writeFileAtomic(out, encodeNpy(all[0]));
}

/** A line for each input; results that do not have one row for each, such as packed patches, take one line. */
function summary(
  tensors: Readonly<Record<string, Tensor>>,
  inputsOf: Readonly<Record<string, readonly string[]>>,
): string {
  const line = (input: string, name: string, shape: readonly number[], values: Tensor["data"]): readonly string[] => {
    // Numbers that count are shown as they are.
    if (!(values instanceof Float32Array))
      return [oneLine(input, TEXT_WIDTH), name, shape.join("x"), "", values.join(" ")];
    const row = Float64Array.from(values);
    const norm = Math.sqrt(row.reduce((sum, v) => sum + v * v, 0));
    const first = [...row.slice(0, 4)].map((v) => v.toFixed(4)).join(" ");
    return [oneLine(input, TEXT_WIDTH), name, shape.join("x"), norm.toFixed(4), `${first} ...`];
  };
  const rows = Object.entries(tensors).flatMap(([name, { shape, data }]) => {
    const inputs = inputsOf[name];
    if (shape[0] !== inputs.length)
      return [line(inputs.length === 1 ? inputs[0] : `all ${inputs.length} inputs`, name, shape, data)];
    const width = data.length / inputs.length;
    return inputs.map((input, i) => line(input, name, shape.slice(1), data.subarray(i * width, (i + 1) * width)));
  });
  return table(["input", "result", "size", "norm", "values"], rows);
}
