import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { hash32 } from "../../runtime/core/random.ts";
import { antialiasedMatrix, bicubicMatrix } from "../../runtime/media/interpolation.ts";
import { readSafetensors } from "../kit/read_safetensors.ts";

const KINDS: Readonly<Record<string, (from: number, to: number) => Float32Array>> = {
  bicubic: bicubicMatrix,
  "bicubic-antialias": (from, to) => antialiasedMatrix("bicubic", from, to),
  "bilinear-antialias": (from, to) => antialiasedMatrix("bilinear", from, to),
};

const matrices = readSafetensors(join(process.cwd(), "test/fixtures/interpolation/matrices.safetensors"));

for (const [key, expected] of matrices) {
  test(`interpolation has PyTorch's weights: ${key}`, () => {
    const found = /^(.*)-(\d+)-(\d+)$/.exec(key);
    assert.ok(found !== null);
    const [from, to] = [Number(found[2]), Number(found[3])];
    const matrix = KINDS[found[1]](from, to);
    assert.deepEqual([matrix.length, expected.shape], [to * from, [to, from]]);
    // PyTorch computes the weights in f32.
    matrix.forEach((w, i) => {
      assert.ok(Math.abs(w - expected.data[i]) < 2e-6, `weight ${i} is ${w} instead of ${expected.data[i]}`);
    });
  });
}

test("interpolation weights sum to 1, mirror at the middle, and are the identity between equal sizes", () => {
  for (let seed = 0; seed < 40; seed++) {
    const [from, to] = [1 + (hash32(seed, 0) % 50), 1 + (hash32(seed, 1) % 50)];
    for (const [name, make] of Object.entries(KINDS)) {
      const matrix = make(from, to);
      for (let i = 0; i < to; i++) {
        const row = matrix.subarray(i * from, (i + 1) * from);
        assert.ok(Math.abs(row.reduce((a, w) => a + w, 0) - 1) < 1e-6, `${name} ${from} to ${to}, row ${i}`);
        const mirrored = matrix.subarray((to - 1 - i) * from, (to - i) * from);
        row.forEach((w, k) => {
          assert.ok(Math.abs(w - mirrored[from - 1 - k]) < 1e-6, `${name} ${from} to ${to}, row ${i}, ${k}`);
        });
      }
      const same = make(from, from);
      same.forEach((w, i) => {
        assert.equal(Math.abs(w), i % (from + 1) === 0 ? 1 : 0);
      });
    }
  }
});
