/** Clients of a server in a process of their own, so that the server's thread is its own. */
import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { ClientReport } from "./serving_client.ts";

export const CONNECTIONS = 64;

const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
const CLIENT = fileURLToPath(new URL(`serving_client${EXTENSION}`, import.meta.url));
const RUNTIME = "Deno" in globalThis ? ["run", "-A", "--no-check"] : [];

/** @param pace milliseconds between the starts of two requests; as fast as they are answered where absent */
export function askServer(url: string, requests: number, pace = 0): Promise<ClientReport> {
  return new Promise((resolve, reject) => {
    const args = [...RUNTIME, CLIENT, url, String(requests), String(CONNECTIONS), String(pace)];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (part) => {
      text += part;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(JSON.parse(text) as ClientReport);
      else reject(new Error(`the clients ended with code ${code}`));
    });
  });
}
