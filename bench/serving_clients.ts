/** Clients of a server in a process of their own, so that the server's thread is its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { ClientReport, Order } from "./serving_client.ts";

export const CONNECTIONS = 64;

const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
const CLIENT = fileURLToPath(new URL(`serving_client${EXTENSION}`, import.meta.url));
const RUNTIME = "Deno" in globalThis ? ["run", "-A", "--no-check"] : [];

export interface Clients {
  /** @param pace milliseconds between the starts of two requests; as fast as they are answered where absent */
  ask(requests: number, pace?: number): Promise<ClientReport>;
  close(): Promise<void>;
}

/** Starts the process; the orders of one are done in turn. */
export function startClients(url: string): Clients {
  const child = spawn(process.execPath, [...RUNTIME, CLIENT, url, String(CONNECTIONS)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    ask: async (requests, pace = 0) => {
      const order: Order = { requests, pace };
      child.stdin.write(`${JSON.stringify(order)}\n`);
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`the clients ended with code ${(await ended)[0]}`);
      return JSON.parse(value) as ClientReport;
    },
    close: async () => {
      child.stdin.end();
      await ended;
    },
  };
}
