/**
 * The files of a model on a web server, read in ranges. Servers do not list folders, so that the names that models use
 * are tried, and those that a weight index names are believed.
 */
import { FoveaError } from "../../core/diagnostics.ts";
import { type ByteSource, memorySource } from "./byte_source.ts";
import type { CheckpointFiles } from "./checkpoint_files.ts";
import { readAhead } from "./read_ahead.ts";
import { INDEX_FILE, readIndex, SINGLE_FILE } from "./weight_index.ts";

/** The runtime's `fetch`, or one that adds credentials. */
export type Fetch = (url: string, init?: { readonly headers?: Record<string, string> }) => Promise<Response>;

/** Names that are tried; an error names the first that failed. */
const KNOWN_NAMES: readonly string[] = [
  "config.json",
  "1_Pooling/config.json",
  "merges.txt",
  "modules.json",
  "preprocessor_config.json",
  "processor_config.json",
  "sentence_bert_config.json",
  "special_tokens_map.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.json",
  INDEX_FILE,
  SINGLE_FILE,
];

/** What a request for the first byte tells about a file. */
type Probe =
  | { readonly found: true; readonly size: number; readonly ranges: boolean }
  | { readonly found: false; readonly status: number };

const fail = (message: string, cause?: unknown): never => {
  throw new FoveaError("fetch_failed", message, cause === undefined ? {} : { cause });
};

async function request(fetch: Fetch, url: string, range: string | undefined): Promise<Response> {
  try {
    // A compressed answer would have other positions and another length.
    const headers: Record<string, string> = { "accept-encoding": "identity" };
    if (range !== undefined) headers.range = range;
    return await fetch(url, { headers });
  } catch (cause) {
    return fail(`${url} cannot be reached: ${reasonOf(cause)}. Check the address and the connection.`, cause);
  }
}

function reasonOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).replace(/[.!?]$/, "");
}

async function bodyOf(url: string, response: Response): Promise<Uint8Array> {
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    return fail(`The download of ${url} broke off: ${reasonOf(cause)}. Try again.`, cause);
  }
}

const discard = async (response: Response): Promise<void> => response.body?.cancel().catch(() => undefined);

async function probe(fetch: Fetch, url: string): Promise<Probe> {
  const response = await request(fetch, url, "bytes=0-0");
  const { status } = response;
  const range = response.headers.get("content-range");
  const isPage = /^text\/html\b/i.test(response.headers.get("content-type") ?? "");
  await discard(response);
  // Servers of web applications answer with their start page for what they do not have.
  if (response.ok && isPage) return { found: false, status: 404 };
  if (status === 206) {
    const size = Number(/\/(\d+)$/.exec(range ?? "")?.[1] ?? Number.NaN);
    return Number.isSafeInteger(size) ? { found: true, size, ranges: true } : { found: true, size: 0, ranges: false };
  }
  // A server refuses the first byte of an empty file.
  if (status === 416) return { found: true, size: 0, ranges: false };
  if (status === 200) return { found: true, size: 0, ranges: false };
  if (status === 404 || status === 410 || status === 403) return { found: false, status };
  return fail(`${url} answered with status ${status}.${status === 401 ? " Access needs a login." : ""}`);
}

function rangeSource(fetch: Fetch, url: string, size: number): ByteSource {
  return {
    name: url,
    size,
    read: async (into, position) => {
      const end = Math.min(position + into.length, size);
      if (end <= position) return 0;
      const response = await request(fetch, url, `bytes=${position}-${end - 1}`);
      if (response.status !== 206) {
        await discard(response);
        fail(`${url} answered with status ${response.status} when bytes ${position}-${end - 1} were asked for.`);
      }
      const bytes = await bodyOf(url, response);
      if (bytes.length !== end - position) {
        fail(`${url} sent ${bytes.length} bytes when ${end - position} were asked for.`);
      }
      into.set(bytes);
      return bytes.length;
    },
    close: async () => undefined,
  };
}

async function wholeSource(fetch: Fetch, url: string): Promise<ByteSource> {
  const response = await request(fetch, url, undefined);
  if (response.status === 200) return memorySource(url, await bodyOf(url, response));
  await discard(response);
  return fail(`${url} answered with status ${response.status}.`);
}

/**
 * Files below an address that ends with a slash; a query in it is sent with every request. A server that ignores ranges
 * is asked for whole files, which then are held in memory until they are closed.
 * @param fetch the runtime's own
 */
export function httpFiles(base: URL, fetch: Fetch): CheckpointFiles {
  const probes = new Map<string, Promise<Probe>>();
  let listed: Promise<readonly string[]> | undefined;

  const urlOf = (name: string): string => {
    const url = new URL(name.split("/").map(encodeURIComponent).join("/"), base);
    url.search = base.search;
    return url.href;
  };

  const probeOnce = (name: string): Promise<Probe> => {
    const known = probes.get(name);
    if (known !== undefined) return known;
    const pending = probe(fetch, urlOf(name));
    probes.set(name, pending);
    pending.catch(() => probes.delete(name));
    return pending;
  };

  const open = async (name: string): Promise<ByteSource> => {
    const url = urlOf(name);
    const result = await probeOnce(name);
    if (!result.found) {
      throw new FoveaError(
        "file.not_found",
        `${url} does not exist: the server answered with status ${result.status}.`,
      );
    }
    return result.ranges ? readAhead(rangeSource(fetch, url, result.size)) : wholeSource(fetch, url);
  };

  const list = async (): Promise<readonly string[]> => {
    const tried = await Promise.allSettled(KNOWN_NAMES.map(async (name) => ({ name, probe: await probeOnce(name) })));
    const results = tried.map((one) => {
      if (one.status === "rejected") throw one.reason;
      return one.value;
    });
    const names = new Set(results.filter((r) => r.probe.found).map((r) => r.name));
    if (names.size === 0 && results.some((r) => !r.probe.found && r.probe.status === 403)) {
      fail(`${base.href} denies access to its files (status 403).`);
    }
    if (names.has(INDEX_FILE) && !names.has(SINGLE_FILE)) {
      const source = await open(INDEX_FILE);
      for (const shard of (await readIndex(source)).values()) names.add(shard);
      await source.close();
    }
    return [...names].sort();
  };

  return {
    description: base.href,
    list: () => {
      listed ??= list().catch((error: unknown) => {
        listed = undefined;
        throw error;
      });
      return listed;
    },
    open,
  };
}
