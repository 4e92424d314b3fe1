/** A model on the hub at one commit: its files, and their bytes in ranges. Listing and downloads are the hub's own client's. */
import { FoveaError } from "../core/diagnostics.ts";
import type { HubAccess } from "./access.ts";
import { type Answer, createHubRequest, type HubRequest, type HubRequestOptions, reasonOf } from "./hub_fetch.ts";
import type { HubReference } from "./reference.ts";

/** A file as the hub lists it. */
export interface RemoteFile {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** SHA-1 of the git blob; of a large file's pointer. */
  readonly oid: string;
  /** SHA-256 of a large file's bytes. */
  readonly sha256?: string;
}

/** What tells one content from another. */
export const identityOf = (file: RemoteFile): string => file.sha256 ?? file.oid;

export interface Listing {
  readonly commit: string;
  readonly files: readonly RemoteFile[];
}

export interface Repository {
  /** @throws FoveaError `hub.not_found`, `hub.denied`, `hub.busy`, `hub.invalid_answer`, `fetch_failed` */
  list(): Promise<Listing>;
  /**
   * Bytes `from` to `to` of a file at a commit. Every answer is checked: status, range, length, the commit and, of large
   * files, the SHA-256 that the hub sends the bytes for.
   * @throws as `list`, and `hub.changed`
   */
  read(commit: string, file: RemoteFile, from: number, to: number): Promise<ReadableStream<Uint8Array>>;
}

const COMMIT = /^[0-9a-f]{40}$/;

/** Names that stay inside of a folder on every system. */
const SAFE_NAME = /^(?!\.)[^/\\:]+(?:\/(?!\.)[^/\\:]+)*$/;

/** @param options its signal ends all requests */
export function openRepository(
  reference: HubReference,
  access: HubAccess,
  options: Pick<HubRequestOptions, "firstWait" | "signal">,
): Repository {
  const { signal } = options;
  const { repository, revision, text } = reference;
  const request = createHubRequest({ ...access, ...options, reference });
  const repo = { type: "model", name: repository } as const;
  const common = { repo, hubUrl: access.endpoint };
  const etags = new Map<string, string>();

  const list = async (): Promise<Listing> => {
    const { listFiles, modelInfo } = await import("#hub");
    const fetch = fetchWith(request);
    try {
      const info = await modelInfo({
        name: repository,
        revision,
        additionalFields: ["sha"],
        hubUrl: access.endpoint,
        fetch,
      });
      const commit = String(info.sha);
      if (!COMMIT.test(commit)) throw new Error(`the commit is ${JSON.stringify(info.sha)}`);
      const files: RemoteFile[] = [];
      for await (const entry of listFiles({ ...common, revision: commit, recursive: true, fetch })) {
        const { type, path, size, oid, lfs } = entry;
        if (type !== "file" || !SAFE_NAME.test(path)) continue;
        if (!Number.isSafeInteger(size) || typeof oid !== "string") throw new Error(`${path} has no size or digest`);
        files.push({ name: path, size, oid, ...(lfs === undefined ? {} : { sha256: lfs.oid }) });
      }
      return { commit, files: files.sort((a, b) => (a.name < b.name ? -1 : 1)) };
    } catch (cause) {
      signal?.throwIfAborted();
      if (cause instanceof FoveaError) throw cause;
      throw new FoveaError(
        "hub.invalid_answer",
        `${access.endpoint} answered about ${text} with something that is no list of files: ${reasonOf(cause)}. Check the hub's address.`,
        { cause },
      );
    }
  };

  const read = async (
    commit: string,
    file: RemoteFile,
    from: number,
    to: number,
  ): Promise<ReadableStream<Uint8Array>> => {
    const { downloadFile } = await import("#hub");
    const path = file.name.split("/").map(encodeURIComponent).join("/");
    const url = `${access.endpoint}/${repository}/resolve/${commit}/${path}`;
    let failure: unknown;
    const fetch = fetchWith(async (address, headers) => {
      try {
        const answer = await request(address, headers);
        await checkAnswer({ url, commit, file, from, to, answer, etags });
        return answer;
      } catch (error) {
        failure = error;
        throw error;
      }
    });
    const blob = await downloadFile({
      ...common,
      path: file.name,
      revision: commit,
      fetch,
      // Plain ranges are served for every file; the chunked protocol has no address of a range.
      xet: false,
      downloadInfo: { size: file.size, etag: identityOf(file), url },
    });
    const whole = blob ?? new Blob([]);
    return restoreErrors((from === 0 && to === file.size ? whole : whole.slice(from, to)).stream(), () => failure);
  };

  return { list, read };
}

/** The client passes a stream's errors on as text alone. */
function restoreErrors(
  stream: ReadableStream<Uint8Array>,
  failure: () => unknown,
): ReadableStream<Uint8Array<ArrayBufferLike>> {
  const reader = stream.getReader();
  return new ReadableStream({
    pull: async (controller) => {
      try {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        controller.error(failure() ?? error);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

/** The client's idea of `fetch`. */
function fetchWith(request: HubRequest): typeof fetch {
  const call = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const url = input instanceof Request ? input.url : String(input);
    return (await request(url, new Headers(init?.headers))).response;
  };
  return call as typeof fetch;
}

interface Expected {
  readonly url: string;
  readonly commit: string;
  readonly file: RemoteFile;
  readonly from: number;
  readonly to: number;
  readonly answer: Answer;
  /** ETags by file and server: equal ones for all parts of a file. */
  readonly etags: Map<string, string>;
}

async function checkAnswer({ url, commit, file, from, to, answer, etags }: Expected): Promise<void> {
  const { response, server } = answer;
  const refuse = async (code: string, problem: string): Promise<never> => {
    await response.body?.cancel();
    throw new FoveaError(code, `${url} ${problem}`);
  };
  const whole = from === 0 && to === file.size;
  if (whole ? response.status !== 200 : response.status !== 206) {
    const asked = whole ? "the whole file was" : `bytes ${from}-${to - 1} were`;
    await refuse("fetch_failed", `answered with status ${response.status} when ${asked} asked for. Try again later.`);
  }
  const range = response.headers.get("content-range");
  const expected = `bytes ${from}-${to - 1}/${file.size}`;
  if (!whole && range !== expected) {
    await refuse("fetch_failed", `sent the range "${range ?? "none"}"; expected "${expected}". Try again later.`);
  }
  const encoded = response.headers.has("content-encoding");
  const length = response.headers.get("content-length");
  if (!encoded && length !== null && Number(length) !== to - from) {
    await refuse("hub.changed", `announced ${length} bytes; expected ${to - from}, as the hub lists it. Pull again.`);
  }
  if (answer.commit !== undefined && answer.commit !== commit) {
    await refuse("hub.changed", `came from commit ${answer.commit}; expected ${commit}. Pull again.`);
  }
  if (file.sha256 !== undefined && answer.linkedEtag !== undefined && answer.linkedEtag !== file.sha256) {
    await refuse("hub.changed", `has the SHA-256 ${answer.linkedEtag}; expected ${file.sha256}. Pull again.`);
  }
  const etag = response.headers.get("etag");
  if (etag === null) return;
  const key = `${server} ${file.name}`;
  const before = etags.get(key);
  etags.set(key, etag);
  if (before !== undefined && before !== etag) {
    await refuse("hub.changed", `changed while it was read: its ETag was ${before} and now is ${etag}. Pull again.`);
  }
}
