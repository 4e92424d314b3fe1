/**
 * Asks a server as many clients do, and prints what it took as a line of JSON.
 *
 *   serving_client.ts <url> <requests> <connections> [milliseconds]
 *
 * With milliseconds a request begins so long after the one before, and none waits for another. Each connection asks once before:
 * what the clients' process takes to start, compile and connect is not the server's.
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
  let [next, failed] = [connections, 0];
  const request = async (i: number): Promise<boolean> => {
    const headers = { "content-type": "application/json" };
    const body = bodies[i % bodies.length];
    const response = await fetch(`${url}/v1/embeddings`, { method: "POST", headers, body });
    const { data } = (await response.json()) as { readonly data?: readonly unknown[] };
    return response.status === 200 && data?.length === 1;
  };
  const clients = (ask: (first: number) => Promise<unknown>): Promise<unknown> =>
    Promise.all(Array.from({ length: connections }, (_, i) => ask(i)));
  await clients(request);
  const start = performance.now();
  await clients(async (first) => {
    for (let i = first; i < requests; i = pace > 0 ? i + connections : next++) {
      if (pace > 0) await sleep(Math.max(0, start + i * pace - performance.now()));
      const begin = performance.now();
      if (await request(i)) latencies.push(performance.now() - begin);
      else failed++;
    }
  });
  return { ms: performance.now() - start, latencies: latencies.sort((a, b) => a - b), failed };
}

const [url, requests, connections, pace = "0"] = process.argv.slice(2);
process.stdout.write(`${JSON.stringify(await ask(url, Number(requests), Number(connections), Number(pace)))}\n`);
