/** Text encoders of the repository's fixtures, opened through their plugins and judged by the reference evaluator. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { EncoderModel, ModelFiles, Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import type { Plugin } from "../../runtime/abi/plugin.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { type CheckpointValues, evaluateTower } from "../kit/plan_evaluator.ts";
import { readSafetensors } from "../kit/read_safetensors.ts";
import { maxDifference, tensorOf } from "../kit/run_graph.ts";

export const FIXTURES: string = fileURLToPath(new URL("../fixtures", import.meta.url));

export type Json = Readonly<Record<string, unknown>>;

export function readJson(path: string): Json {
  return JSON.parse(readFileSync(path, "utf8")) as Json;
}

/** Files of a fixture folder that the plugin's encoder asks for. */
export function filesOf(plugin: Plugin, folder: string): ModelFiles {
  const names = (plugin.encoders ?? []).flatMap((e) => e.files).filter((name) => existsSync(join(folder, name)));
  return Object.fromEntries(names.map((name) => [name, readJson(join(folder, name))]));
}

export function openText(plugin: Plugin, config: Json, files: ModelFiles = {}): EncoderModel {
  const [spec] = plugin.encoders ?? [];
  return spec.open(config, files);
}

export function openFixture(plugin: Plugin, name: string): EncoderModel {
  const folder = join(FIXTURES, name);
  return openText(plugin, readJson(join(folder, "config.json")), filesOf(plugin, folder));
}

/** Tensors of a fixture by the names that the encoder uses. */
export function checkpointOf(name: string, model: EncoderModel): CheckpointValues {
  const tensors = new Map(readSafetensors(join(FIXTURES, name, "model.safetensors")));
  for (const [file, beginning] of Object.entries(model.weightFiles ?? {})) {
    for (const [own, tensor] of readSafetensors(join(FIXTURES, name, file))) tensors.set(beginning + own, tensor);
  }
  const spellings = (own: string): string[] => [
    own,
    ...Object.entries(model.oldEndings ?? {}).map(([ending, old]) =>
      own.endsWith(ending) ? own.slice(0, -ending.length) + old : own,
    ),
  ];
  return (own, shape) => {
    const found = spellings(own)
      .flatMap((spelling) => model.prefixes.map((prefix) => tensors.get(prefix + spelling)))
      .find((t) => t !== undefined);
    if (found === undefined) throw new Error(`the checkpoint has no "${own}"`);
    if (found.shape.join() !== shape.join()) throw new Error(`"${own}" has the shape [${found.shape}], not [${shape}]`);
    return found;
  };
}

/** Rows of [batch, tokens, width] that the mask shows. */
export function seenRows(t: RefTensor, mask: RefTensor | undefined): RefTensor {
  if (mask === undefined || t.shape.length !== 3) return t;
  const width = t.shape[2];
  const rows = [...mask.data.keys()].filter((row) => mask.data[row] !== 0);
  const data = Float64Array.from(rows.flatMap((row) => [...t.data.subarray(row * width, (row + 1) * width)]));
  return refTensor("f32", [rows.length, width], data);
}

export function deviation(t: RefTensor): number {
  const values = [...t.data];
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  return Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length);
}

export interface FixtureCase {
  readonly file: string;
  readonly inputs: Tensors;
  readonly expected: ReadonlyMap<string, RefTensor>;
  readonly mask: RefTensor | undefined;
}

export function casesOf(name: string): readonly FixtureCase[] {
  const files = readdirSync(join(FIXTURES, name)).filter((f) => /^case-.*\.safetensors$/.test(f));
  return files.map((file) => {
    const tensors = [...readSafetensors(join(FIXTURES, name, file))];
    const named = (prefix: string): [string, RefTensor][] =>
      tensors.flatMap(([key, t]) => (key.startsWith(prefix) ? [[key.slice(prefix.length), t]] : []));
    const inputs = named("input.");
    return {
      file,
      inputs: Object.fromEntries(inputs.map(([key, t]) => [key, tensorOf(t)])),
      expected: new Map(named("output.")),
      mask: Object.fromEntries(inputs).attention_mask,
    };
  });
}

/** What is wrong with a case's outputs at 2e-5 of their deviation, as sentences. */
export function wrongOutputs(tower: TowerSpec, checkpoint: CheckpointValues, one: FixtureCase): readonly string[] {
  const found = evaluateTower(tower, one.inputs, [...one.expected.keys()], checkpoint);
  return [...one.expected].flatMap(([key, want]) => {
    const seen = seenRows(want, one.mask);
    const difference = maxDifference(seenRows(found[key], one.mask), seen);
    const limit = 2e-5 * deviation(seen);
    return difference <= limit ? [] : [`${one.file} ${key}: ${difference} over ${limit}`];
  });
}

export function i32(shape: readonly number[], values: ArrayLike<number>): Tensor {
  return { dtype: "i32", shape, data: Int32Array.from(values) };
}

/** Checkpoint values by name, small and seeded, drawn once. */
export function randomCheckpoint(seed: number): CheckpointValues {
  const drawn = new Map<string, RefTensor>();
  return (name, shape) => {
    const key = `${name} ${shape}`;
    const old = drawn.get(key);
    if (old !== undefined) return old;
    const count = shape.reduce((a, d) => a * d, 1);
    let salt = seed;
    for (const c of name) salt = (Math.imul(salt, 33) + c.charCodeAt(0)) >>> 0;
    const centre = /norm\.weight$/i.test(name) ? 1 : 0;
    const data = new Float64Array(count).map((_, i) => centre + (hash32(salt, i) / 2 ** 32 - 0.5) * 0.6);
    const made = refTensor("f32", shape, data);
    drawn.set(key, made);
    return made;
  };
}

/** A batch of texts of random lengths, padded on the right. */
export function randomBatch(seed: number, vocab: number, maxTokens: number): { ids: number[][]; tokens: number } {
  const batch = 2 + (hash32(seed, 1) % 3);
  const lengths = Array.from({ length: batch }, (_, i) => 1 + (hash32(seed, 10 + i) % maxTokens));
  const ids = lengths.map((n, row) => Array.from({ length: n }, (_, i) => hash32(seed + row, 100 + i) % vocab));
  return { ids, tokens: Math.max(...lengths) };
}

/** `input_ids` and `attention_mask` of texts, with ids of padding that must not matter. */
export function padded(ids: readonly (readonly number[])[], tokens: number, padId: number, left = false): Tensors {
  const input = new Int32Array(ids.length * tokens).fill(padId);
  const mask = new Int32Array(input.length);
  ids.forEach((own, row) => {
    const at = row * tokens + (left ? tokens - own.length : 0);
    input.set(own, at);
    mask.fill(1, at, at + own.length);
  });
  const shape = [ids.length, tokens];
  return { input_ids: i32(shape, input), attention_mask: i32(shape, mask) };
}
