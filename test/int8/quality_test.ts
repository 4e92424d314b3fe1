/** What int8 weights leave of a model's quality. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { dinoPlugin } from "../../plugins/dino/plugin.ts";
import { quantizeProducts } from "../../runtime/compile/quantize_products.ts";
import { mapGraph } from "../../runtime/compile/rewrite.ts";
import type { Graph } from "../../runtime/ir/graph.ts";
import type { Make } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { evaluateTower } from "../kit/plan_evaluator.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { checkpointOf, FIXTURES, openModelOf, readCase, readJson, towerOf } from "../kit/tower_fixtures.ts";
import { cosine, FOLDERS, LEAST_COSINE } from "./fixture_kit.ts";

test("every model folder with cases is run with int8 weights", () => {
  const folders = readdirSync(FIXTURES).filter(
    (name) =>
      existsSync(join(FIXTURES, name, "config.json")) &&
      readdirSync(join(FIXTURES, name)).some((f) => f.startsWith("case-")),
  );
  assert.deepEqual(Object.values(FOLDERS).flat().sort(), folders.sort());
});

/** Products of the codes of x and of w as they are, without scales between them. */
function plainly(graph: Graph, make: Make): Graph {
  return mapGraph(quantizeProducts(graph, make), make, (n) => {
    if (n.op !== "quantized_matmul" || n.attributes.scaled !== true) return n;
    const [multiplied] = n.inputs[1].inputs;
    assert.equal(multiplied.op, "mul");
    return make("quantized_matmul", [n.inputs[0], multiplied.inputs[0]]);
  });
}

test("outliers of a norm: plain codes of each token fail, scales that even out the columns do not", () => {
  const folder = join(FIXTURES, "dinov2-outliers");
  const tower = towerOf(openModelOf(dinoPlugin, readJson(join(folder, "config.json"))), "vision");
  const { inputs, outputs } = readCase(join(folder, "case-square.safetensors"));
  const checkpoint = checkpointOf(folder);
  const least = (rewrite: (graph: Graph, make: Make) => Graph): number => {
    const layers = (graph: Graph, make: Make, { precise }: { readonly precise?: boolean }): Graph =>
      precise === true ? graph : rewrite(graph, make);
    const found = evaluateTower(tower, inputs, [...outputs.keys()], checkpoint, OP_TABLE, layers);
    return Math.min(...[...outputs].map(([key, want]) => cosine(found[key].data, want.data)));
  };
  const plain = least(plainly);
  assert.ok(plain < 0.995 && plain > 0.9, `plain: ${plain}`);
  const evened = least(quantizeProducts);
  assert.ok(evened >= LEAST_COSINE, `evened out: ${evened}`);
});

test("digits-clip with int8 weights tells at least 99 of 100 digits apart", async () => {
  const folder = repositoryPath("examples/models/digits-clip");
  const { prompt, words } = readJson(join(folder, "about.json")) as { prompt: string; words: readonly string[] };
  const names = readdirSync(join(folder, "images")).sort();
  assert.equal(names.length, 100);
  const runtime = await openRuntime({ threads: 0, compile: { base: { lazy: true } } });
  try {
    const encoder = await runtime.load(folder, { dtype: "int8" });
    const [{ image_embeds }, { text_embeds }] = [
      await encoder.encode({ images: names.map((name) => join(folder, "images", name)) }),
      await encoder.encode({ texts: words.map((word) => prompt.replace("{}", word)) }),
    ];
    assert.ok(image_embeds !== undefined && text_embeds !== undefined);
    const width = text_embeds.shape[1];
    const row = (data: Float32Array, i: number): Float32Array => data.subarray(i * width, (i + 1) * width);
    const right = names.filter((name, i) => {
      const image = row(image_embeds.data as Float32Array, i);
      const scores = words.map((_, j) => cosine(image, row(text_embeds.data as Float32Array, j)));
      return scores.indexOf(Math.max(...scores)) === Number(/-(\d)\.png$/.exec(name)?.[1]);
    });
    assert.ok(right.length >= 99, `${right.length} of 100`);
  } finally {
    await runtime.close();
  }
});
