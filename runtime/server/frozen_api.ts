/** Types of a frozen folder's application. This file is copied beside the folder's code. */
import type { FrozenEncoder } from "../edge/api.ts";

export interface FrozenAppOptions {
  /** Encoders by the names that requests use. */
  readonly models: Readonly<Record<string, FrozenEncoder>>;
  /** Bearer tokens, any of which opens `/v1/*` and `/metrics`. Everybody may ask unless given. */
  readonly tokens?: readonly string[];
  /** Origins whose pages may ask; none unless given. `*` is everybody. */
  readonly cors?: readonly string[];
  /** Requests that may be worked on at once; more are refused with 429. 64 unless given. */
  readonly queue?: number;
  /** Milliseconds from a request's arrival until it is ended with 504; 30,000 unless given. */
  readonly deadline?: number;
  /** Most bytes of a body; 4 MiB unless given. */
  readonly maxBody?: number;
  /** Most characters of a text, which is tokenised as a whole; 100,000 unless given. */
  readonly maxText?: number;
  /**
   * Told a line about each request: `time`, `level` (`info`, `warn` from status 400 on, `error` from 500 on), `event`, `request`,
   * `method`, `route`, `status`, `ms`, `model`, `items`, and `code` of a refusal. Nothing of what requests hold.
   */
  readonly log?: (line: object) => void;
}

/** The routes of `fovea serve` over encoders of frozen folders. */
export interface FrozenApp {
  /** Answers a request, as `fetch` of a Worker, of `deno serve`, of `Bun.serve` and of @hono/node-server. */
  readonly fetch: (request: Request, env?: object) => Response | Promise<Response>;
  /** Takes no more requests and resolves when those that were accepted are answered. */
  readonly drain: () => Promise<void>;
}
