/**
 * Asks a server as many clients do, and prints what it took as a line of JSON.
 *
 *   serving_client.ts <url> <requests> <connections>
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

async function ask(url: string, requests: number, connections: number): Promise<ClientReport> {
  const bodies = servingPictures().map((bytes) =>
    JSON.stringify({
      input: `data:image/png;base64,${Buffer.from(bytes).toString("base64")}`,
      encoding_format: "base64",
    }),
  );
  const latencies: number[] = [];
  let [next, failed] = [0, 0];
  const client = async (): Promise<void> => {
    while (next < requests) {
      const body = bodies[next++ % bodies.length];
      const begin = performance.now();
      const headers = { "content-type": "application/json" };
      const response = await fetch(`${url}/v1/embeddings`, { method: "POST", headers, body });
      const { data } = (await response.json()) as { readonly data?: readonly unknown[] };
      if (response.status === 200 && data?.length === 1) latencies.push(performance.now() - begin);
      else failed++;
    }
  };
  const begin = performance.now();
  await Promise.all(Array.from({ length: connections }, client));
  return { ms: performance.now() - begin, latencies: latencies.sort((a, b) => a - b), failed };
}

const [url, requests, connections] = process.argv.slice(2);
process.stdout.write(`${JSON.stringify(await ask(url, Number(requests), Number(connections)))}\n`);
