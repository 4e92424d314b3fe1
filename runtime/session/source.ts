/** Where models and pictures come from: folders, addresses, memory. */
import type { PixelImage } from "../abi/encoder.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { type CheckpointFiles, directoryFiles, httpFiles, memoryFiles } from "../exec/weights/checkpoint.ts";
import type { Host } from "../host/mod.ts";
import { decodeImage } from "../media/decode.ts";
import type { ImageInput } from "./encoder.ts";

/** A folder's path, `hf:organisation/name` (with `@revision`), an http(s) or file URL, or files by name. */
export type ModelSource = string | URL | ReadonlyMap<string, Uint8Array> | CheckpointFiles;

const HUB = "https://huggingface.co";

/** `hf:organisation/name@revision` as the address of its files. */
function hubAddress(reference: string): URL {
  const found = /^hf:([\w.-]+\/[\w.-]+)(?:@([\w./-]+))?$/.exec(reference);
  if (found === null) {
    throw new FoveaError(
      "bad_source",
      `"${reference}" is no model of the hub; write hf:organisation/name or hf:organisation/name@revision.`,
    );
  }
  return new URL(`${HUB}/${found[1]}/resolve/${found[2] ?? "main"}/`);
}

function folderAddress(url: URL): URL {
  return url.pathname.endsWith("/") ? url : new URL(`${url.pathname}/${url.search}`, url);
}

/** @throws FoveaError `bad_source` */
export function openModelSource(source: ModelSource, host: Host): CheckpointFiles {
  if (typeof source === "string") {
    if (source.startsWith("hf:")) return httpFiles(hubAddress(source), (url, init) => fetch(url, init));
    return /^(https?|file):\/\//.test(source) ? openModelSource(new URL(source), host) : directoryFiles(host, source);
  }
  if (source instanceof URL) {
    if (source.protocol === "file:") return directoryFiles(host, host.pathOf(source));
    if (/^https?:$/.test(source.protocol)) return httpFiles(folderAddress(source), (url, init) => fetch(url, init));
    throw new FoveaError("bad_source", `${source.href} cannot be read; give a folder, an http(s) or a file URL.`);
  }
  return source instanceof Map ? memoryFiles(source) : (source as CheckpointFiles);
}

const isPixels = (image: Uint8Array | PixelImage): image is PixelImage => "channels" in image;

async function fetched(url: URL): Promise<Uint8Array> {
  const response = await fetch(url).catch((cause: unknown) => {
    throw new FoveaError(
      "fetch_failed",
      `${url.href} cannot be reached: ${cause instanceof Error ? cause.message : String(cause)}.`,
      { cause },
    );
  });
  if (!response.ok) throw new FoveaError("fetch_failed", `${url.href} answered with status ${response.status}.`);
  return new Uint8Array(await response.arrayBuffer());
}

/** A reader of pictures; codecs are compiled once for it. */
export function createImageReader(host: Host): (image: ImageInput) => Promise<PixelImage> {
  const loadCodec = async (specifier: string): Promise<WebAssembly.Module> => {
    const bytes = await host.loadPackageFile(specifier);
    return WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>);
  };
  return async (image) => {
    if (typeof image === "string" && /^https?:\/\//.test(image))
      return decodeImage(await fetched(new URL(image)), { loadCodec, name: image });
    if (typeof image === "string") return decodeImage(await host.readFile(image), { loadCodec, name: image });
    if (image instanceof URL) {
      const bytes = image.protocol === "file:" ? await host.readFile(host.pathOf(image)) : await fetched(image);
      return decodeImage(bytes, { loadCodec, name: image.href });
    }
    if (isPixels(image)) return checkedPixels(image);
    return decodeImage(image, { loadCodec });
  };
}

/** @throws FoveaError `invalid_input` */
function checkedPixels(image: PixelImage): PixelImage {
  const { width, height, channels, data } = image;
  if (channels !== 3 || !(width >= 1) || !(height >= 1) || data.length !== width * height * 3) {
    throw new FoveaError(
      "invalid_input",
      `Pixels must be RGB with 3 x width x height bytes; found ${data.length} bytes for ${width}x${height} with ${channels} channels.`,
    );
  }
  return image;
}
