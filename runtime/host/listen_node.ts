/** Node's own server, by hono's adapter. */
import type { Server } from "node:http";
import { type AddressInfo, Server as NetServer, type Socket } from "node:net";
import { createAdaptorServer, type HttpBindings } from "@hono/node-server";
import type { Listener, ListenOptions, RequestHandler } from "./listen.ts";

const POLL_MS = 20;

export function listenOnNode(handler: RequestHandler, { port, hostname }: ListenOptions): Promise<Listener> {
  const server = createAdaptorServer({
    fetch: (request, env) => handler(request, { address: (env as HttpBindings).incoming.socket.remoteAddress }),
    overrideGlobalObjects: false,
  }) as Server;
  // Node takes connections for idle whose answers it has yet to send, and for busy those that brought no whole head.
  const running = new Map<Socket, number>();
  server.on("connection", (socket: Socket) => {
    running.set(socket, 0);
    socket.once("close", () => running.delete(socket));
  });
  const count = (socket: Socket, by: number): void => {
    const requests = running.get(socket);
    if (requests !== undefined) running.set(socket, requests + by);
  };
  server.on("request", ({ socket }, response) => {
    count(socket, 1);
    response.once("close", () => count(socket, -1));
  });
  const closeIdle = (): void => {
    for (const [socket, requests] of running) if (requests === 0) socket.destroy();
  };
  const close = (graceMs: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const timer = setInterval(closeIdle, POLL_MS);
      const last = setTimeout(() => server.closeAllConnections(), graceMs);
      // Without what HTTP's own adds: it ends the connections that Node takes for idle.
      NetServer.prototype.close.call(server, (error) => {
        clearInterval(timer);
        clearTimeout(last);
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
