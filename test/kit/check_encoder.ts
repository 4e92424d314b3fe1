/** Conformance of encoders, for authors: from `node:test`, `bun test` and `deno test` alike. */
import assert from "node:assert/strict";
import type {
  EncoderModel,
  EncoderSpec,
  ExampleOptions,
  ModelFiles,
  Tensor,
  Tensors,
  TowerSpec,
} from "../../runtime/abi/encoder.ts";
import type { Plugin } from "../../runtime/abi/plugin.ts";
import { evaluate } from "../../runtime/core/dim.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { boxText, splitRanges } from "../../runtime/core/range.ts";
import { encoderFor } from "../../runtime/core/served_type.ts";
import { encodeSafetensors } from "../../runtime/exec/weights/writer.ts";
import { refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { nodesOf } from "../../runtime/ir/graph.ts";
import { createRuntime, type Encoder } from "../../runtime/session.ts";
import { checkBadConfigs, checkBadInputs } from "./check_inputs.ts";
import { checkPlans, shapesOf } from "./check_plan.ts";
import { limitFor } from "./noise.ts";
import { type CheckpointValues, evaluateTower } from "./plan_evaluator.ts";
import { buildGraph, maxDifference } from "./run_graph.ts";
import { seededCheckpoint } from "./seeded_checkpoint.ts";

/** A whole number from `least` to `most`, from a seed. */
export type DrawSize = (least: number, most: number) => number;

/** An encoder and the small model that it is checked on. */
export interface EncoderSuite {
  /** Brings the encoder. */
  readonly plugin: Plugin;
  /** A small model's `config.json`. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Other small files of the model by name; none unless given. */
  readonly files?: ModelFiles;
  /** Geometries beside the batch, for towers that take several: sizes in the sense of `TowerSpec.example`. */
  readonly sizes?: (draw: DrawSize, tower: TowerSpec) => Omit<Partial<ExampleOptions>, "batch" | "seed">;
  /** Geometries whose plans are checked; 12 unless given. */
  readonly plans?: number;
  /** Geometries that are computed; 2 unless given. */
  readonly runs?: number;
  /** Largest difference, as a share of 1 + the largest magnitude of a result; 2e-5 unless given. */
  readonly tolerance?: number;
  /** Standard deviation of made-up weights; 0.1 unless given. */
  readonly std?: number;
}

/** What was checked. */
export interface EncoderCheck {
  /** Its name. */
  readonly encoder: string;
  /** Tags of the components of all its towers. */
  readonly components: readonly string[];
  /** Geometries of each tower whose plans were checked. */
  readonly plans: number;
  /** Results that were compared with the reference evaluator's. */
  readonly compared: number;
  /** Largest difference to the reference, as a share of what passes. */
  readonly worst: number;
}

const MOST_BATCH = 4;
const asRef = (t: Tensor): ReturnType<typeof refTensor> => refTensor(t.dtype, t.shape, t.data);

/** The ranges of each component are whole, and its weights have the same shapes in all of them. */
function weightShapes(tower: TowerSpec): ReadonlyMap<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  for (const { tag, symbols, ranges, instances, build } of tower.components) {
    for (const box of splitRanges(symbols, ranges ?? {}, { tag })) {
      for (const node of nodesOf(buildGraph(box, build))) {
        if (node.op !== "weight") continue;
        const shape = node.shape.map((d) => (typeof d === "number" ? d : evaluate(d, {})));
        for (const instance of instances) {
          const name = instance + String(node.attributes.name);
          assert.deepEqual(
            shapes.get(name) ?? shape,
            shape,
            `The weight "${name}" of "${tag}" has another shape in the range ${boxText(box)}.`,
          );
          shapes.set(name, shape);
        }
      }
    }
  }
  return shapes;
}

function checkpointFile({ towers, prefixes }: EncoderModel, values: CheckpointValues): Uint8Array {
  const [prefix] = prefixes;
  const shapes = new Map(towers.flatMap((tower) => [...weightShapes(tower)]));
  return encodeSafetensors(
    Object.fromEntries(
      [...shapes].map(([name, shape]) => {
        const { data } = values(name, shape);
        return [prefix + name, { dtype: "f32" as const, shape, data: Float32Array.from(data) }];
      }),
    ),
  );
}

/** Single items of inputs: rows of a batch, or what `split` cuts. */
function itemsOf(tower: TowerSpec, inputs: Tensors, batch: number): readonly Tensors[] {
  if (tower.split !== undefined) return tower.split(inputs, 1);
  const rows = Object.values(inputs).map(({ shape }) => shape[0]);
  assert.ok(
    rows.every((n) => n === batch),
    `Inputs of ${batch} items have ${rows.join(", ")} rows; a tower without \`split\` has one for each item.`,
  );
  return Array.from({ length: batch }, (_, i) =>
    Object.fromEntries(
      Object.entries(inputs).map(([name, { dtype, shape, data }]) => {
        const each = data.length / batch;
        return [name, { dtype, shape: [1, ...shape.slice(1)], data: data.slice(i * each, (i + 1) * each) } as Tensor];
      }),
    ),
  );
}

/** One below the other, along the axis that the tower says. */
function joined(parts: readonly Tensor[], axis: number): Tensor {
  const [{ dtype, shape }] = parts;
  const before = shape.slice(0, axis).reduce((a, d) => a * d, 1);
  const pieces = Array.from({ length: before }, (_, i) =>
    parts.flatMap(({ data }) => [...data.slice((i * data.length) / before, ((i + 1) * data.length) / before)]),
  );
  const size = parts.reduce((n, p) => n + p.shape[axis], 0);
  const data = Float32Array.from(pieces.flat());
  return { dtype, shape: shape.map((d, i) => (i === axis ? size : d)), data };
}

interface Run {
  readonly encoder: Encoder;
  readonly tower: TowerSpec;
  readonly weights: CheckpointValues;
  readonly tolerance: number;
}

/** One geometry on the device: as the reference evaluator has it, twice with equal bits, and as its items have it. */
async function checkRun(
  { encoder, tower, weights, tolerance }: Run,
  inputs: Tensors,
  batch: number,
): Promise<number[]> {
  const outputs = [...tower.outputs];
  const encode = async (given: Tensors): Promise<Tensors> => (await encoder.encode(given, { outputs })) as Tensors;
  const found = await encode(inputs);
  const expected = evaluateTower(tower, inputs, outputs, weights);
  const again = await encode(inputs);
  const single: Tensors[] = [];
  for (const item of itemsOf(tower, inputs, batch)) single.push(await encode(item));
  return outputs.map((name) => {
    const what = `"${name}" of ${JSON.stringify(shapesOf(inputs))}`;
    assert.deepEqual(again[name].data, found[name].data, `${what} is another the second time.`);
    const limit = limitFor(expected[name], tolerance);
    const apart = maxDifference(asRef(found[name]), expected[name]) / limit;
    assert.ok(apart <= 1, `${what} is off the reference by ${apart} times what passes.`);
    const rows = joined(
      single.map((s) => s[name]),
      tower.joinAxes?.[name] ?? 0,
    );
    assert.deepEqual(rows.shape, found[name].shape, `${what} has another shape than its items' results together.`);
    const between = maxDifference(asRef(rows), asRef(found[name])) / limit;
    assert.ok(between <= 1, `${what} is off the results of its items alone by ${between} times what passes.`);
    return apart;
  });
}

/** Plans of made-up geometries: equal for equal shapes, told apart by their keys. */
function checkGeometries(tower: TowerSpec, { sizes, plans = 12 }: EncoderSuite): void {
  const keys = new Map<string, string>();
  for (let seed = 1; seed <= plans; seed++) {
    const inputs = tower.example(drawn(tower, sizes, seed));
    const shapes = shapesOf(tower.prepare(inputs));
    const text = JSON.stringify(shapes);
    const key = checkPlans(tower, shapes);
    assert.equal(
      keys.get(key) ?? text,
      text,
      `The geometries ${text} and ${keys.get(key)} have one plan key, "${key}".`,
    );
    keys.set(key, text);
  }
}

function drawn(tower: TowerSpec, sizes: EncoderSuite["sizes"], seed: number): ExampleOptions {
  let draws = 0;
  const draw: DrawSize = (least, most) => least + (hash32(seed, ++draws) % (most - least + 1));
  const batch = draw(1, MOST_BATCH);
  return { batch, seed, ...(sizes?.(draw, tower) ?? {}) };
}

async function checkTowers(suite: EncoderSuite, model: EncoderModel): Promise<number[]> {
  const { plugin, config, files = {}, sizes, runs = 2, tolerance = 2e-5, std = 0.1 } = suite;
  const weights = seededCheckpoint(std);
  const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  const folder = new Map([
    ["config.json", json(config)],
    ...Object.entries(files).map(([name, value]) => [name, json(value)] as const),
    ["model.safetensors", checkpointFile(model, weights)],
  ]);
  const { wasmPlugin } = await import("../../kernels/wasm/plugin.ts");
  const runtime = await createRuntime({ threads: 0, plugins: [wasmPlugin, plugin] });
  try {
    const encoder = await runtime.load(folder);
    const worst: number[] = [];
    for (const tower of model.towers) {
      for (let seed = 1; seed <= runs; seed++) {
        const options = drawn(tower, sizes, seed);
        const inputs = tower.example(options);
        if (seed === 1) checkBadInputs(tower, inputs);
        worst.push(...(await checkRun({ encoder, tower, weights, tolerance }, inputs, options.batch)));
      }
    }
    return worst;
  } finally {
    await runtime.close();
  }
}

/**
 * Checks the encoders of a plugin on a small model with made-up weights: its configuration's refusals, its components' ranges,
 * plans of random geometries, results on the WebAssembly device against the reference evaluator and against those of single
 * items, and refusals of wrong inputs.
 * @throws AssertionError with the first thing that is wrong; FoveaError where the model does not open or load
 */
export async function checkEncoder(suite: EncoderSuite): Promise<EncoderCheck> {
  const { plugin, config, files = {}, plans = 12 } = suite;
  const spec = encoderFor(config, plugin.encoders ?? []);
  assert.ok(
    spec !== undefined,
    `The plugin "${plugin.name}" has no encoder for the model_type ${JSON.stringify(config.model_type)}.`,
  );
  checkBadConfigs(spec, config, files);
  const model = spec.open(config, files);
  for (const tower of model.towers) checkGeometries(tower, suite);
  const worst = await checkTowers(suite, model);
  const components = model.towers.flatMap((tower) => tower.components.map(({ tag }) => tag));
  return { encoder: (spec as EncoderSpec).name, components, plans, compared: worst.length, worst: Math.max(...worst) };
}
