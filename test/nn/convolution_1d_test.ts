import assert from "node:assert/strict";
import { test } from "node:test";
import { hash32 } from "../../runtime/core/random.ts";
import * as ref from "../../runtime/ir/evaluate/mod.ts";
import { convolution1d } from "../../runtime/nn/mod.ts";
import { randomTensor } from "../kit/random_graph.ts";
import { buildGraph, maxDifference } from "../kit/run_graph.ts";

test("nn: convolution1d is the definition, for random sizes, strides and paddings", () => {
  for (let seed = 0; seed < 40; seed++) {
    const pick = (i: number, from: number, to: number): number => from + (hash32(seed, i) % (to - from + 1));
    const [batch, width, outChannels] = [pick(0, 1, 3), pick(1, 1, 5), pick(2, 1, 5)];
    const [size, stride, padding] = [pick(3, 1, 4), pick(4, 1, 3), pick(5, 0, 2)];
    const steps = pick(6, size, 12);
    const x = randomTensor(seed, [batch, steps, width]);
    const weights: Readonly<Record<string, ref.RefTensor>> = {
      "conv.weight": randomTensor(seed + 100, [outChannels, width, size]),
      "conv.bias": randomTensor(seed + 200, [outChannels]),
    };
    const graph = buildGraph({ batch: { min: 1, max: 4 } }, (b) => {
      const input = b.input("x", [b.dims.batch, steps, width]);
      b.output("y", convolution1d(b, input, "conv.", { outChannels, size, stride, padding }));
    });
    const { y } = ref.evaluateGraph(graph, { batch }, { x }, (name) => weights[name]);
    const results = Math.floor((steps + 2 * padding - size) / stride) + 1;
    const wanted = new Float64Array(batch * results * outChannels);
    for (let i = 0; i < wanted.length; i++) {
      const [n, t, o] = [Math.floor(i / outChannels / results), Math.floor(i / outChannels) % results, i % outChannels];
      wanted[i] = weights["conv.bias"].data[o];
      for (let c = 0; c < width; c++) {
        for (let k = 0; k < size; k++) {
          const at = t * stride + k - padding;
          if (at < 0 || at >= steps) continue;
          wanted[i] += weights["conv.weight"].data[(o * width + c) * size + k] * x.data[(n * steps + at) * width + c];
        }
      }
    }
    const want = { dtype: "f32", shape: [batch, results, outChannels], data: wanted } as const;
    assert.ok(maxDifference(y, want) <= 1e-12, `seed ${seed}: ${maxDifference(y, want)}`);
  }
});
