/**
 * What it costs that a foreign kernel's loops are counted, and how soon one without an end stops: the worked example in C as its
 * author built it, in turns with what fovea makes of it, by rows of 768 numbers.
 */
import { readFileSync } from "node:fs";
import { callEntry, type Entry, fuelFor, itemsOfCall } from "../kernels/wasm/device/foreign_call.ts";
import { inspectModule, type Promised } from "../runtime/foreign/inspect.ts";
import { FUEL, instrument } from "../runtime/foreign/instrument.ts";
import { repositoryPath } from "../test/kit/run_cli.ts";
import type { BenchOptions, BenchResult, BenchRow } from "./benchmark.ts";
import { median } from "./interleave.ts";

const WIDTH = 768;
const ROWS = [1, 16, 577];
/** Calls that are timed together, so that clocks which tell fractions of a millisecond suffice. */
const TIMED_ROWS = 2048;

/** `(func (export "forever") (param i32) (result i32) (loop (br 0)) (i32.const 0))`, with its memory imported. */
const FOREVER = Uint8Array.from([
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x06, 0x01, 0x60, 0x01, 0x7f, 0x01, 0x7f],
  ...[0x02, 0x0f, 0x01, 0x03, ...text("env"), 0x06, ...text("memory"), 0x02, 0x00, 0x01],
  ...[0x03, 0x02, 0x01, 0x00],
  ...[0x07, 0x0b, 0x01, 0x07, ...text("forever"), 0x00, 0x00],
  ...[0x0a, 0x0b, 0x01, 0x09, 0x00, 0x03, 0x40, 0x0c, 0x00, 0x0b, 0x41, 0x00, 0x0b],
]);

function text(value: string): number[] {
  return [...new TextEncoder().encode(value)];
}

const example = (file: string): Uint8Array => readFileSync(repositoryPath(`examples/kernel-c/${file}`));

/** The build that this engine runs, and its features. */
function build(): { readonly bytes: Uint8Array; readonly features: Promised["features"] } {
  const relaxed = example("add_layer_norm.relaxed.wasm");
  return WebAssembly.validate(relaxed as Uint8Array<ArrayBuffer>)
    ? { bytes: relaxed, features: ["simd128", "relaxed-simd"] }
    : { bytes: example("add_layer_norm.simd128.wasm"), features: ["simd128"] };
}

function instantiate(bytes: Uint8Array, imports: WebAssembly.Imports): WebAssembly.Exports {
  return new WebAssembly.Instance(new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>), imports).exports;
}

function counted(bytes: Uint8Array, name: string, features: Promised["features"], memory: WebAssembly.Memory): Entry {
  const module = inspectModule(bytes, name, { reserved: 0, features, entries: [name] });
  const exports = instantiate(instrument(module, { entry: name, reserved: 0 }), { e: { m: memory } });
  return { f: exports.f as Entry["f"], fuel: exports[FUEL] as WebAssembly.Global };
}

/** Writes an argument table for some rows, and numbers for it to work on. @returns its address */
function prepare(memory: WebAssembly.Memory, rows: number): number {
  const table = 64;
  const vectors = 1024;
  const x = vectors + 2 * 4 * WIDTH;
  const bytes = 4 * WIDTH * rows;
  new Float32Array(memory.buffer, vectors, 2 * WIDTH + 2 * WIDTH * rows).forEach((_, i, all) => {
    all[i] = Math.sin(i);
  });
  const words = [x + 2 * bytes, x, x + bytes, vectors, vectors + 4 * WIDTH, rows, WIDTH];
  new Uint32Array(memory.buffer, table, words.length).set(words);
  new Float32Array(memory.buffer, table + 4 * words.length, 1)[0] = 1e-5;
  return table;
}

interface Timed {
  readonly name: string;
  readonly call: () => void;
}

/** Milliseconds of `TIMED_ROWS` rows, by contender, one after the other in each round and turned around in every other. */
function inTurns(contenders: readonly Timed[], rounds: number, calls: number): readonly number[][] {
  const times = contenders.map((): number[] => []);
  const order = [...contenders.keys()];
  for (let round = 0; round < rounds; round++) {
    for (const index of order) {
      const begin = performance.now();
      for (let i = 0; i < calls; i++) contenders[index].call();
      times[index].push(performance.now() - begin);
    }
    order.reverse();
  }
  // The first of them are those of code that engines have not optimised yet.
  return times.map((list) => list.slice(list.length >> 2));
}

export async function countedLoops({ rounds, runs }: BenchOptions): Promise<BenchResult> {
  const memory = new WebAssembly.Memory({ initial: 128, maximum: 65536 });
  const { bytes, features } = build();
  const own = instantiate(bytes, { env: { memory } }).add_layer_norm as Entry["f"];
  const entry = counted(bytes, "add_layer_norm", features, memory);
  const rows: BenchRow[] = [];
  for (const n of ROWS) {
    const table = prepare(memory, n);
    const budget = fuelFor(9 * WIDTH * n, 12 * WIDTH * n);
    const contenders = [
      { name: `${n} rows, as built`, call: () => void own(table) },
      { name: `${n} rows, counted`, call: () => callEntry(entry, table, budget) },
    ];
    const times = inTurns(contenders, 4 * rounds * runs, Math.ceil(TIMED_ROWS / n));
    const first = times[0];
    for (const [i, list] of times.entries()) {
      const ratio = median(first.map((ms, at) => ms / list[at]));
      rows.push({ name: contenders[i].name, ms: median(list), min: Math.min(...list), ratio });
    }
  }
  // As much as a call may do at most: work that is handed out in calls of so many rows.
  const most = itemsOfCall(2048, 9 * WIDTH, 12 * WIDTH);
  const endless = counted(FOREVER, "forever", [], memory);
  const stops: number[] = [];
  for (let i = 0; i < rounds * runs; i++) {
    const begin = performance.now();
    try {
      callEntry(endless, 64, fuelFor(9 * WIDTH * most, 12 * WIDTH * most));
      throw new Error("A loop without an end ended.");
    } catch (error) {
      if (!/loop without an end/.test(String(error))) throw error;
    }
    stops.push(performance.now() - begin);
  }
  rows.push({ name: `no end, ${most} rows, first`, ms: stops[0], min: stops[0], ratio: 1 });
  rows.push({ name: `no end, ${most} rows`, ms: median(stops), min: Math.min(...stops), ratio: 1 });
  return { settings: { features: features.join(" "), width: WIDTH, rows: TIMED_ROWS }, rows };
}
