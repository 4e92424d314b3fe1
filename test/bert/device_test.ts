/** Whole text models on devices: the fixtures, and what their shapes do not reach. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Encoder, ModelSource, Tensor } from "../../mod.ts";
import { bertPlugin } from "../../plugins/bert/plugin.ts";
import { modernBertPlugin } from "../../plugins/modernbert/plugin.ts";
import type { Plugin } from "../../runtime/abi/plugin.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { httpFiles } from "../../runtime/exec/weights/checkpoint.ts";
import { encodeSafetensors } from "../../runtime/exec/weights/writer.ts";
import { type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { evaluateTower } from "../kit/plan_evaluator.ts";
import { maxDifference, tensorOf } from "../kit/run_graph.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import {
  casesOf,
  deviation,
  FIXTURES,
  i32,
  openText,
  padded,
  randomCheckpoint,
  readJson,
  seenRows,
} from "./text_kit.ts";

type Outputs = Readonly<Record<string, Tensor>>;

const asRef = (t: Tensor): RefTensor => refTensor(t.dtype, t.shape, t.data);

const asJson = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

async function withModel(
  source: ModelSource,
  work: (encoder: Encoder) => Promise<void>,
  device = "wasm",
): Promise<void> {
  const runtime = await openRuntime({ device, ...(device === "wasm" ? { threads: 0 } : {}) });
  try {
    await work(await runtime.load(source));
  } finally {
    await runtime.close();
  }
}

const FOLDERS: readonly (readonly [string, string])[] = [
  ...["bert", "sentence-modernbert"].flatMap((name) => [[name, "wasm"] as const, [name, "reference"] as const]),
  ...[
    "bert-legacy",
    "roberta",
    "distilbert",
    "mpnet",
    "nomic_bert",
    "modernbert-long",
    "sentence-minilm",
    "sentence-unigram",
    "sentence-xlm-roberta",
    "sentence-mpnet",
    "sentence-dense",
    "sentence-gemma",
    "sentence-qwen3",
  ].map((name) => [name, "wasm"] as const),
];

for (const [name, device] of FOLDERS) {
  test(`${name} on ${device} gives the outputs of its cases`, async () => {
    await withModel(
      join(FIXTURES, name),
      async (encoder) => {
        for (const one of casesOf(name)) {
          const outputs = [...one.expected.keys()];
          const found = (await encoder.encode({ ...one.inputs }, { outputs })) as Outputs;
          for (const [key, want] of one.expected) {
            const seen = seenRows(want, one.mask);
            const apart = maxDifference(seenRows(asRef(found[key]), one.mask), seen) / deviation(seen);
            assert.ok(apart <= 2e-5, `${one.file}, ${key}: ${apart} standard deviations`);
          }
        }
      },
      device,
    );
  });
}

/** Files of a fixture by name, folders in the names. */
function filesIn(folder: string, below = ""): ReadonlyMap<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (const entry of readdirSync(join(folder, below), { withFileTypes: true })) {
    const name = `${below}${entry.name}`;
    if (entry.isDirectory()) for (const [inner, bytes] of filesIn(folder, `${name}/`)) found.set(inner, bytes);
    else found.set(name, new Uint8Array(readFileSync(join(folder, name))));
  }
  return found;
}

/** A server of one folder; `asked` gathers the paths of what exists. */
function served(folder: string, asked: Set<string>): ModelSource {
  return httpFiles(new URL("http://models.example/one/"), async (url, init) => {
    const path = join(folder, decodeURIComponent(new URL(url).pathname.replace("/one/", "")));
    if (!existsSync(path)) return new Response("", { status: 404 });
    asked.add(path.slice(folder.length + 1));
    const bytes = new Uint8Array(readFileSync(path));
    const range = /bytes=(\d+)-(\d+)/.exec(init?.headers?.range ?? "");
    if (range === null) return new Response(bytes, { status: 200 });
    const [from, to] = [Number(range[1]), Math.min(Number(range[2]), bytes.length - 1)];
    const headers = { "content-range": `bytes ${from}-${to}/${bytes.length}` };
    return new Response(bytes.subarray(from, to + 1), { status: 206, headers });
  });
}

const SERVED = ["1_Pooling/config.json", "modules.json", "sentence_bert_config.json"];
for (const [name, needed] of [
  ["sentence-minilm", SERVED],
  ["sentence-dense", [...SERVED, "2_Dense/config.json", "2_Dense/model.safetensors", "3_Dense/model.safetensors"]],
] as const) {
  test(`texts become the embeddings of sentence-transformers, from a folder, from memory and from a server: ${name}`, async () => {
    const folder = join(FIXTURES, name);
    const texts = (readJson(join(folder, "texts.json")) as unknown as { text: string }[]).map((t) => t.text);
    const [{ expected }] = casesOf(name);
    const asked = new Set<string>();
    for (const source of [folder, filesIn(folder), served(folder, asked)]) {
      await withModel(source, async (encoder) => {
        const { sentence_embedding: found } = await encoder.encode({ texts }, { outputs: ["sentence_embedding"] });
        assert.ok(found !== undefined);
        const want = expected.get("sentence_embedding") as RefTensor;
        assert.ok(maxDifference(asRef(found), want) <= 2e-5 * deviation(want));
      });
    }
    for (const file of needed) assert.ok(asked.has(file), file);
  });
}

test("a dense layer whose weights are missing is refused by its file", async () => {
  const files = new Map(filesIn(join(FIXTURES, "sentence-dense")));
  files.delete("3_Dense/model.safetensors");
  await assert.rejects(
    withModel(files, async () => undefined),
    {
      code: "missing_shard",
      message: /the model's configuration calls for "3_Dense\/model.safetensors", which is not there/,
    },
  );
});

test("more texts than one run takes give the same as runs of their own", async () => {
  await withModel(join(FIXTURES, "bert"), async (encoder) => {
    const tokens = 5;
    const ids = Array.from({ length: 70 }, (_, row) => Array.from({ length: tokens }, (_, i) => hash32(row, i) % 100));
    const whole = (await encoder.encode({ ...padded(ids, tokens, 0) })) as Outputs;
    assert.deepEqual(whole.pooler_output.shape, [70, 64]);
    for (const row of [0, 63, 64, 69]) {
      const alone = (await encoder.encode({ input_ids: i32([1, tokens], ids[row]) })) as Outputs;
      const from = refTensor("f32", [1, 64], whole.pooler_output.data.subarray(row * 64, (row + 1) * 64));
      assert.ok(maxDifference(asRef(alone.pooler_output), from) < 1e-6, `text ${row}`);
    }
  });
});

/** A model folder with seeded weights, and the tower that says what it computes. */
async function checkRandom(
  plugin: Plugin,
  config: object,
  pooling: object,
  shapes: readonly (readonly number[])[],
): Promise<void> {
  const json = config as Readonly<Record<string, unknown>>;
  const files = { "1_Pooling/config.json": pooling };
  const [tower] = openText(plugin, json, files).towers;
  const used = new Map<string, RefTensor>();
  const checkpoint = (name: string, shape: readonly number[]): RefTensor => {
    const value = used.get(name) ?? randomCheckpoint(9)(name, shape);
    used.set(name, refTensor("f32", shape, Float32Array.from(value.data)));
    return used.get(name) as RefTensor;
  };
  const vocab = json.vocab_size as number;
  const batches = shapes.map((lengths, seed) => {
    const ids = lengths.map((n, row) => Array.from({ length: n }, (_, i) => hash32(seed + 7 * row, i) % vocab));
    return padded(ids, Math.max(...lengths), 1, seed % 2 === 1);
  });
  const expected = batches.map((inputs) => evaluateTower(tower, inputs, tower.outputs, checkpoint));
  const weights = Object.fromEntries([...used].map(([name, t]) => [name, tensorOf(t)]));
  const folder = new Map([
    ["config.json", asJson(json)],
    ["1_Pooling/config.json", asJson(pooling)],
    ["model.safetensors", encodeSafetensors(weights)],
  ]);
  await withModel(folder, async (encoder) => {
    for (const [i, inputs] of batches.entries()) {
      const found = (await encoder.encode({ ...inputs })) as Outputs;
      const mask = refTensor("i32", inputs.attention_mask.shape, inputs.attention_mask.data);
      for (const key of tower.outputs) {
        const want = seenRows(expected[i][key], mask);
        const apart = maxDifference(seenRows(asRef(found[key]), mask), want) / deviation(want);
        assert.ok(apart <= 2e-5, `lengths ${shapes[i]}, ${key}: ${apart} standard deviations`);
      }
    }
  });
}

const SMALL = { hidden_size: 24, num_attention_heads: 2, intermediate_size: 20, vocab_size: 50 };

test("modernbert on wasm: windows narrower and wider than blocks of keys, padded on either side", async () => {
  const layers = { num_hidden_layers: 3, layer_types: ["sliding_attention", "sliding_attention", "full_attention"] };
  const config = { model_type: "modernbert", ...SMALL, ...layers, max_position_embeddings: 600 };
  const shapes = [[1], [3, 9], [70, 12, 66], [150, 149]];
  for (const [local_attention, lengths] of [
    [2, shapes],
    [30, shapes],
    [200, [[330]]],
  ] as const) {
    await checkRandom(modernBertPlugin, { ...config, local_attention }, { pooling_mode: "cls" }, lengths);
  }
});

test("bert on wasm: lengths around the ends of ranges, all pooling modes", async () => {
  const config = { model_type: "bert", ...SMALL, num_hidden_layers: 1, max_position_embeddings: 200 };
  const modes = { pooling_mode: ["max", "cls", "mean", "mean_sqrt_len_tokens"] };
  await checkRandom(bertPlugin, config, modes, [[1, 1], [32, 4], [33, 33, 2], [128], [129, 60], [200]]);
});
