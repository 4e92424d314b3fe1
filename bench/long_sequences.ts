/**
 * Long sequences of Qwen2.5-VL's vision tower, cut to two layers that look at windows: time by patches, and what a run adds to
 * the process's memory beside what its programs were planned to take.
 */
import { readFile } from "node:fs/promises";
import process from "node:process";
import { createRuntime } from "../mod.ts";
import type { BenchOptions, BenchResult, BenchRow } from "./benchmark.ts";
import { interleave, rowsOf } from "./interleave.ts";

const CONFIG = new URL("../test/fixtures/configs/qwen2.5-vl-7b/config.json", import.meta.url);
const LAYERS = 2;
/** Sides of square pictures in patches. */
const SIDES = [32, 64, 128, 256];
const PATCH = 1176;

type Fields = Readonly<Record<string, unknown>>;

/** The published configuration with few layers, none of which looks at everything. */
async function cutConfig(): Promise<Fields> {
  const config = JSON.parse(await readFile(CONFIG, "utf8")) as Fields;
  const cut = { depth: LAYERS, fullatt_block_indexes: [] };
  return { ...config, vision_config: { ...(config.vision_config as Fields), ...cut } };
}

/** `ratio` of a row is the first one's time for a patch over its own: 1 where time is linear. */
export async function longSequences({ threads, rounds, runs }: BenchOptions): Promise<BenchResult> {
  const runtime = await createRuntime({ threads });
  const config = new TextEncoder().encode(JSON.stringify(await cutConfig()));
  const encoder = await runtime.load(new Map([["config.json", config]]), {
    components: ["vision"],
    loadFormat: "dummy",
  });
  const rows: BenchRow[] = [];
  try {
    const tower = encoder.tower("vision");
    for (const side of SIDES) {
      const patches = side * side;
      const inputs = {
        hidden_states: { dtype: "f32", shape: [patches, PATCH], data: new Float32Array(patches * PATCH).fill(0.1) },
        grid_thw: { dtype: "i32", shape: [1, 3], data: Int32Array.of(1, side, side) },
      } as const;
      const before = process.memoryUsage.rss();
      const contender = { name: `${patches} patches`, run: () => encoder.encode(inputs) };
      const times = await interleave([contender], { rounds, runs, warmUp: patches > 20_000 ? 0 : 1 });
      const [row] = rowsOf([contender], times, tower.stats.flops);
      const planned = Math.round(tower.stats.arenaBytes / 2 ** 20);
      const ratio = rows.length === 0 ? 1 : (rows[0].ms / (SIDES[0] * SIDES[0]) / row.ms) * patches;
      const name = `${contender.name}, ${planned} MiB planned`;
      rows.push({ ...row, name, ratio, peakMiB: (process.memoryUsage.rss() - before) / 2 ** 20 });
    }
    return { settings: { target: runtime.target, threads }, rows };
  } finally {
    encoder.close();
    await runtime.close();
  }
}
