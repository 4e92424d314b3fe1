/** Blocks of vision towers against what they say they do. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { hash32 } from "../../runtime/core/random.ts";
import type { GraphBuilder, Node } from "../../runtime/ir/builder.ts";
import { evaluateGraph, type RefTensor, rotary } from "../../runtime/ir/evaluate/mod.ts";
import {
  gridRotary,
  pixelShuffle,
  resizedPositions,
  rmsNorm,
  rotaryFrequencies,
  selfAttention,
} from "../../runtime/nn/mod.ts";
import { randomTensor } from "../kit/random_graph.ts";
import { buildGraph, maxDifference } from "../kit/run_graph.ts";

const seeded = (name: string, shape: readonly number[]): RefTensor =>
  randomTensor(
    [...name].reduce((n, c) => (Math.imul(n, 31) + c.charCodeAt(0)) >>> 0, 7),
    shape,
  );

/** Result `y` of a graph without symbols. */
function run(build: (b: GraphBuilder) => Node, inputs: Readonly<Record<string, RefTensor>>): RefTensor {
  return evaluateGraph(
    buildGraph({}, (b) => b.output("y", build(b))),
    {},
    inputs,
    seeded,
  ).y;
}

const input = (b: GraphBuilder, name: string, t: RefTensor): Node => b.input(name, t.shape);

test("nn: a pixel shuffle makes one token of each square, its patches row by row", () => {
  for (const [squares, factor] of [
    [1, 1],
    [3, 2],
    [2, 3],
  ]) {
    const [side, width] = [squares * factor, 5];
    const x = randomTensor(squares, [2, side * side, width]);
    const y = run((b) => pixelShuffle(b, input(b, "x", x), { squares, factor }), { x });
    assert.deepEqual(y.shape, [2, squares * squares, factor * factor * width]);
    for (let i = 0; i < x.data.length; i++) {
      const [channel, patch, image] = [
        i % width,
        Math.floor(i / width) % (side * side),
        Math.floor(i / (width * side * side)),
      ];
      const [row, column] = [Math.floor(patch / side), patch % side];
      const token = Math.floor(row / factor) * squares + Math.floor(column / factor);
      const inside = (row % factor) * factor + (column % factor);
      assert.equal(
        y.data[((image * squares * squares + token) * factor * factor + inside) * width + channel],
        x.data[i],
      );
    }
  }
});

test("nn: resized positions are the table under the weights of both axes", () => {
  const [side, width, rows, columns] = [3, 4, 2, 5];
  const table = randomTensor(1, [side * side, width]);
  const down = randomTensor(2, [rows, side]);
  const across = randomTensor(3, [columns, side]);
  const y = run(
    (b) => resizedPositions(b, input(b, "table", table), input(b, "down", down), input(b, "across", across)),
    { table, down, across },
  );
  assert.deepEqual(y.shape, [rows * columns, width]);
  for (let at = 0; at < y.data.length; at++) {
    const [channel, patch] = [at % width, Math.floor(at / width)];
    let sum = 0;
    for (let k = 0; k < side * side; k++) {
      const weight = down.data[Math.floor(patch / columns) * side + Math.floor(k / side)];
      sum += weight * across.data[(patch % columns) * side + (k % side)] * table.data[k * width + channel];
    }
    assert.ok(Math.abs(sum - y.data[at]) < 1e-12);
  }
});

test("nn: a root mean square normalization divides by the root and multiplies by its weight", () => {
  const x = randomTensor(1, [2, 6]);
  const y = run((b) => rmsNorm(b, input(b, "x", x), "norm.", 1e-3), { x });
  const weight = seeded("norm.weight", [6]);
  for (let i = 0; i < 12; i++) {
    const row = Float64Array.from(x.data).subarray(6 * Math.floor(i / 6), 6 * Math.floor(i / 6) + 6);
    const square = row.reduce((s, v) => s + v * v, 0) / 6;
    assert.ok(Math.abs(y.data[i] - (x.data[i] / Math.sqrt(square + 1e-3)) * weight.data[i % 6]) < 1e-12);
  }
});

test("nn: rotary tables of grids turn each pair by its axis", () => {
  for (let seed = 0; seed < 20; seed++) {
    const grids = Array.from({ length: 1 + (seed % 3) }, (_, i) => ({
      rows: 1 + (hash32(seed, 2 * i) % 7),
      columns: 1 + (hash32(seed, 2 * i + 1) % 20),
    }));
    const origin = seed % 2;
    const axes = [
      { axis: "column", frequencies: rotaryFrequencies(100, [0, 0.3]) },
      { axis: "row", frequencies: rotaryFrequencies(7, [0, 0.25, 0.5]) },
    ] as const;
    const table = gridRotary(grids, axes, origin);
    const places = grids.flatMap(({ rows, columns }) =>
      Array.from({ length: rows * columns }, (_, i) => ({ row: Math.floor(i / columns), column: i % columns })),
    );
    const rates = [1, 100 ** -0.3, 1, 7 ** -0.25, 7 ** -0.5];
    assert.equal(table.cos.length, 5 * places.length);
    for (const [at, place] of places.entries()) {
      for (const [pair, rate] of rates.entries()) {
        const angle = (origin + place[pair < 2 ? "column" : "row"]) * rate;
        assert.ok(Math.abs(table.cos[5 * at + pair] - Math.cos(angle)) < 2e-6);
        assert.ok(Math.abs(table.sin[5 * at + pair] - Math.sin(angle)) < 2e-6);
      }
    }
  }
  assert.deepEqual(gridRotary([], []), { cos: new Float32Array(0), sin: new Float32Array(0) });
});

test("nn: self-attention normalises queries and keys before heads, and turns neighbours when interleaved", () => {
  const [tokens, width, heads] = [3, 8, 2];
  const x = randomTensor(4, [1, tokens, width]);
  const cos = randomTensor(5, [tokens, 2]);
  const sin = randomTensor(6, [tokens, 2]);
  const asked: string[] = [];
  const build = (b: GraphBuilder): Node =>
    selfAttention(b, input(b, "x", x), "", {
      heads,
      rotary: { cos: input(b, "cos", cos), sin: input(b, "sin", sin), interleaved: true },
      normalize: (projected, which) => {
        assert.deepEqual(projected.shape, [1, tokens, width]);
        asked.push(which);
        return b.mul(projected, b.constant(which === "query" ? 2 : 3));
      },
    });
  const found = run(build, { x, cos, sin });
  assert.deepEqual(asked.sort(), ["key", "query"]);
  const projected = (name: string): RefTensor =>
    run(
      (b) => {
        const [w, own] = [b.weight(`${name}_proj.weight`, [width, width]), b.weight(`${name}_proj.bias`, [width])];
        return b.reshape(b.add(b.matmul(input(b, "x", x), w, { transposeB: true }), own), [
          1,
          tokens,
          heads,
          width / heads,
        ]);
      },
      { x },
    );
  const scaled = (t: RefTensor, by: number): RefTensor => ({ ...t, data: t.data.map((v) => v * by) as typeof t.data });
  const q = rotary(scaled(projected("q"), 2), cos, sin, true);
  const k = rotary(scaled(projected("k"), 3), cos, sin, true);
  const v = projected("v");
  const expected = run(
    (b) => {
      const mixed = b.attention(input(b, "q", q), input(b, "k", k), input(b, "v", v));
      const [w, own] = [b.weight("out_proj.weight", [width, width]), b.weight("out_proj.bias", [width])];
      return b.add(b.matmul(b.reshape(mixed, [1, tokens, width]), w, { transposeB: true }), own);
    },
    { q, k, v },
  );
  assert.ok(maxDifference(found, expected) < 1e-12);
});
