/** The server under load: many clients against a loop of full batches, and the slowest answers against a single encode. */
import { createRuntime } from "../mod.ts";
import { createApp, serve } from "../runtime/server/mod.ts";
import type { BenchOptions, BenchResult } from "./benchmark.ts";
import { interleave, median, rowsOf } from "./interleave.ts";
import { CONNECTIONS, startClients } from "./serving_clients.ts";
import { DIGITS, servingPictures } from "./serving_pictures.ts";

const REQUESTS = 2000;
const MAX_WAIT = 4;
/** Requests of a round at half load, so that its slowest hundredth is more than one or two. */
const LEAST_PACED = 500;

const quantile = (ascending: readonly number[], part: number): number =>
  ascending[Math.min(ascending.length - 1, Math.floor(part * ascending.length))];

/**
 * A loop of full batches first, then the server, both in milliseconds for a picture: `ratio` is the share of the loop's
 * throughput that clients see. At half load quantiles are of a round, and the medians of all rounds are told. `p99_allowed` is
 * three times a single encode, and the time that inputs wait for others.
 */
export async function serving({ threads, rounds }: BenchOptions): Promise<BenchResult> {
  const runtime = await createRuntime({ threads });
  try {
    const encoder = await runtime.load(DIGITS);
    const images = servingPictures();
    const app = createApp({ runtime, models: { digits: { encoder } }, maxWait: MAX_WAIT });
    await app.ready;
    const server = await serve(app, { port: 0 });
    const clients = startClients(server.url);
    const outputs = ["image_embeds"];
    const each = Math.ceil(REQUESTS / rounds);
    const loops = Math.ceil(each / images.length);
    const loop = async (): Promise<void> => {
      for (let i = 0; i < loops; i++) await encoder.encode({ images }, { outputs });
    };
    const singles: number[] = [];
    const single = async (): Promise<void> => {
      for (const image of images) {
        const begin = performance.now();
        await encoder.encode({ images: [image] }, { outputs });
        singles.push(performance.now() - begin);
      }
    };
    const latencies: number[] = [];
    const perPicture: number[][] = [];
    let failed = 0;
    const ask = async (): Promise<void> => {
      const report = await clients.ask(each);
      failed += report.failed;
      latencies.push(...report.latencies);
      perPicture.push([report.ms / each]);
    };
    await single();
    singles.length = 0;
    // Engines have compiled it by then: a cold loop would tell an easier pace.
    await loop();
    const begin = performance.now();
    await loop();
    // Half of what the loop does in a time.
    const pace = (2 * (performance.now() - begin)) / (loops * images.length);
    const halves: (readonly number[])[] = [];
    const askHalf = async (): Promise<void> => {
      const report = await clients.ask(Math.max(each, LEAST_PACED), pace);
      failed += report.failed;
      halves.push(report.latencies);
    };
    const contenders = [
      { name: "a loop of full batches", run: loop },
      { name: `the server, ${CONNECTIONS} connections`, run: ask },
      { name: "single encodes", run: single },
      { name: "the server at half load", run: askHalf },
    ];
    const times = await interleave(contenders, { rounds, runs: 1, warmUp: 1 });
    const pictures = loops * images.length;
    await clients.close();
    await server.close();
    // What the clients need to start is not the server's; the first round warmed it up.
    const served = perPicture.slice(-rounds);
    const warm = latencies.slice(-rounds * each).sort((a, b) => a - b);
    const rows = rowsOf(contenders.slice(0, 2), [times[0].map((runs) => runs.map((ms) => ms / pictures)), served]);
    const one = median(singles);
    const half = (part: number): number =>
      Number(median(halves.slice(-rounds).map((ascending) => quantile(ascending, part))).toFixed(1));
    return {
      settings: {
        target: runtime.target,
        threads,
        requests: rounds * each,
        failed,
        p50_ms: Number(quantile(warm, 0.5).toFixed(1)),
        p99_ms: Number(quantile(warm, 0.99).toFixed(1)),
        half_load_p50_ms: half(0.5),
        half_load_p99_ms: half(0.99),
        half_load_p99_of_rounds: halves
          .slice(-rounds)
          .map((ascending) => quantile(ascending, 0.99).toFixed(1))
          .join(" "),
        single_ms: Number(one.toFixed(2)),
        p99_allowed_ms: Number((3 * one + MAX_WAIT).toFixed(1)),
      },
      rows,
    };
  } finally {
    await runtime.close();
  }
}
