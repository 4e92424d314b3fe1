/** Where models and pictures come from: folders, addresses, memory. */
import type { PixelImage } from "../../abi/encoder.ts";
import type { Plugin } from "../../abi/plugin.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { type CheckpointFiles, directoryFiles, httpFiles, memoryFiles } from "../../exec/weights/checkpoint.ts";
import { type FolderHandle, type GivenFiles, givenFiles, handleFiles } from "../../exec/weights/given_files.ts";
import { type Host, type JpegDecoder, loadJpegDecoder } from "../../host/mod.ts";
import type { Select } from "../../hub/open_hub.ts";
import { decodeImage } from "../../media/decode.ts";
import { type Image, toRgb } from "../../media/image.ts";
import { foundText, isObject, withMethods } from "../check.ts";
import { checkedClip, checkedPixels } from "./given_media.ts";
import { type HubContext, openKeptOrStreamed } from "./hub_source.ts";
import type { MediaReader } from "./inputs.ts";
import { nameOf } from "./preparing.ts";

/**
 * A folder's path, `hf:organisation/name` (with `@revision`), an http(s) or file URL, files by name, or the `File` objects and
 * folder handles that a page is given. In browsers paths are addresses relative to the page.
 */
export type ModelSource =
  | string
  | URL
  | ReadonlyMap<string, Uint8Array | Blob>
  | GivenFiles
  | FolderHandle
  | CheckpointFiles;

function folderAddress(url: URL): URL {
  return url.pathname.endsWith("/") ? url : new URL(`${url.pathname}/${url.search}`, url);
}

/** The address that a text is, if it is one. @throws FoveaError `bad_source` for an address that makes no sense */
export function addressOf(text: string, { base }: Pick<Host, "base">): URL | undefined {
  // One letter would be a drive.
  if (base === undefined && !/^([a-z][a-z\d+.-]+:\/\/|data:)/i.test(text)) return undefined;
  try {
    return new URL(text, base);
  } catch (cause) {
    throw new FoveaError("bad_source", `"${text}" is not a valid address.`, { cause });
  }
}

const CHECKPOINT_FILES = withMethods("files", "list", "open");
const FOLDER_HANDLE = withMethods("a folder", "values", "getFileHandle");

/** A model's files; those of the hub are fetched as far as they are wanted. */
export interface SourceFiles extends CheckpointFiles {
  /** Called before the weights are opened. */
  prepare?(select: Select): Promise<void>;
}

export interface SourceOptions {
  readonly hub: HubContext;
  /** Ends downloads. */
  readonly signal?: AbortSignal | undefined;
}

/** @throws FoveaError `bad_source` */
export async function openModelSource(source: ModelSource, host: Host, options: SourceOptions): Promise<SourceFiles> {
  const { hub, signal } = options;
  const download = (url: string, init?: { readonly headers?: Record<string, string> }): Promise<Response> =>
    fetchFrom(url, signal === undefined ? { ...init } : { ...init, signal });
  if (typeof source === "string") {
    if (source === "") throw new FoveaError("bad_source", "The model's name is empty; give the path of its folder.");
    if (source.startsWith("hf:")) return openKeptOrStreamed(source, host, hub, signal);
    const address = addressOf(source, host);
    return address === undefined ? modelFolder(host, source) : openModelSource(address, host, options);
  }
  if (source instanceof URL) {
    if (source.protocol === "file:") return modelFolder(host, host.pathOf(source));
    if (/^https?:$/.test(source.protocol)) return httpFiles(folderAddress(source), download);
    throw new FoveaError("bad_source", `${source.href} cannot be read; give a folder, an http(s) or a file URL.`);
  }
  if (source instanceof Map) return memoryFiles(source);
  if (CHECKPOINT_FILES.holds(source)) return source as CheckpointFiles;
  if (isObject(source) && "files" in source) return givenFiles((source as GivenFiles).files);
  if (FOLDER_HANDLE.holds(source)) return handleFiles(source as FolderHandle);
  throw new FoveaError(
    "bad_source",
    `A model is a folder's path, hf:organisation/name, a URL, a Map of files by name, or { files } with a list of File objects; found ${foundText(source)}.`,
  );
}

/** Files of a folder; what is no folder is named in the words of models. */
function modelFolder(host: Host, path: string): CheckpointFiles {
  const files = directoryFiles(host, path);
  return {
    ...files,
    list: async () => {
      try {
        return await files.list();
      } catch (error) {
        throw error instanceof FoveaError ? folderError(path, error) : error;
      }
    },
  };
}

function folderError(path: string, error: FoveaError): FoveaError {
  if (error.code === "file.not_found") {
    const hub = /^\w[\w.-]*\/[\w.-]+$/.test(path) ? `; for a model of the hub write hf:${path}` : "";
    return new FoveaError(error.code, `There is no model folder ${path}. Check the path${hub}.`, { cause: error });
  }
  if (error.code !== "file.kind") return error;
  return new FoveaError(
    error.code,
    `${path} is not a folder; give the folder that holds the model's config.json and weights.`,
    { cause: error },
  );
}

/** `fetch` whose errors say why: Node and Deno hide the reason in the cause. */
async function fetchFrom(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    init.signal?.throwIfAborted();
    const inner = error instanceof Error ? error.cause : undefined;
    throw inner instanceof Error && inner.message !== "" ? inner : error;
  }
}

const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/[.!?]$/, "");

async function fetchedBytes(url: URL, signal: AbortSignal | undefined): Promise<Uint8Array> {
  try {
    const response = await fetchFrom(url.href, signal === undefined ? {} : { signal });
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    throw new FoveaError("fetch_failed", `${url.href} answered with status ${response.status}. Check the address.`);
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof FoveaError) throw cause;
    throw new FoveaError(
      "fetch_failed",
      `${url.href} cannot be reached: ${reasonOf(cause)}. Check the address and the connection.`,
      {
        cause,
      },
    );
  }
}

/** A data URI whose base64 is as Bun wants it, too: without spaces, and filled up to fours. */
function filledUp({ href }: URL): URL {
  const from = href.indexOf(";base64,") + 8;
  if (from < 8 || /[%#]/.test(href)) return new URL(href);
  const text = href.slice(from).replaceAll(" ", "");
  return new URL(href.slice(0, from) + text.padEnd(4 * Math.ceil(text.length / 4), "="));
}

/** The bytes that an address itself holds, which may be too long for a message. */
async function dataBytes(url: URL, name: string, signal?: AbortSignal): Promise<Uint8Array> {
  try {
    return await fetchedBytes(filledUp(url), signal);
  } catch {
    signal?.throwIfAborted();
    throw new FoveaError("bad_source", `${name} is no valid data URI; expected data:image/png;base64,… or its like.`);
  }
}

/** The bytes of a file, an address or a blob; nothing for what is none of them. */
function createByteReader(
  host: Host,
): (place: unknown, name: string, signal?: AbortSignal) => Promise<Uint8Array | undefined> {
  return async (place, name, signal) => {
    if (place === "") throw new FoveaError("bad_source", `${name} is an empty text; give a path.`);
    if (place instanceof Uint8Array) return place;
    if (place instanceof ArrayBuffer) return new Uint8Array(place);
    if (place instanceof Blob) return new Uint8Array(await place.arrayBuffer());
    if (typeof place !== "string" && !(place instanceof URL)) return undefined;
    const url = typeof place === "string" ? addressOf(place, host) : place;
    if (url === undefined) return host.readFile(String(place));
    if (url.protocol === "file:") return host.readFile(host.pathOf(url));
    if (/^(https?|blob):$/.test(url.protocol)) return fetchedBytes(url, signal);
    if (url.protocol === "data:") return dataBytes(url, name, signal);
    throw new FoveaError("bad_source", `${url.href} cannot be read; give a path, an http(s) or a file URL.`);
  };
}

/** Where a place lies among this machine's files, if it does. */
function localPath(host: Host, place: unknown): string | undefined {
  if (typeof place !== "string" && !(place instanceof URL)) return undefined;
  const url = typeof place === "string" ? addressOf(place, host) : place;
  if (url === undefined) return String(place);
  return url.protocol === "file:" ? host.pathOf(url) : undefined;
}

/** A picture of a format that fovea does not know, by the first plugin that does; nothing where none does. */
async function decodedByPlugin(
  plugins: readonly Plugin[],
  bytes: Uint8Array,
  error: unknown,
): Promise<Image | undefined> {
  if (!(error instanceof FoveaError) || error.code !== "image.unknown") return undefined;
  for (const { decode } of plugins.flatMap((p) => p.images ?? [])) {
    const found = await decode?.(bytes);
    if (found !== undefined) return toRgb({ ...found, channels: 4 });
  }
  return undefined;
}

const NO_SHARP =
  "the optional package sharp is not installed or does not load here. JPEG files are decoded whole; install sharp.";
const NO_REDUCTION =
  "sharp did not read a JPEG file at a reduced size, for which it needs a temporary file. JPEG files are decoded whole; see that the folder for temporary files can be written to.";

export interface MediaReaderOptions {
  /** Asked for pictures of formats that fovea does not know. */
  readonly plugins?: readonly Plugin[];
  /** Told once when a JPEG file that may be read at a reduced size is not. */
  readonly onProblem?: ((sentence: string) => void) | undefined;
  /** The native decoder of JPEG files, or nothing where there is none; the host's unless given. */
  readonly loadDecoder?: () => Promise<JpegDecoder | undefined>;
}

/** Readers of pictures, videos and recordings; codecs are compiled once for them. */
export function createMediaReader(
  host: Host,
  { plugins = [], onProblem, loadDecoder = loadJpegDecoder }: MediaReaderOptions = {},
): MediaReader {
  const bytesOf = createByteReader(host);
  const loadCodec = async (specifier: string): Promise<WebAssembly.Module> => {
    const bytes = await host.loadPackageFile(specifier);
    return WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>);
  };
  let native: Promise<JpegDecoder | undefined> | undefined;
  /** Of pictures that were read here, where the native decoder holds their pixels. Those that callers give are other objects. */
  const releases = new WeakMap<PixelImage, () => Promise<void>>();
  let told = false;
  const tellWhole = (decoder: JpegDecoder | undefined): void => {
    if (!told) onProblem?.(`jpegShrinkOnLoad has no effect: ${decoder === undefined ? NO_SHARP : NO_REDUCTION}`);
    told = true;
  };
  const image: MediaReader["image"] = async (picture, { name = "The picture", signal, reduceJpeg } = {}) => {
    const bytes = await bytesOf(picture, name, signal);
    if (bytes === undefined) return checkedPixels(picture, name);
    let reduces = false;
    let samples: Awaited<ReturnType<JpegDecoder>>;
    const decodeJpeg: JpegDecoder = async (file, reduction) => {
      native ??= loadDecoder();
      reduces ||= reduction !== undefined;
      samples = await (await native)?.(file, reduction);
      return samples;
    };
    const decoded = await decodeImage(bytes, {
      ...{ loadCodec, decodeJpeg, name: nameOf(picture, name), exif: true },
      ...(reduceJpeg === undefined ? {} : { reduceJpeg }),
    }).catch(async (error: unknown) => {
      const other = await decodedByPlugin(plugins, bytes, error);
      if (other === undefined) throw error;
      return other;
    });
    const release = samples?.data.buffer === decoded.data.buffer ? samples?.release : undefined;
    if (release !== undefined) releases.set(decoded, release);
    if (reduces && decoded.reducedFrom === undefined) tellWhole(await native);
    return decoded;
  };
  return {
    image,
    release: async (picture) => {
      const free = releases.get(picture);
      releases.delete(picture);
      await free?.();
    },
    video: async (video, sample, options) => {
      const { createVideoReader } = await import("./video.ts");
      const sources = { host, bytesOf, image, loadCodec, nameOf, pathOf: (place: unknown) => localPath(host, place) };
      return createVideoReader(sources)(video, sample, options);
    },
    audio: async (audio, { name = "The recording", signal } = {}) => {
      const bytes = await bytesOf(audio, name, signal);
      if (bytes === undefined) return checkedClip(audio, name);
      const { decodeAudio } = await import("../../media/audio/decode.ts");
      return decodeAudio(bytes, { name: nameOf(audio, name) });
    },
  };
}
