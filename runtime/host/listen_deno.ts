/** Deno.serve. */
import type { Listener, ListenOptions, RequestHandler } from "./listen.ts";

export function listenOnDeno(handler: RequestHandler, { port, hostname }: ListenOptions): Listener {
  const server = Deno.serve(
    { port, hostname, onListen: () => {} },
    (request: Request, info: { remoteAddr: { hostname?: string } }) =>
      handler(request, { address: info.remoteAddr.hostname }),
  );
  return { port: server.addr.port as number, hostname, close: () => server.shutdown() };
}
