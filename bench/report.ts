/** Results as tables for people and as a file. */
import type { BenchRecord, BenchRow, Ceilings } from "./benchmark.ts";
import { median } from "./interleave.ts";

/** Columns as wide as their longest cell: the first to the left, numbers to the right. */
function table(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const all = [head, ...lines];
  const widths = head.map((_, column) => Math.max(...all.map((line) => line[column].length)));
  const padded = (text: string, column: number): string =>
    column === 0 ? text.padEnd(widths[column]) : text.padStart(widths[column]);
  return all.map((line) => `  ${line.map(padded).join("  ")}`.trimEnd()).join("\n");
}

const digits = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const times = (value: number): string => value.toFixed(2);

const rowOf = ({ rows }: BenchRecord, name: string): BenchRow | undefined => rows.find((row) => row.name === name);

/** How many times as long another row took as fovea, by how both compare with the first row. */
export function ratioToFovea(record: BenchRecord, name: string): number | undefined {
  const [fovea, other] = [rowOf(record, "fovea"), rowOf(record, name)];
  return fovea === undefined || other === undefined ? undefined : fovea.ratio / other.ratio;
}

/** Rows of an encoder's result beside fovea's own. */
const OTHERS = ["onnxruntime-web", "onnxruntime-node", "fovea, op by op"] as const;

function encoderTable(records: readonly BenchRecord[]): string {
  const seen = OTHERS.filter((name) => records.some((record) => rowOf(record, name) !== undefined));
  const scaled = records.some(({ settings }) => settings.threads !== 1);
  const head = ["model", "threads", "fovea ms", "GFLOP/s", ...seen.flatMap((name) => [`${name} ms`, "ratio"])];
  const lines = records.map((record) => {
    const { settings } = record;
    const fovea = rowOf(record, "fovea") as BenchRow;
    const single = records.find(({ settings: s }) => s.model === settings.model && s.threads === 1);
    const before = single === undefined ? undefined : rowOf(single, "fovea");
    const others = seen.flatMap((name) => {
      const [row, ratio] = [rowOf(record, name), ratioToFovea(record, name)];
      return row === undefined || ratio === undefined ? ["", ""] : [digits(row.ms), times(ratio)];
    });
    const scaling = before === undefined || record === single ? "" : times(before.ms / fovea.ms);
    const own = [String(settings.model), String(settings.threads), digits(fovea.ms), digits(fovea.gflops ?? 0)];
    return [...own, ...others, ...(scaled ? [scaling] : [])];
  });
  return table([...head, ...(scaled ? ["scaling"] : [])], lines);
}

/** A column for each figure that some row has. */
function plainTable({ rows }: BenchRecord): string {
  const given = ({ gflops, peakMiB }: BenchRow): readonly (number | undefined)[] => [gflops, peakMiB];
  const seen = ["GFLOP/s", "peak MiB"]
    .map((head, i) => ({ head, i }))
    .filter(({ i }) => rows.some((r) => given(r)[i] !== undefined));
  return table(
    ["", "ms", "min", ...seen.map(({ head }) => head), "ratio"],
    rows.map((row) => {
      const figures = seen.map(({ i }) => given(row)[i]);
      const texts = figures.map((figure) => (figure === undefined ? "" : digits(figure)));
      return [row.name, digits(row.ms), digits(row.min), ...texts, times(row.ratio)];
    }),
  );
}

/** How a random model stands to the others: its rate over the median of theirs, for each number of threads. */
function randomText(records: readonly BenchRecord[]): string {
  const rate = (record: BenchRecord): number => rowOf(record, "fovea")?.gflops ?? 0;
  const isRandom = ({ settings }: BenchRecord): boolean => String(settings.model).startsWith("random-");
  const lines = records.filter(isRandom).flatMap((record) => {
    const { model, threads } = record.settings;
    const others = records.filter((other) => !isRandom(other) && other.settings.threads === threads).map(rate);
    if (others.length === 0) return [];
    const [of, name] = [rate(record) / median(others), String(model).split(" ")[0]];
    return [`\n  ${name}, threads ${threads}: ${times(of)} of the GFLOP/s of the others (their median)`];
  });
  return lines.join("");
}

function kernelTable({ rows }: BenchRecord): string {
  return table(
    ["kernel", "ms", "min", "GFLOP/s", "GB/s", "share"],
    rows.map(({ name, ms, min, gflops = 0, gbytes = 0, ratio }) => {
      const rates = [gflops === 0 ? "" : digits(gflops), digits(gbytes)];
      return [name, digits(ms), digits(min), ...rates, times(ratio)];
    }),
  );
}

function ceilingsText({ gflops, copies }: Ceilings): string {
  const levels = copies.map(({ bytes, gbytes }) => `${digits(gbytes)} GB/s in ${bytes / 1024} KiB`);
  return `at most ${digits(gflops)} GFLOP/s, ${levels.join(", ")}`;
}

function recordText(record: BenchRecord): string {
  const { benchmark, runtime, ceilings } = record;
  const head = `${benchmark} on ${runtime}: ${settingsText(record)}`;
  if (ceilings === undefined) return `${head}\n${plainTable(record)}`;
  return `${head}; ${ceilingsText(ceilings)}\n${kernelTable(record)}`;
}

function settingsText(record: BenchRecord): string {
  return Object.entries(record.settings)
    .map(([key, value]) => `${key} ${value}`)
    .join(", ");
}

/** One table for the encoders of each runtime, and one for each other result. */
export function tables(records: readonly BenchRecord[]): string {
  const runtimes = [...new Set(records.map(({ runtime }) => runtime))];
  const parts = runtimes.flatMap((runtime) => {
    const here = records.filter((record) => record.runtime === runtime);
    const encoders = here.filter(({ benchmark }) => benchmark === "encoders");
    const others = here.filter(({ benchmark }) => benchmark !== "encoders");
    const targets = [...new Set(encoders.map(({ settings }) => settings.target))].join(", ");
    return [
      ...(encoders.length === 0
        ? []
        : [
            `encoders on ${runtime}, ${targets}; ratio = the other's time over fovea's\n${encoderTable(encoders)}${randomText(encoders)}`,
          ]),
      ...others.map(recordText),
    ];
  });
  return parts.join("\n\n");
}

/** What of its best kernel an engine keeps over a whole encoder, where both were measured: one thread of SigLIP base. */
export function kernelShareText(records: readonly BenchRecord[]): string {
  const lines = records.flatMap((record) => {
    const { benchmark, runtime, settings } = record;
    const whole = rowOf(record, "fovea")?.gflops;
    if (benchmark !== "encoders" || settings.model !== "siglip-base" || settings.threads !== 1) return [];
    const kernels = records
      .filter((r) => r.benchmark === "kernels" && r.runtime === runtime)
      .flatMap(({ rows }) => rows);
    const best = Math.max(0, ...kernels.map(({ gflops = 0 }) => gflops));
    if (whole === undefined || best === 0) return [];
    return [
      `siglip-base on ${runtime}, one thread: ${times(whole / best)} of the best kernel's ${digits(best)} GFLOP/s`,
    ];
  });
  return lines.join("\n");
}

/** What ran the programs. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly platform: string;
}

export interface ResultsFile {
  readonly fovea: string;
  readonly machine: Machine;
  readonly results: readonly BenchRecord[];
}

const keyOf = ({ benchmark, runtime, settings: { model, threads, batch, part } }: BenchRecord): string =>
  JSON.stringify([benchmark, runtime, model, threads, batch, part]);

/** The day's results: a benchmark that runs again replaces what it gave before. */
export function mergeResults(old: ResultsFile | undefined, now: ResultsFile): ResultsFile {
  const same = old !== undefined && JSON.stringify(old.machine) === JSON.stringify(now.machine);
  const all = new Map([...(same ? old.results : []), ...now.results].map((record) => [keyOf(record), record]));
  return { ...now, results: [...all.values()] };
}
