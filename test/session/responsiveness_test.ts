/** The caller's thread stays free while an encoder computes: a 5 ms timer is never more than 20 ms late. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ComponentInput, Tensor } from "../../mod.ts";
import { transformerBlock } from "../../runtime/nn/mod.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const WIDTH = 768;
const HEADS = 12;
const TOKENS = 196;
const INNER = 3072;
const TICK_MS = 5;
const LATE_MS = 20;
/** Long enough for sixty ticks and several blocks. */
const RUN_MS = 300;
const ROUNDS = 40;

const BLOCK: ComponentInput = {
  tag: "test/siglip_block",
  symbols: { batch: { min: 1, max: 4 } },
  build: (b) => {
    const x = b.input("x", [b.dims.batch, TOKENS, WIDTH]);
    const options = { heads: HEADS, intermediateSize: INNER, activation: "gelu_pytorch_tanh", eps: 1e-6 };
    b.output("y", transformerBlock(b, x, "", options));
  },
};

const tensor = (shape: readonly number[], value: (i: number) => number): Tensor => ({
  dtype: "f32",
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b, 1)).map((_, i) => value(i)),
});

const small = (i: number): number => ((i * 2654435761) % 1000) / 25000 - 0.02;

const WEIGHTS: Readonly<Record<string, Tensor>> = Object.fromEntries([
  ...["q_proj", "k_proj", "v_proj", "out_proj"].flatMap((n) => [
    [`self_attn.${n}.weight`, tensor([WIDTH, WIDTH], small)],
    [`self_attn.${n}.bias`, tensor([WIDTH], small)],
  ]),
  ...["layer_norm1", "layer_norm2"].flatMap((n) => [
    [`${n}.weight`, tensor([WIDTH], () => 1)],
    [`${n}.bias`, tensor([WIDTH], () => 0)],
  ]),
  ["mlp.fc1.weight", tensor([INNER, WIDTH], small)],
  ["mlp.fc1.bias", tensor([INNER], small)],
  ["mlp.fc2.weight", tensor([WIDTH, INNER], small)],
  ["mlp.fc2.bias", tensor([WIDTH], small)],
]);

/** Lateness of every tick while `busy` goes on, worst first. */
async function lateness(busy: Promise<unknown>): Promise<readonly number[]> {
  const late: number[] = [];
  let expected = performance.now() + TICK_MS;
  const timer = setInterval(() => {
    const now = performance.now();
    late.push(now - expected);
    expected = now + TICK_MS;
  }, TICK_MS);
  await busy;
  clearInterval(timer);
  return late.sort((a, b) => b - a);
}

async function oneRound(
  run: () => Promise<unknown>,
): Promise<{ readonly blocks: number; readonly late: readonly number[] }> {
  let blocks = 0;
  const late = await lateness(
    (async () => {
      const end = performance.now() + RUN_MS;
      while (performance.now() < end) {
        await run();
        blocks++;
      }
    })(),
  );
  return { blocks, late };
}

for (const threads of [1, 2, 0]) {
  test(`a timer is on time while blocks of siglip's size run (threads: ${threads})`, async () => {
    const runtime = await openRuntime({ threads });
    const component = await runtime.compile(BLOCK, WEIGHTS);
    const x = tensor([2, TOKENS, WIDTH], small);
    await component.run({ x });
    // Other programs may hold the processors for a while; a thread that computes itself is late in every round.
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < ROUNDS && best > LATE_MS; round++) {
      const { blocks, late } = await oneRound(() => component.run({ x }));
      assert.ok(blocks > 0 && late.length > 20, `${blocks} blocks, ${late.length} ticks`);
      best = Math.min(best, late[0]);
    }
    assert.ok(best <= LATE_MS, `a tick was ${best.toFixed(1)} ms late in each of ${ROUNDS} rounds`);
    await runtime.close();
  });
}
