/** Requests to an address that the caller chose, whatever the name resolves to by then. */
import { lookup } from "node:dns/promises";
import { type IncomingMessage, request as requestPlain } from "node:http";
import { request as requestSecure } from "node:https";
import { isIP } from "node:net";

/** Addresses of a name, as the system resolves it. Throws what the resolver throws. */
export async function resolveName(name: string): Promise<readonly string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}

export interface PinnedResponse {
  readonly status: number;
  /** By names in small letters. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: AsyncIterable<Uint8Array>;
  /** Ends the connection, whatever was read. */
  close(): void;
}

export interface PinnedOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/**
 * GET of an http(s) URL over a connection to `address`. The server is told the URL's name, and its certificate must be for
 * that name. Follows no redirect and decodes nothing. Throws what the connection throws.
 */
export function requestFrom(url: URL, address: string, { headers, signal }: PinnedOptions): Promise<PinnedResponse> {
  const secure = url.protocol === "https:";
  const name = url.hostname.replace(/^\[|\]$/g, "");
  const options = {
    host: address,
    port: url.port === "" ? (secure ? 443 : 80) : Number(url.port),
    path: `${url.pathname}${url.search}`,
    headers: { ...headers, host: url.host },
    agent: false as const,
    signal,
    ...(secure && isIP(name) === 0 ? { servername: name } : {}),
  };
  return new Promise((resolve, reject) => {
    const request = (secure ? requestSecure : requestPlain)(options, (response: IncomingMessage) => {
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers as Readonly<Record<string, string | undefined>>,
        body: response,
        close: () => void response.destroy(),
      });
    });
    request.on("error", reject);
    request.end();
  });
}
