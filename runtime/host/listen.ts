/** Listening for HTTP requests: one file for each runtime, of which only that of this one is loaded. */
import { FoveaError } from "../core/diagnostics.ts";

/** Who sent a request. */
export interface Peer {
  /** Address of the other end of the connection, which may be a proxy's. */
  readonly address: string | undefined;
}

export type RequestHandler = (request: Request, peer: Peer) => Response | Promise<Response>;

/** Where a server listens. */
export interface ListenOptions {
  /** 0 takes any that is free. */
  readonly port: number;
  /** Name or address of the interface, such as `127.0.0.1` or `0.0.0.0`. */
  readonly hostname: string;
}

export interface Listener {
  readonly port: number;
  readonly hostname: string;
  /**
   * Takes no more connections, lets requests that were accepted end, then closes what is left.
   * @param graceMs milliseconds that clients have to read their answers
   */
  close(graceMs: number): Promise<void>;
}

const CAUSES: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program listens there. Choose another port, or 0 for any that is free",
  AddrInUse: "another program listens there. Choose another port, or 0 for any that is free",
  EACCES: "that is not permitted. Ports below 1024 are for privileged users",
  PermissionDenied: "that is not permitted. Ports below 1024 are for privileged users",
  NotCapable: "that is not permitted. Deno needs --allow-net",
  EADDRNOTAVAIL: "this machine has no such address",
  AddrNotAvailable: "this machine has no such address",
};

/** Of names that nobody knows: codes of Node's and Bun's, and what Deno says. */
const UNKNOWN_NAME = /^(ENOTFOUND|EAI_AGAIN|EINVAL)$|failed to lookup address|invalid host/;

function reasonOf({ code = "", name, message }: { readonly code?: string; name: string; message: string }): string {
  if (UNKNOWN_NAME.test(code) || UNKNOWN_NAME.test(message)) {
    return "no interface of this machine is called so. Give an address such as 127.0.0.1, or 0.0.0.0 for all interfaces";
  }
  return CAUSES[code] ?? CAUSES[name] ?? message;
}

/**
 * Listens with this runtime's own server.
 * @throws FoveaError `listen_failed`
 */
export async function listen(handler: RequestHandler, options: ListenOptions): Promise<Listener> {
  try {
    if ("Bun" in globalThis) return (await import("./listen_bun.ts")).listenOnBun(handler, options);
    if ("Deno" in globalThis) return (await import("./listen_deno.ts")).listenOnDeno(handler, options);
    return await (await import("./listen_node.ts")).listenOnNode(handler, options);
  } catch (cause) {
    const why = reasonOf(cause as { code?: string; name: string; message: string });
    throw new FoveaError("listen_failed", `Port ${options.port} of ${options.hostname} cannot be opened: ${why}.`, {
      cause,
    });
  }
}
