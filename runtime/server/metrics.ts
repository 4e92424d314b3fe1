/** What `/metrics` tells, in the text format of Prometheus. */
import { Counter, Gauge, Histogram, Registry } from "#metrics";
import type { BatchReport } from "../session/inputs/batcher.ts";

export interface MetricSources {
  /** Inputs that wait for a call. */
  readonly waiting: () => number;
  /** Requests that are worked on. */
  readonly active: () => number;
  readonly deviceBytes: () => number;
  readonly compiled: () => number;
}

export interface Metrics {
  request(route: string, status: number, seconds: number): void;
  batch(report: BatchReport): void;
  text(): Promise<string>;
  readonly contentType: string;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/** A registry of this server's own: several may live in one process. */
export function createMetrics({ waiting, active, deviceBytes, compiled }: MetricSources): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const requests = new Counter({
    name: "fovea_requests_total",
    help: "Requests that were answered.",
    labelNames: ["route", "status"],
    registers,
  });
  const seconds = new Histogram({
    name: "fovea_request_seconds",
    help: "Time from a request's arrival to its answer.",
    labelNames: ["route"],
    buckets: SECONDS,
    registers,
  });
  const [model, batchLabels] = ["model", ["model"]];
  const sizes = new Histogram({
    name: "fovea_batch_items",
    help: "Inputs that shared a call of the encoder.",
    labelNames: batchLabels,
    buckets: SIZES,
    registers,
  });
  const times = new Histogram({
    name: "fovea_batch_seconds",
    help: "Time of a call of the encoder.",
    labelNames: batchLabels,
    buckets: SECONDS,
    registers,
  });
  const waits = new Histogram({
    name: "fovea_batch_wait_seconds",
    help: "Time that the oldest input of a call waited for it.",
    labelNames: batchLabels,
    buckets: SECONDS,
    registers,
  });
  const gauges: readonly (readonly [string, string, () => number])[] = [
    ["fovea_waiting_inputs", "Inputs that wait for a call.", waiting],
    ["fovea_active_requests", "Requests that are worked on.", active],
    ["fovea_device_bytes", "Device memory in use: weights, and values of calls.", deviceBytes],
    [
      "fovea_compiled_artifacts",
      "Artifacts that were compiled since the start, and not taken from the cache.",
      compiled,
    ],
  ];
  for (const [name, help, value] of gauges) {
    const gauge: Gauge = new Gauge({ name, help, registers, collect: () => gauge.set(value()) });
  }
  return {
    request: (route, status, spent) => {
      requests.inc({ route, status });
      seconds.observe({ route }, spent);
    },
    batch: ({ lane, items, ms, waitedMs }) => {
      const labels = { [model]: lane.slice(0, lane.lastIndexOf("#")) };
      sizes.observe(labels, items);
      times.observe(labels, ms / 1000);
      waits.observe(labels, waitedMs / 1000);
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
