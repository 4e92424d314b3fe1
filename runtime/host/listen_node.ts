/** Node's own server, by hono's adapter. */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer, type HttpBindings } from "@hono/node-server";
import type { Listener, ListenOptions, RequestHandler } from "./listen.ts";

const POLL_MS = 20;

export function listenOnNode(handler: RequestHandler, { port, hostname }: ListenOptions): Promise<Listener> {
  const server = createAdaptorServer({
    fetch: (request, env) => handler(request, { address: (env as HttpBindings).incoming.socket.remoteAddress }),
    overrideGlobalObjects: false,
  }) as Server;
  let running = 0;
  server.on("request", (_, response) => {
    running++;
    response.once("close", () => running--);
  });
  const close = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const closeIdle = (): void => {
        // A connection becomes idle when its last response is sent; one that has brought no whole head yet does not count as such.
        if (running > 0) server.closeIdleConnections();
        else server.closeAllConnections();
      };
      const timer = setInterval(closeIdle, POLL_MS);
      server.close((error) => {
        clearInterval(timer);
        if (error === undefined) resolve();
        else reject(error);
      });
      closeIdle();
    });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, hostname, () => {
      server.off("error", reject);
      resolve({ port: (server.address() as AddressInfo).port, hostname, close });
    });
  });
}
