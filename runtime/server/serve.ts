/** Listening with this runtime's own server. */
import { FoveaError } from "../core/diagnostics.ts";
import { type Listener, type ListenOptions, listen } from "../host/listen.ts";
import { checkOptions, type Expected, foundText, TEXT, withMethods } from "../session/check.ts";
import type { ServerApp } from "./app.ts";
import { milliseconds } from "./options.ts";

/** A server that listens. */
export interface RunningServer {
  /** Port that it got, where any was asked for. */
  readonly port: number;
  /** As it was asked for. */
  readonly hostname: string;
  /** `http://host:port`. */
  readonly url: string;
  /** Refuses new requests, answers those that were accepted, then closes connections and the models. */
  close(): Promise<void>;
}

const urlOf = ({ hostname, port }: Listener): string =>
  `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;

const APP = withMethods("an application that createApp made", "fetch", "drain", "close");
const PORT: Expected = {
  text: "a whole number from 0 to 65535",
  holds: (v) => Number.isInteger(v) && (v as number) >= 0 && (v as number) <= 65535,
};

/** Where a server listens, and how it ends. */
export interface ServeOptions extends Partial<ListenOptions> {
  /** Milliseconds that clients have to read their answers when the server is closed; 30,000 unless given. */
  readonly graceMs?: number;
}

/**
 * Listens on Bun, Deno and Node: on 127.0.0.1 and port 8000 unless told otherwise.
 * @throws FoveaError `listen_failed`, `invalid_options`
 */
export async function serve(app: ServerApp, options: ServeOptions = {}): Promise<RunningServer> {
  if (!APP.holds(app)) throw new FoveaError("invalid_options", `serve takes ${APP.text}; found ${foundText(app)}.`);
  checkOptions("serve", options, { hostname: TEXT, port: PORT, graceMs: milliseconds(0) });
  const { hostname = "127.0.0.1", port = 8000, graceMs = 30_000 } = options;
  const listener = await listen((request, peer) => app.fetch(request, peer), { hostname, port });
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    try {
      await app.drain();
      await listener.close(graceMs);
    } finally {
      app.close();
    }
  };
  return {
    port: listener.port,
    hostname,
    url: urlOf(listener),
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}
