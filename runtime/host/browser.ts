/**
 * Browsers: models and pictures are addresses, relative ones relative to the page; what is kept lies in Cache storage;
 * threads need a page that is cross-origin isolated.
 */
import { FoveaError } from "../core/diagnostics.ts";
import { Sha256 } from "../core/digest.ts";
import { codecFile } from "./browser_codecs.ts";
import { type CacheScope, createBrowserFiles, openCacheStorage } from "./browser_files.ts";
import { browserName } from "./browser_name.ts";
import { spawnBrowserWorker } from "./browser_worker.ts";
import type { Digest } from "./digest.ts";
import { builtInGpu } from "./gpu.ts";
import type { Host } from "./host.ts";

const NOT_ISOLATED =
  "the page is not cross-origin isolated, so that the browser gives it no shared memory (serve it with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp)";

const noFile = (url: string): FoveaError =>
  new FoveaError(
    "bad_source",
    `${url} is a file of this machine, which a page cannot open by its name; give the File.`,
  );

function createDigest(): Digest {
  const digest = new Sha256();
  return { update: (bytes) => void digest.update(bytes), hex: () => digest.hex() };
}

export function createBrowserHost(): Host {
  const { userAgent, hardwareConcurrency } = navigator;
  const { crossOriginIsolated } = globalThis as { readonly crossOriginIsolated?: boolean };
  const base = new URL((globalThis as { document?: { readonly baseURI: string } }).document?.baseURI ?? location.href);
  return {
    ...browserName(userAgent),
    ...createBrowserFiles(() => openCacheStorage(globalThis as CacheScope)),
    name: "browser",
    cores: hardwareConcurrency,
    base,
    ...(crossOriginIsolated === true ? {} : { unshared: NOT_ISOLATED }),
    openForWriting: async (path) => {
      throw new FoveaError("file.read_only", `Cannot write ${path}: files of a page are written whole.`);
    },
    mkdir: async () => undefined,
    pathOf: (url) => {
      throw noFile(url.href);
    },
    createDigest,
    createSha1: async () => (await import("./sha1.ts")).createSha1(),
    loadPackageFile: codecFile,
    importModule: (path) => {
      const { href } = new URL(path, base);
      return import(/* @vite-ignore */ /* webpackIgnore: true */ href) as Promise<Readonly<Record<string, unknown>>>;
    },
    importPackage: (name) => import(/* @vite-ignore */ /* webpackIgnore: true */ name),
    originalPlace: async () => undefined,
    env: () => undefined,
    defaultCacheDir: () => undefined,
    hubTokenPath: () => undefined,
    now: () => performance.now(),
    isTerminal: () => false,
    rss: () => 0,
    spawnWorker: spawnBrowserWorker,
    gpu: builtInGpu,
  };
}
