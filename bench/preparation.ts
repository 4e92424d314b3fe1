/** What the caller's thread computes before a device can begin: log-mel spectra, and tables of 16,384 patches. */
import { readDinoConfig } from "../plugins/dino/config.ts";
import { rotaryTables } from "../plugins/dino/geometry.ts";
import { readPixtralConfig } from "../plugins/pixtral/config.ts";
import { mergeIndex, patchIndex, patchRotary } from "../plugins/pixtral/geometry.ts";
import { qwenVlPlugin } from "../plugins/qwen_vl/plugin.ts";
import { normal } from "../runtime/core/random.ts";
import { detectHost } from "../runtime/host/mod.ts";
import { createLogMel } from "../runtime/media/audio/log_mel.ts";
import { openModelOf, towerOf } from "../test/kit/tower_fixtures.ts";
import type { BenchOptions, BenchResult } from "./benchmark.ts";
import { type Contender, interleave, rowsOf } from "./interleave.ts";

const WHISPER = { sampleRate: 16000, fftSize: 400, hop: 160 };

type Config = Readonly<Record<string, unknown>>;

async function configOf(family: string): Promise<Config> {
  const host = await detectHost();
  const file = await host.readFile(host.pathOf(new URL(`../test/fixtures/${family}/config.json`, import.meta.url)));
  return JSON.parse(new TextDecoder().decode(file)) as Config;
}

function logMel(melBins: number): Contender {
  const spectra = createLogMel({ ...WHISPER, melBins });
  const samples = Float32Array.from({ length: 480_000 }, (_, i) => normal(1, i) / 10);
  const out = new Float32Array(melBins * 3000);
  return { name: `log-mel of 30 s, ${melBins} bins`, run: async () => spectra.compute(samples, out, 0) };
}

function qwenTables(): Contender {
  const config = { model_type: "qwen2_5_vl", vision_config: { hidden_size: 1280, patch_size: 1, in_channels: 1 } };
  const tower = towerOf(openModelOf(qwenVlPlugin, config), "vision");
  const inputs = {
    hidden_states: { dtype: "f32", shape: [16384, 2], data: new Float32Array(32768) },
    grid_thw: { dtype: "i32", shape: [1, 3], data: Int32Array.of(1, 128, 128) },
  } as const;
  return { name: "tables of Qwen2.5-VL", run: async () => tower.prepare(inputs) };
}

async function pixtralTables(): Promise<Contender> {
  const config = { ...readPixtralConfig(await configOf("pixtral")), hiddenSize: 1024, heads: 16 };
  const grids = Array.from({ length: 4 }, () => ({ rows: 64, columns: 64 }));
  const run = async (): Promise<void> => {
    patchIndex(grids, grids[0]);
    patchRotary(grids, config);
    mergeIndex(grids, 2);
  };
  return { name: "tables of Pixtral", run };
}

async function dinoTables(): Promise<Contender> {
  const config = readDinoConfig({ ...(await configOf("dinov3")), hidden_size: 1024, num_attention_heads: 16 });
  return { name: "tables of DINOv3", run: async () => rotaryTables({ rows: 128, columns: 128 }, config, 100) };
}

export async function preparation({ rounds, runs }: BenchOptions): Promise<BenchResult> {
  const contenders = [logMel(80), logMel(128), qwenTables(), await pixtralTables(), await dinoTables()];
  const times = await interleave(contenders, { rounds, runs, warmUp: 3 });
  return { settings: { threads: 1 }, rows: rowsOf(contenders, times) };
}
