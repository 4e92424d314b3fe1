/** Pictures that requests name by address: fetched from hosts of a list alone, and never from inside the network. */
import { isPublicAddress } from "./addresses.ts";
import { HttpError } from "./http_error.ts";

/** One answer over a connection to a chosen address; the body is read as it comes. */
export interface RemoteResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: AsyncIterable<Uint8Array>;
  close(): void;
}

/** How names and addresses are reached. */
export interface RemoteNetwork {
  readonly resolve: (name: string) => Promise<readonly string[]>;
  readonly request: (
    url: URL,
    address: string,
    options: { readonly headers: Readonly<Record<string, string>>; readonly signal: AbortSignal },
  ) => Promise<RemoteResponse>;
}

export interface RemoteImageOptions {
  /** Hosts that may be asked: `images.example.com`, or `*.example.com` for all below it; with `:port` for another than 80 and 443. */
  readonly hosts: readonly string[];
  /** Most bytes of a picture. */
  readonly maxBytes: number;
  /** Milliseconds for name, connection, redirects and body together. */
  readonly timeoutMs: number;
}

const MOST_REDIRECTS = 3;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** A fetch's refusals all belong to the address in the request. */
function refused(code: string, message: string, cause?: unknown): HttpError {
  return new HttpError(400, code, message, { param: "image_url", ...(cause === undefined ? {} : { cause }) });
}

/** An address without what may be secret in it. */
const shown = (url: URL): string => `${url.protocol}//${url.host}${url.pathname}`;

function isListed({ hostname, port }: URL, hosts: readonly string[]): boolean {
  return hosts.some((entry) => {
    const [, host, allowed = ""] = /^(.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
    if (port !== allowed) return false;
    return host.startsWith("*.")
      ? hostname.endsWith(host.slice(1)) && hostname.length >= host.length
      : hostname === host;
  });
}

/** @throws HttpError `image_url.scheme`, `image_url.not_allowed` */
function checkUrl(url: URL, hosts: readonly string[]): void {
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw refused("image_url.scheme", `${shown(url)} is no http or https address; give one, or a data URI.`);
  }
  if (url.username !== "" || url.password !== "") {
    throw refused("image_url.credentials", `The address of ${url.host} holds a name or a password; leave them out.`);
  }
  if (!isListed(url, hosts)) {
    throw refused(
      "image_url.not_allowed",
      `Pictures are not fetched from ${url.host}; this server allows ${hosts.join(", ")}. Send the picture as a data URI.`,
    );
  }
}

/** The address to connect to. A name with one address inside the network is refused whatever else it has. @throws HttpError `image_url.private`, `image_url.unreachable` */
async function addressOf(url: URL, { resolve }: RemoteNetwork): Promise<string> {
  const name = url.hostname.replace(/^\[|\]$/g, "");
  const literal = /^[\d.]+$/.test(name) || name.includes(":");
  let addresses: readonly string[];
  try {
    addresses = literal ? [name] : await resolve(name);
  } catch (cause) {
    throw refused("image_url.unreachable", `The name ${name} cannot be resolved. Check the address.`, cause);
  }
  const inside = addresses.find((address) => !isPublicAddress(address));
  if (addresses.length > 0 && inside === undefined) return addresses[0];
  throw refused(
    "image_url.private",
    `${url.host} does not lead to a public address, and nothing else is fetched for clients. Send the picture as a data URI.`,
  );
}

async function readBody(url: URL, response: RemoteResponse, maxBytes: number): Promise<Uint8Array> {
  const tooLarge = (): HttpError =>
    new HttpError(
      413,
      "image_url.too_large",
      `The picture at ${shown(url)} has more than ${maxBytes} bytes, the limit of this server.`,
      {
        param: "image_url",
      },
    );
  if (Number(response.headers["content-length"] ?? 0) > maxBytes) throw tooLarge();
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body) {
    size += part.length;
    if (size > maxBytes) throw tooLarge();
    parts.push(part);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Fetches a picture. The name is resolved once, here, and the connection goes to that address; so for each redirect. */
export type FetchImage = (address: URL, signal: AbortSignal) => Promise<Uint8Array>;

export function createImageFetcher(options: RemoteImageOptions, network: RemoteNetwork): FetchImage {
  const { hosts, maxBytes, timeoutMs } = options;
  const follow = async (first: URL, signal: AbortSignal): Promise<Uint8Array> => {
    let url = first;
    for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
      checkUrl(url, hosts);
      const address = await addressOf(url, network);
      signal.throwIfAborted();
      const response = await network.request(url, address, {
        headers: { accept: "image/*", "accept-encoding": "identity", "user-agent": "fovea" },
        signal,
      });
      try {
        const { status, headers } = response;
        if (REDIRECTS.has(status)) {
          const next = headers.location === undefined ? undefined : parsed(headers.location, url);
          if (next === undefined) throw refused("image_url.failed", `${shown(url)} redirects to nowhere.`);
          url = next;
          continue;
        }
        if (status !== 200)
          throw refused("image_url.failed", `${shown(url)} answered with status ${status}. Check the address.`);
        return await readBody(url, response, maxBytes);
      } finally {
        response.close();
      }
    }
    throw refused("image_url.failed", `${shown(first)} redirects more than ${MOST_REDIRECTS} times.`);
  };
  return async (address, signal) => {
    const controller = new AbortController();
    const timer = setTimeout(
      () => controller.abort(refused("image_url.timeout", `${shown(address)} did not answer within ${timeoutMs} ms.`)),
      timeoutMs,
    );
    const onAbort = (): void => controller.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    // A resolver takes no signal.
    const ended = new Promise<never>((_, reject) => {
      controller.signal.addEventListener("abort", () => reject(controller.signal.reason), { once: true });
    });
    ended.catch(() => {});
    try {
      controller.signal.throwIfAborted();
      return await Promise.race([follow(address, controller.signal), ended]);
    } catch (error) {
      if (controller.signal.aborted) throw controller.signal.reason;
      if (error instanceof HttpError) throw error;
      throw refused(
        "image_url.failed",
        `${shown(address)} cannot be fetched: the connection failed. Check the address.`,
        error,
      );
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  };
}

function parsed(location: string, base: URL): URL | undefined {
  try {
    return new URL(location, base);
  } catch {
    return undefined;
  }
}
