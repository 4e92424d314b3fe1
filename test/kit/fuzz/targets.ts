/** What damaged input is fed to: everything that reads bytes of strangers. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createRuntime, type Runtime } from "../../../mod.ts";
import { FoveaError } from "../../../runtime/core/diagnostics.ts";
import { digestBytes } from "../../../runtime/core/digest.ts";
import { blobKey } from "../../../runtime/exec/store/content.ts";
import { parseSafetensors } from "../../../runtime/exec/weights/safetensors.ts";
import { encodeSafetensors } from "../../../runtime/exec/weights/writer.ts";
import { openForeignPlugin } from "../../../runtime/foreign/load.ts";
import { detectHost } from "../../../runtime/host/mod.ts";
import { decodeAudio } from "../../../runtime/media/audio/decode.ts";
import { decodeImage } from "../../../runtime/media/decode.ts";
import { createApp, type ServerApp } from "../../../runtime/server/mod.ts";
import { transpileSource } from "../../../runtime/session/registry/transpile_source.ts";
import { filesBelow, withFolder } from "../folder.ts";
import { repositoryPath } from "../run_cli.ts";
import { TEST_CACHE } from "../test_cache.ts";
import { wavFile } from "../wav_writer.ts";

/** Something that reads bytes. */
export interface FuzzTarget {
  readonly name: string;
  /** Good input, which damaged input is made of. */
  readonly files: readonly Uint8Array[];
  /** Cases of every hundred; rough, by what one costs. */
  readonly share: number;
  /** Takes the bytes or refuses them: throws anything but a `FoveaError` where neither happens. */
  feed(bytes: Uint8Array): Promise<void>;
}

export interface FuzzTargets {
  readonly targets: readonly FuzzTarget[];
  close(): Promise<void>;
}

const DIGITS = repositoryPath("examples/models/digits-clip");
const read = (path: string): Uint8Array => new Uint8Array(readFileSync(path));
const fixture = (path: string): Uint8Array => read(repositoryPath(`test/fixtures/${path}`));
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const json = (value: unknown): Uint8Array => text(JSON.stringify(value));

const PICTURES = ["baseline.jpg", "progressive.jpg", "grey.jpg", "lossy.webp", "lossless.webp", "alpha.webp"];
const SOUNDS = ["stereo_16.flac", "mono.mp3", "mono.ogg"];

const SMALL_WEIGHTS = encodeSafetensors({
  "layer.weight": { dtype: "f32", shape: [3, 4], data: new Uint8Array(48) },
  "layer.bias": { dtype: "bf16", shape: [3], data: new Uint8Array(6) },
});

const WAVS = [
  wavFile(new Uint8Array(400).fill(7)),
  wavFile(new Uint8Array(480), { bits: 24, channels: 2, sampleRate: 44100, extensible: true }),
  wavFile(new Uint8Array(256), { encoding: 3, bits: 32 }),
];

/** Only what is told in a sentence is a refusal. */
async function orRefused(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof FoveaError)) throw error;
  }
}

/** Files of a model with one of them replaced. */
function modelWith(name: string, bytes: Uint8Array): Map<string, Uint8Array> {
  const names = [
    "config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
  ];
  return new Map(names.map((own) => [own, own === name ? bytes : read(join(DIGITS, own))]));
}

async function loads(runtime: Runtime, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  await (await runtime.load(files, { components: ["text"] })).close();
}

/** A pack of the text tower: its manifest, and plans that a manifest vouches for, so that they are read. */
async function packTargets(maker: Runtime): Promise<readonly FuzzTarget[]> {
  const files = await withFolder(async (folder) => {
    await maker.buildPack(DIGITS, folder, { components: ["text"], targets: ["wasm-simd128"] });
    return new Map(filesBelow(folder).map(({ name, bytes }) => [name, bytes]));
  });
  const manifestFile = [...files.keys()].find((name) => !name.startsWith("blobs/")) ?? "";
  const whole = files.get(manifestFile) ?? new Uint8Array();
  const { artifact } = JSON.parse(new TextDecoder().decode(whole)).entries[0] as { readonly artifact: string };
  const runs = async (pack: ReadonlyMap<string, Uint8Array>): Promise<void> => {
    const runtime = await createRuntime({ threads: 0, cache: TEST_CACHE, packs: [pack], target: "wasm-simd128" });
    try {
      const encoder = await runtime.load(DIGITS, { components: ["text"] });
      await encoder.encode({ texts: ["a two"] });
    } finally {
      await runtime.close();
    }
  };
  return [
    {
      name: "manifests of packs",
      share: 2,
      files: [whole],
      feed: (bytes) => orRefused(runs(new Map(files).set(manifestFile, bytes))),
    },
    {
      name: "plans of packs",
      share: 2,
      files: [files.get(blobKey(artifact)) ?? new Uint8Array()],
      feed: (bytes) => {
        const digest = digestBytes(bytes);
        const manifest = JSON.parse(new TextDecoder().decode(whole).replaceAll(artifact, digest));
        manifest.blobs[digest] = bytes.length;
        return orRefused(runs(new Map(files).set(manifestFile, json(manifest)).set(blobKey(digest), bytes)));
      },
    },
  ];
}

function serverTargets(app: ServerApp): readonly FuzzTarget[] {
  const images = readdirSync(join(DIGITS, "images")).filter((name) => name.endsWith(".png"));
  const picture = read(join(DIGITS, "images", images[0]));
  const uri = `data:image/png;base64,${Buffer.from(picture).toString("base64")}`;
  const ask = (path: string, type: string) => async (body: Uint8Array) => {
    const request = { method: "POST", headers: { "content-type": type }, body: body.slice().buffer };
    const response = await app.request(path, request);
    const answer = await response.text();
    if (response.status >= 500) throw new Error(`${path} answered with ${response.status}: ${answer.slice(0, 300)}`);
  };
  const boundary = "seam";
  const part = (head: string, body: Uint8Array): Uint8Array[] => [
    text(`--${boundary}\r\ncontent-disposition: form-data; ${head}\r\n\r\n`),
    body,
    text("\r\n"),
  ];
  const form = (...parts: readonly Uint8Array[][]): Uint8Array =>
    new Uint8Array(Buffer.concat([...parts.flat(), text(`--${boundary}--\r\n`)]));
  const embeddings = ask("/v1/embeddings", "application/json");
  return [
    {
      name: "requests for embeddings",
      share: 14,
      files: [
        json({ model: "digits", input: ["a two", "a three"], encoding_format: "base64", dimensions: 8 }),
        json({
          input: {
            content: [
              { type: "text", text: "two" },
              { type: "image_url", image_url: { url: uri } },
            ],
          },
        }),
        json({ input: [[1, 2, 3], [4]], user: "x" }),
      ],
      feed: embeddings,
    },
    {
      name: "data URIs",
      share: 12,
      files: [
        text(uri),
        text(uri.replace("image/png", "image/jpeg")),
        text("data:,hello"),
        text("data:text/plain;base64,aGk="),
      ],
      feed: (bytes) => embeddings(json({ input: [new TextDecoder().decode(bytes)] })),
    },
    {
      name: "requests to encode",
      share: 6,
      files: [
        json({ images: [uri], texts: ["a two"], outputs: ["image_embeds"], format: "ndjson" }),
        json({ texts: ["a two"], format: "safetensors" }),
      ],
      feed: ask("/v1/encode", "application/json"),
    },
    {
      name: "forms",
      share: 10,
      files: [
        form(part('name="images"; filename="a.png"', picture), part('name="texts"', text("a two"))),
        form(part('name="texts"', text("a two")), part('name="format"', text("npy"))),
      ],
      feed: ask("/v1/encode", `multipart/form-data; boundary=${boundary}`),
    },
  ];
}

/** Opens what the targets need; a runtime in the caller's process, without workers. */
export async function openFuzzTargets(): Promise<FuzzTargets> {
  const host = await detectHost();
  const loadCodec = async (name: string): Promise<WebAssembly.Module> =>
    WebAssembly.compile((await host.loadPackageFile(name)) as Uint8Array<ArrayBuffer>);
  const runtime = await createRuntime({ threads: 0, cache: TEST_CACHE, memory: 256 * 2 ** 20 });
  const served = await createRuntime({ threads: 0, cache: TEST_CACHE });
  const app = createApp({ runtime: served, models: { digits: { source: DIGITS } } });
  await app.ready;
  const kernel = repositoryPath("examples/kernel-c");
  const module = "add_layer_norm.simd128.wasm";
  const transpiling = await transpileSource(false);
  const plugin = (changed: Readonly<Record<string, Uint8Array>>) =>
    openForeignPlugin(
      {
        name: "a plugin",
        read: (file) => (file in changed ? Promise.resolve(changed[file]) : host.readFile(join(kernel, file))),
      },
      { isolation: "own-memory", trustGlue: false, transpiling },
    );
  const manifest = read(join(kernel, "plugin.json"));
  const good = digestBytes(read(join(kernel, module)));
  const wholeConfig = read(join(DIGITS, "config.json"));
  const targets: readonly FuzzTarget[] = [
    {
      name: "pictures",
      share: 18,
      files: [
        ...PICTURES.map((name) => fixture(`preprocess/decode/${name}`)),
        ...readdirSync(join(DIGITS, "images"))
          .slice(0, 2)
          .map((name) => read(join(DIGITS, "images", name))),
      ],
      feed: (bytes) => orRefused(decodeImage(bytes, { loadCodec, maxPixels: 2 ** 22 })),
    },
    {
      name: "sounds",
      share: 5,
      files: SOUNDS.map((name) => fixture(`audio/${name}`)),
      feed: (bytes) => orRefused(decodeAudio(bytes, { maxSamples: 2 ** 20 })),
    },
    {
      name: "WAV",
      share: 8,
      files: WAVS,
      feed: (bytes) => orRefused(decodeAudio(bytes, { maxSamples: 2 ** 20 })),
    },
    {
      name: "heads of safetensors",
      share: 14,
      files: [SMALL_WEIGHTS],
      feed: (bytes) => orRefused((async () => parseSafetensors("a file", bytes))()),
    },
    {
      name: "config.json",
      share: 1,
      files: [wholeConfig],
      feed: (bytes) => orRefused(loads(runtime, modelWith("config.json", bytes))),
    },
    {
      name: "tokenizer.json",
      share: 2,
      files: [read(join(DIGITS, "tokenizer.json"))],
      feed: (bytes) => orRefused(loads(runtime, modelWith("tokenizer.json", bytes))),
    },
    ...(await packTargets(runtime)),
    {
      name: "plugin.json",
      share: 3,
      files: [manifest],
      feed: (bytes) => orRefused(plugin({ "plugin.json": bytes })),
    },
    {
      name: "modules of plugins",
      share: 3,
      files: [read(join(kernel, module))],
      feed: (bytes) => {
        const vouched = new TextDecoder().decode(manifest).replace(good, digestBytes(bytes));
        return orRefused(plugin({ "plugin.json": text(vouched), [module]: bytes }));
      },
    },
    ...serverTargets(app),
  ];
  return {
    targets,
    close: async () => {
      app.close();
      await Promise.all([runtime.close(), served.close()]);
    },
  };
}
