/** Deno.serve. */
import type { Listener, ListenOptions, RequestHandler } from "./listen.ts";

export function listenOnDeno(handler: RequestHandler, { port, hostname }: ListenOptions): Listener {
  const server = Deno.serve(
    { port, hostname, onListen: () => {} },
    (request: Request, info: { remoteAddr: { hostname?: string } }) =>
      handler(request, { address: info.remoteAddr.hostname }),
  );
  const close = async (graceMs: number): Promise<void> => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([server.shutdown(), late]);
    clearTimeout(timer);
    // Deno closes no connection that has an answer left; those end with their clients, or with the process.
    server.unref();
  };
  return { port: server.addr.port as number, hostname, close };
}
