/** Bun.serve. */
import type { Listener, ListenOptions, RequestHandler } from "./listen.ts";

/** Seconds without a byte after which a connection is closed; the encode of a large request must fit. */
const IDLE_SECONDS = 120;
const POLL_MS = 20;

export function listenOnBun(handler: RequestHandler, { port, hostname }: ListenOptions): Listener {
  const server = Bun.serve({
    port,
    hostname,
    idleTimeout: IDLE_SECONDS,
    // The application's own limit counts; Bun's 128 MiB would be answered without a word.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch: (request: Request, own: { requestIP(request: Request): { address: string } | null }) =>
      handler(request, { address: own.requestIP(request)?.address }),
  });
  return {
    port: server.port as number,
    hostname,
    close: async (graceMs) => {
      const end = performance.now() + graceMs;
      // Its promise waits for connections that clients keep open without a request.
      void server.stop();
      while (server.pendingRequests > 0 && performance.now() < end)
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      await server.stop(true);
    },
  };
}
