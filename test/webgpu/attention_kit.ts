/** Attention against the evaluator, at odd sizes between poison. */
import { test } from "node:test";
import {
  type AttentionOptions,
  attentionGrid,
  attentionKernel,
  attentionNames,
} from "../../kernels/webgpu/emit/attention.ts";
import { tiledAttentionGrid, tiledAttentionKernel } from "../../kernels/webgpu/emit/attention_tiled.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { attention } from "../../runtime/ir/evaluate/attention.ts";
import { type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { assertNear, normals, runKernel, type Values } from "./gpu_kit.ts";

/** What a kernel is asked for. */
export interface AttentionShape {
  readonly headDim: number;
  readonly group?: number;
  readonly scale?: number;
  readonly causal?: boolean;
  readonly window?: number;
  readonly keyMask?: boolean;
  readonly segments?: boolean;
}

/** Numbers and what lies in memory for them. */
interface Given {
  readonly values: Float32Array<ArrayBuffer>;
  readonly stored: Values;
}

/** Attention to compute, and its result. */
export interface AttentionProblem {
  readonly batch: number;
  readonly tokens: number;
  readonly heads: number;
  /** All but types. */
  readonly options: Omit<AttentionOptions, "kinds" | "out">;
  readonly inputs: readonly Values[];
  readonly wordsOf: (options: AttentionOptions) => readonly number[];
  readonly expected: ArrayLike<number>;
}

/** 71 tokens of two heads, with a mask and segments where they are asked for. */
export function attentionProblem(
  shape: AttentionShape,
  draw: (seed: number, count: number) => Given,
): AttentionProblem {
  const { headDim, group = 1, scale = 0.31, causal = false, window = 0, keyMask = false, segments = false } = shape;
  const [batch, tokens, heads] = [segments ? 1 : 2, 71, 2];
  const own = heads / group;
  const counts = { q: heads, k: own, v: own };
  const [q, k, v] = Object.values(counts).map((count, i) => draw(4 + i, batch * tokens * count * headDim));
  const mask = Float32Array.from({ length: batch * tokens }, (_, i) => (hash32(7, i) % 3 === 0 ? 0 : 1));
  const offsets = Int32Array.of(0, 5, 40, tokens);
  const words: Record<string, number> = { heads, queries: tokens, keys: tokens, segments: 3 };
  for (const [name, count] of Object.entries(counts)) {
    words[`${name}_batch`] = tokens * count * headDim;
    words[`${name}_token`] = count * headDim;
    words[`${name}_head`] = headDim;
  }
  const tensor = ({ values }: Given, count: number): RefTensor =>
    refTensor("f32", [batch, tokens, count, headDim], values);
  const expected = attention(tensor(q, heads), tensor(k, own), tensor(v, own), {
    ...{ scale, causal, window },
    ...(keyMask ? { keyMask: refTensor("f32", [batch, tokens], mask) } : {}),
    ...(segments ? { cuSeqlens: refTensor("i32", [offsets.length], offsets) } : {}),
  });
  return {
    batch,
    tokens,
    heads,
    options: { headDim, scale, causal, window, keyMask, segments, group },
    inputs: [q.stored, k.stored, v.stored, ...(keyMask ? [mask] : []), ...(segments ? [offsets] : [])],
    wordsOf: (options: AttentionOptions): readonly number[] => attentionNames(options).map((name) => words[name]),
    expected: expected.data,
  };
}

export interface AttentionCase extends Partial<AttentionShape> {
  readonly title: string;
  /** In tiles as well, which drivers on the processor take seconds to compile. */
  readonly tiled?: boolean;
}

export function testAttention(given: AttentionCase, device: () => Promise<Device>): void {
  const { title, headDim = 12 } = given;
  const ways = given.tiled === true ? (["streamed", "tiled"] as const) : (["streamed"] as const);
  test(`attention, ${title}`, async () => {
    const problem = attentionProblem({ ...given, headDim }, (seed, count) => {
      const values = normals(seed, count);
      return { values, stored: values };
    });
    const { batch, tokens, heads, inputs, expected } = problem;
    const whole = { ...problem.options, kinds: inputs.map(() => "read" as const), out: "write" } as const;
    const common = { inputs, outputLength: expected.length, words: problem.wordsOf(whole) };
    const kernels = {
      streamed: () => ({ code: attentionKernel(whole), grid: attentionGrid(batch, heads, tokens, headDim) as number }),
      tiled: () => ({ code: tiledAttentionKernel(whole), grid: tiledAttentionGrid(batch, heads, tokens) as number }),
    };
    for (const way of ways) {
      const found = await runKernel(await device(), { ...common, ...kernels[way]() });
      assertNear(found, expected, 2e-6, `attention, ${way}`);
    }
  });
}
