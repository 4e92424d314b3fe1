/** Servers of the bundled model for tests: real sockets, on the runtime that the tests run on. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Runtime } from "../../mod.ts";
import { createApp, type RunningServer, type ServerApp, type ServerOptions, serve } from "../../runtime/server/mod.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

export const DIGITS: string = repositoryPath("examples/models/digits-clip");

/** Words of the digits by their value. */
export const WORDS: readonly string[] = [
  "zero",
  "one",
  "two",
  "three",
  "four",
  "five",
  "six",
  "seven",
  "eight",
  "nine",
];

/** The bytes of a picture of a two. */
export const TWO: Uint8Array = new Uint8Array(readFileSync(join(DIGITS, "images", "000-2.png")));

export const dataUri = (bytes: Uint8Array): string => `data:image/png;base64,${Buffer.from(bytes).toString("base64")}`;

export interface Served {
  readonly app: ServerApp;
  readonly server: RunningServer;
  readonly runtime: Runtime;
  readonly url: string;
  get(path: string, init?: RequestInit): Promise<Response>;
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
}

export type Asked = Partial<Omit<ServerOptions, "runtime">>;

/** Runs `work` against a server that is ready, and closes all. */
export async function withServer(options: Asked, work: (served: Served) => Promise<void>): Promise<void> {
  const runtime = await openRuntime({ threads: 0 });
  try {
    const app = createApp({ runtime, models: { digits: { source: DIGITS } }, ...options });
    await app.ready;
    const server = await serve(app, { port: 0 });
    const get: Served["get"] = (path, init = {}) => fetch(server.url + path, init);
    const post: Served["post"] = (path, body, init = {}) =>
      get(path, {
        method: "POST",
        ...init,
        headers: { "content-type": "application/json", ...init.headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
      });
    try {
      await work({ app, server, runtime, url: server.url, get, post });
    } finally {
      await server.close();
    }
  } finally {
    await runtime.close();
  }
}
