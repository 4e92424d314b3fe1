/**
 * Asks a server as many clients do, and prints what it took as a line of JSON.
 *
 *   serving_client.ts <url> <requests> <connections> [milliseconds]
 *
 * With milliseconds a request begins so long after the one before, and none waits for another.
 */
import process from "node:process";
import { servingPictures } from "./serving_pictures.ts";

/** What the clients saw; milliseconds. */
export interface ClientReport {
  readonly ms: number;
  /** Of each answered request, ascending. */
  readonly latencies: readonly number[];
  readonly failed: number;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function ask(url: string, requests: number, connections: number, pace: number): Promise<ClientReport> {
  const bodies = servingPictures().map((bytes) =>
    JSON.stringify({
      input: `data:image/png;base64,${Buffer.from(bytes).toString("base64")}`,
      encoding_format: "base64",
    }),
  );
  const latencies: number[] = [];
  let [next, failed] = [0, 0];
  const client = async (first: number, step: number): Promise<void> => {
    for (let i = first; i < requests; i = step === 0 ? next++ : i + step) {
      if (step !== 0) await sleep(Math.max(0, start + i * pace - performance.now()));
      const body = bodies[i % bodies.length];
      const begin = performance.now();
      const headers = { "content-type": "application/json" };
      const response = await fetch(`${url}/v1/embeddings`, { method: "POST", headers, body });
      const { data } = (await response.json()) as { readonly data?: readonly unknown[] };
      if (response.status === 200 && data?.length === 1) latencies.push(performance.now() - begin);
      else failed++;
    }
  };
  const start = performance.now();
  next = connections;
  await Promise.all(Array.from({ length: connections }, (_, i) => client(i, pace > 0 ? connections : 0)));
  return { ms: performance.now() - start, latencies: latencies.sort((a, b) => a - b), failed };
}

const [url, requests, connections, pace = "0"] = process.argv.slice(2);
process.stdout.write(`${JSON.stringify(await ask(url, Number(requests), Number(connections), Number(pace)))}\n`);
