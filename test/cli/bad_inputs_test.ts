/** Recordings and cases that a model cannot take, on the command line. */
import assert from "node:assert/strict";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Tensor } from "../../mod.ts";
import { encodeSafetensors } from "../../runtime/exec/weights/writer.ts";
import { type CliResult, repositoryPath, runCli } from "../kit/run_cli.ts";
import { bytesOf, wavFile } from "../kit/wav_writer.ts";
import { f32, filesOf, gridTensor, smallConfig } from "../qwen_vl/model_kit.ts";

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "fovea-bad-"));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function refused({ code, stdout, stderr }: CliResult, says: RegExp): void {
  assert.equal(code, 2, stderr);
  assert.equal(stdout, "");
  assert.match(stderr, says);
  assert.doesNotMatch(stderr, /^\s+at /m);
}

test("recordings: silence is encoded, a fragment and NaN are sentences", () =>
  inFolder(async (folder) => {
    for (const file of ["config.json", "model.safetensors"]) {
      await copyFile(repositoryPath(`test/fixtures/whisper/${file}`), join(folder, file));
    }
    const extractor = { feature_extractor_type: "WhisperFeatureExtractor", feature_size: 20, chunk_length: 1 };
    await writeFile(join(folder, "preprocessor_config.json"), JSON.stringify(extractor));
    const floats = { encoding: 3, bits: 32, channels: 1, sampleRate: 16000 };
    const record = (name: string, samples: readonly number[]): Promise<void> =>
      writeFile(join(folder, name), wavFile(bytesOf(Float32Array.from(samples)), floats));
    await record("silent.wav", Array<number>(8000).fill(0));
    await record("short.wav", Array<number>(200).fill(0.25));
    await record(
      "odd.wav",
      Array.from({ length: 8000 }, (_, i) => (i === 77 ? Number.NaN : 0.5)),
    );
    const embed = (name: string): Promise<CliResult> =>
      runCli(["embed", folder, join(folder, name), "--threads", "0", "--json"]);
    const silent = await embed("silent.wav");
    assert.equal(silent.code, 0, silent.stderr);
    const [states] = JSON.parse(silent.stdout).last_hidden_state as number[][][];
    assert.equal(states.length, 50);
    assert.ok(states.flat().every((v) => Number.isFinite(v)));
    const clips = [...Array<string>(5).fill("silent.wav"), "short.wav", "silent.wav"].map((name) => join(folder, name));
    refused(
      await runCli(["embed", folder, ...clips, "--threads", "0", "--json"]),
      /^fovea: \S+short\.wav cannot be prepared: The recording has 200 samples at 16000 Hz/,
    );
    refused(await embed("short.wav"), /200 samples at 16000 Hz \(12\.5 ms\); expected at least one frame of 400/);
    refused(await embed("odd.wav"), /holds NaN at sample 77 of channel 0; expected finite numbers/);
  }));

test("verify: grids that do not fit the patches of a case are sentences", () =>
  inFolder(async (folder) => {
    for (const [name, bytes] of filesOf(smallConfig("qwen2_5_vl"))) await writeFile(join(folder, name), bytes);
    const patches = f32([16, 4], () => 0.5);
    const verify = async (inputs: Readonly<Record<string, Tensor>>): Promise<CliResult> => {
      const named = Object.entries(inputs).map(([name, t]) => [`input.${name}`, t] as const);
      const tensors = { ...Object.fromEntries(named), "output.pooler_output": f32([4, 12], () => 0) };
      await writeFile(join(folder, "case-bad.safetensors"), encodeSafetensors(tensors));
      return runCli(["verify", folder, "--threads", "0"]);
    };
    const grid = (...sizes: number[][]): Readonly<Record<string, Tensor>> => ({
      hidden_states: patches,
      grid_thw: gridTensor(sizes),
    });
    refused(await verify(grid([1, 4, 6])), /holds 16 patches, but "grid_thw" tells of 1x4x6 = 24/);
    refused(await verify(grid([1, 16, 1])), /grid of 1x16x1 patches .* must be multiples of 2/);
    const mixed = { ...grid([1, 4, 4]), pixel_values_videos: patches };
    refused(await verify(mixed), /hidden_states and pixel_values_videos are given at once; .* calls of their own/);
  }));
