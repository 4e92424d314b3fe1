/** Families with a batch: tables and sizes of random images, texts and recordings against plain loops. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fixtureTower, grid, holds, i32, planned, zeros } from "./kit.ts";

const batch = fc.integer({ min: 1, max: 5 });

const close = (found: ArrayLike<number>, expected: readonly number[], limit: number): void => {
  assert.equal(found.length, expected.length);
  expected.forEach((v, i) => {
    assert.ok(Math.abs(found[i] - v) <= limit, `element ${i}: ${found[i]} instead of ${v}`);
  });
};

/** Keys' cubic with the free parameter a. */
function cubic(x: number, a: number): number {
  const d = Math.abs(x);
  if (d < 1) return (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1;
  return d < 2 ? a * (d ** 3 - 5 * d ** 2 + 8 * d - 4) : 0;
}

/** Four taps around the sample's place, repeated at the border. */
function plainCubic(table: readonly number[], to: number, i: number): number {
  const place = ((i + 0.5) * table.length) / to - 0.5;
  const first = Math.floor(place) - 1;
  let sum = 0;
  for (let j = first; j < first + 4; j++) {
    sum += table[Math.min(Math.max(j, 0), table.length - 1)] * cubic(place - j, -0.75);
  }
  return sum;
}

/** All entries whose centres the kernel, widened when shrinking, reaches; weights sum to 1. */
function antialiased(table: readonly number[], to: number, i: number, kernel: (x: number) => number): number {
  const scale = table.length / to;
  const centre = (i + 0.5) * scale;
  const weights = table.map((_, j) => kernel((j + 0.5 - centre) / Math.max(scale, 1)));
  const total = weights.reduce((a, w) => a + w, 0);
  return table.reduce((s, v, j) => s + (v * weights[j]) / total, 0);
}

const TABLE = [3, -1, 4, 1, -5, 9];

/** A row of weights for each sample, applied to the first values of a table. */
const applied = (weights: ArrayLike<number>, from: number, samples: number): number[] =>
  Array.from({ length: samples }, (_, i) => TABLE.slice(0, from).reduce((s, v, j) => s + v * weights[i * from + j], 0));

const RESIZED: readonly (readonly [string, number, (to: number, i: number) => number])[] = [
  ["dinov2", 1, (to, i) => plainCubic(TABLE.slice(0, 4), to, i)],
  ["dinov2-registers", 5, (to, i) => antialiased(TABLE.slice(0, 4), to, i, (x) => cubic(x, -0.5))],
  ["internvl", 1, (to, i) => plainCubic(TABLE.slice(0, 4), to, i)],
];

for (const [name, prefix, sample] of RESIZED) {
  const tower = fixtureTower(name);
  test(`${name}: random pictures have tokens for whole patches and a resized table of positions`, () => {
    holds<[number, [number, number], number, number]>(
      [batch, grid, fc.integer({ min: 0, max: 13 }), fc.integer({ min: 0, max: 13 })],
      (images, [rows, columns], down, right) => {
        const pixel_values = zeros([images, 3, 14 * rows + down, 14 * columns + right]);
        const { values, dims } = planned(tower, { pixel_values });
        assert.deepEqual(dims("block"), { batch: images, tokens: prefix + rows * columns });
        for (const [to, weights] of [
          [rows, values.row_weights],
          [columns, values.column_weights],
        ] as const) {
          const expected = Array.from({ length: to }, (_, i) => sample(to, i));
          close(applied(weights.data, 4, to), expected, 1e-5);
        }
      },
      [
        [1, [1, 1], 0, 0],
        [2, [1, 37], 13, 0],
        [1, [4, 4], 0, 1],
      ],
    );
  });
}

test("dinov3: every patch of random pictures turns by its place between -1 and 1", () => {
  const tower = fixtureTower("dinov3");
  holds<[number, [number, number]]>([batch, grid], (images, [rows, columns]) => {
    const { values, dims } = planned(tower, { pixel_values: zeros([images, 3, 16 * rows, 16 * columns]) });
    assert.deepEqual(dims("block"), { batch: images, tokens: 5 + rows * columns });
    const angles: number[] = new Array(5 * 8).fill(0);
    const place = (at: number, count: number): number => (2 * at + 1) / count - 1;
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        for (const c of [place(y, rows), place(x, columns)]) {
          for (let i = 0; i < 4; i++) angles.push((2 * Math.PI * c) / 100 ** (i / 4));
        }
      }
    }
    close(values.cos.data, angles.map(Math.cos), 1e-5);
    close(values.sin.data, angles.map(Math.sin), 1e-5);
  });
});

test("siglip2: random grids, padded, have positions of their own and a mask of their patches", () => {
  const tower = fixtureTower("siglip2");
  const triangle = (x: number): number => Math.max(0, 1 - Math.abs(x));
  holds<[[number, number][], number]>(
    [fc.array(grid, { minLength: 1, maxLength: 4 }), fc.integer({ min: 0, max: 9 })],
    (grids, padding) => {
      const patches = padding + Math.max(...grids.map(([h, w]) => h * w));
      const { values, dims } = planned(tower, {
        pixel_values: zeros([grids.length, patches, 3 * 64]),
        spatial_shapes: i32([grids.length, 2], grids.flat()),
      });
      assert.deepEqual(dims("block"), { batch: grids.length, patches });
      const rows = applied(values.row_weights.data, 6, grids.length * patches);
      const columns = applied(values.column_weights.data, 6, grids.length * patches);
      for (const [image, [h, w]] of grids.entries()) {
        for (let p = 0; p < patches; p++) {
          const at = image * patches + p;
          assert.equal(values.key_mask.data[at], p < h * w ? 1 : 0);
          if (p >= h * w) continue;
          const down = antialiased(TABLE, h, Math.floor(p / w), triangle);
          const across = antialiased(TABLE, w, p % w, triangle);
          assert.ok(Math.abs(rows[at] - down) < 1e-5 && Math.abs(columns[at] - across) < 1e-5, `patch ${p}`);
        }
      }
    },
    [
      [[[1, 1]], 0],
      [[[1, 37]], 3],
    ],
  );
});

test("llama4: random batches of tiles share one table that turns by column and row", () => {
  const tower = fixtureTower("llama4");
  holds<[number]>([fc.integer({ min: 1, max: 17 })], (tiles) => {
    const { values, dims } = planned(tower, { pixel_values: zeros([tiles, 3, 56, 56]) });
    assert.equal(dims("block").batch, tiles);
    const angles: number[] = [];
    for (let y = 1; y <= 4; y++) {
      for (let x = 1; x <= 4; x++) {
        for (const at of [x, y]) for (let i = 0; i < 4; i++) angles.push(at / 10000 ** (i / 4));
      }
    }
    angles.push(...new Array(8).fill(0));
    close(values.cos.data, angles.map(Math.cos), 1e-5);
    close(values.sin.data, angles.map(Math.sin), 1e-5);
  });
});

for (const name of ["clip", "siglip", "vit"]) {
  test(`${name}: random batches of pictures are their sizes alone`, () => {
    const tower = fixtureTower(name);
    const [, channels, height, width] = tower.example({ batch: 1, seed: 0 }).pixel_values.shape;
    holds<[number]>([fc.integer({ min: 1, max: 64 })], (images) => {
      const { dims } = planned(tower, { pixel_values: zeros([images, channels, height, width]) });
      for (const part of ["embed", "block"]) assert.deepEqual(dims(part), { batch: images });
    });
  });
}

/** Lengths of texts of a batch, and the side of their padding. */
const lengths = fc.tuple(fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 5 }), fc.boolean());

for (const name of ["bert", "sentence-modernbert", "clip", "siglip"]) {
  const tower = fixtureTower(name, "text");
  test(`${name} texts: random lengths, padded on either side, are masked where they end`, () => {
    holds<[[number[], boolean]]>([lengths], ([texts, left]) => {
      const tokens = Math.max(...texts);
      const mask = texts.flatMap((length) =>
        Array.from({ length: tokens }, (_, t) => ((left ? t >= tokens - length : t < length) ? 1 : 0)),
      );
      const ids = mask.map((_, i) => 3 + ((i * 7) % 20));
      const { values, dims } = planned(tower, {
        input_ids: i32([texts.length, tokens], ids),
        attention_mask: i32([texts.length, tokens], mask),
      });
      const [first] = tower.components.filter((c) => /block$/.test(c.tag));
      assert.deepEqual(dims(first.tag.replace(/^.*\./, "")), { batch: texts.length, tokens });
      assert.deepEqual([...values.key_mask.data], mask);
      assert.deepEqual([...values.input_ids.data], ids);
      if (name === "bert") {
        assert.deepEqual(
          [...values.position_ids.data],
          Array.from({ length: tokens }, (_, t) => t),
        );
      }
      if (name !== "sentence-modernbert") return;
      for (const [kind, theta] of [
        ["full_attention", 160000],
        ["sliding_attention", 10000],
      ] as const) {
        const angles = Array.from({ length: tokens * 8 }, (_, i) => Math.floor(i / 8) / theta ** ((i % 8) / 8));
        close(values[`${kind}.cos`].data, angles.map(Math.cos), 1e-5);
        close(values[`${kind}.sin`].data, angles.map(Math.sin), 1e-5);
      }
    });
  });
}

for (const name of ["clip", "clip-eos2"]) {
  test(`${name} texts: random ids are pooled where the configuration says`, () => {
    const tower = fixtureTower(name, "text");
    const example = tower.example({ batch: 1, seed: 0, tokens: 2 }).input_ids.data;
    const end = example[1];
    const id = fc.integer({ min: 3, max: end });
    const text = fc.array(id, { minLength: 6, maxLength: 6 });
    holds<[number[][]]>([fc.array(text, { minLength: 1, maxLength: 4 })], (texts) => {
      const { pool_index } = planned(tower, { input_ids: i32([texts.length, 6], texts.flat()) }).values;
      const expected = texts.map((ids) => {
        // The largest id, or the first end token and 0 without one, as argmax of a comparison gives.
        const wanted = name === "clip-eos2" ? Math.max(...ids) : end;
        return Math.max(ids.indexOf(wanted), 0);
      });
      assert.deepEqual([...pool_index.data], expected);
    });
  });
}

test("whisper and qwen2_audio: random batches; two frames of sound are a token", () => {
  for (const name of ["whisper", "qwen2_audio"]) {
    const tower = fixtureTower(name, "audio");
    const [, bins, frames] = tower.example({ batch: 1, seed: 0 }).input_features.shape;
    const sound = fc.array(fc.integer({ min: 1, max: frames }), { minLength: 1, maxLength: 5 });
    holds<[number[]]>([sound], (clips) => {
      const mask = clips.flatMap((n) => Array.from({ length: frames }, (_, t) => (t < n ? 1 : 0)));
      const { values, dims } = planned(tower, {
        input_features: zeros([clips.length, bins, frames]),
        ...(name === "whisper" ? {} : { feature_attention_mask: i32([clips.length, frames], mask) }),
      });
      assert.deepEqual(dims("block"), { batch: clips.length });
      if (name === "whisper") return;
      const tokens = clips.flatMap((n) => Array.from({ length: frames / 2 }, (_, t) => (2 * t < n ? 1 : 0)));
      assert.deepEqual([...values.key_mask.data], tokens);
    });
  }
});

test("wav2vec2 and hubert: waves of random lengths; every frame and all that it sees lie in one piece", () => {
  for (const name of ["wav2vec2", "hubert"]) {
    const tower = fixtureTower(name, "audio");
    holds<[number, number]>([batch, fc.integer({ min: 45, max: 2000 })], (recordings, samples) => {
      const wave = Float32Array.from({ length: recordings * samples }, (_, i) => i % samples);
      const given = { dtype: "f32" as const, shape: [recordings, samples], data: wave };
      const { values, dims } = planned(tower, { input_values: given });
      // Frames of 45 samples, 20 apart; 16 of them are a piece.
      const frames = Math.floor((samples - 45) / 20) + 1;
      const pieces = Math.ceil(frames / 16);
      assert.deepEqual(dims("block"), { batch: recordings, frames });
      const parts = Math.ceil((recordings * pieces) / 32);
      assert.deepEqual(dims("features"), { pieces: Math.min(32, recordings * pieces) });
      const cut = Array.from({ length: parts }, (_, call) => [...values[`input_values.${call}`].data]).flat();
      assert.equal(cut.length, recordings * pieces * 345);
      for (let frame = 0; frame < frames; frame++) {
        const row = recordings - 1;
        const at = (row * pieces + Math.floor(frame / 16)) * 345 + (frame % 16) * 20;
        assert.equal(cut[at], frame * 20);
        assert.equal(cut[at + 44], frame * 20 + 44);
      }
    });
  }
});
