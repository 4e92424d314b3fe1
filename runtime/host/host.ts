/** What fovea may ask of the runtime it lives in. Only the files of this folder touch runtime globals. */
import type { HostGpu, Unavailable, WorkerHandle } from "../abi/device.ts";
import type { SourcePlace } from "../core/source_place.ts";
import type { Digest } from "./digest.ts";

export type HostName = "browser" | "bun" | "deno" | "node";

/** The environment variables that fovea reads; those of the hub are credentials and an address, as its other clients take them. */
export type EnvironmentName = "FOVEA_CACHE_DIR" | "FOVEA_COMPILE" | "FOVEA_LOG" | "HF_TOKEN" | "HF_ENDPOINT";

export type EntryKind = "file" | "directory" | "other";

export interface DirectoryEntry {
  readonly name: string;
  readonly kind: EntryKind;
}

export interface FileStat {
  readonly kind: EntryKind;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
}

/** A file opened for reading. */
export interface OpenFile {
  /** Bytes, when it was opened. */
  readonly size: number;
  /**
   * Fills `into` (a view of shared memory is fine) from `position` and returns the bytes read: fewer than asked only at
   * the end of the file. Reads may overlap in time.
   */
  read(into: Uint8Array, position: number): Promise<number>;
  close(): Promise<void>;
}

/** A file opened for reading and writing at any position; what it held stays. */
export interface WritableFile extends OpenFile {
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Resolves when what was written would survive a power cut. */
  sync(): Promise<void>;
}

/**
 * A runtime. File functions throw `FoveaError` with code `file.not_found`, `file.denied`, `file.kind`, `file.no_space`,
 * `file.read_only` or `file.failed`.
 */
export interface Host {
  readonly name: HostName;
  /** Version of the runtime, such as `20.20.2`, or a browser's name and version. */
  readonly version: string;
  /** JavaScript engine and, where known, its version: `V8 11.3`. */
  readonly engine: string;
  /** Processors that may be used. */
  readonly cores: number;
  /** Where models and pictures are addresses and never paths: what relative ones are relative to. */
  readonly base?: URL;

  readFile(path: string): Promise<Uint8Array>;
  openFile(path: string): Promise<OpenFile>;
  /** Entries in the order of their names' UTF-16 units. */
  listDir(path: string): Promise<readonly DirectoryEntry[]>;
  stat(path: string): Promise<FileStat>;
  /** Writes under a temporary name in the same folder and renames, so that readers see all or nothing. */
  writeFileAtomic(path: string, bytes: Uint8Array): Promise<void>;
  /** Creates the file where there is none. */
  openForWriting(path: string): Promise<WritableFile>;
  /** Moves a file over another one, or to where none is. */
  rename(from: string, to: string): Promise<void>;
  /** Deletes a file; no error when it is not there. */
  remove(path: string): Promise<void>;
  /** Creates a folder and those above it; no error when it is there. */
  mkdir(path: string): Promise<void>;
  /** Path of a `file:` URL. */
  pathOf(url: URL): string;
  /** SHA-256. */
  createDigest(): Digest;
  /** SHA-1, by which git names files: pages have to load theirs. */
  createSha1(): Promise<Digest>;
  /** A file inside an installed dependency, such as `@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm`. */
  loadPackageFile(specifier: string): Promise<Uint8Array>;
  /** What a JavaScript module exports, or where the runtime reads it a TypeScript one. Throws what the engine throws. */
  importModule(path: string): Promise<Readonly<Record<string, unknown>>>;

  /** What an installed package exports. Throws what the engine throws where it is not installed. */
  importPackage(name: string): Promise<Readonly<Record<string, unknown>>>;

  /** Where a place in compiled code comes from, by the source map beside the file; nothing when there is none. */
  originalPlace(place: SourcePlace): Promise<SourcePlace | undefined>;

  env(name: EnvironmentName): string | undefined;
  /** FOVEA_CACHE_DIR, else the platform's folder for caches, else (unknown or not permitted) undefined. */
  defaultCacheDir(): string | undefined;
  /** Where the hub's own clients keep the token of a login, undefined when the home folder is unknown or not permitted. */
  hubTokenPath(): string | undefined;
  /** Milliseconds on a clock that never goes back. */
  now(): number;
  isTerminal(stream: "stdin" | "stdout" | "stderr"): boolean;
  /** Resident memory of the process, bytes; 0 where nobody tells. */
  rss(): number;
  /** Starts a worker that imports `entry` and calls its `start(port)`; see worker_port.ts. */
  spawnWorker(entry: URL, data: unknown): WorkerHandle;
  /** New memory that may hold anything, where it comes sooner than cleared memory. */
  readonly uncleared?: (bytes: number) => ArrayBuffer;
  /** Why workers cannot share memory; absent where they can. */
  readonly unshared?: string;
  /** The runtime's WebGPU, or why there is none. @param experimental with features that are no standard yet, where that has to be asked for */
  gpu(experimental?: boolean): Promise<HostGpu | Unavailable>;
  /** As `spawnWorker`, for a worker that a GPU's device lives in; present where waiting for the GPU holds up the thread. */
  readonly spawnGpuWorker?: (entry: URL, data: unknown) => WorkerHandle;
}
