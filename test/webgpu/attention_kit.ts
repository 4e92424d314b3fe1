/** Attention against the evaluator, at odd sizes between poison. */
import { test } from "node:test";
import { attentionGrid, attentionKernel, attentionNames } from "../../kernels/webgpu/emit/attention.ts";
import { tiledAttentionGrid, tiledAttentionKernel } from "../../kernels/webgpu/emit/attention_tiled.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { attention } from "../../runtime/ir/evaluate/attention.ts";
import { type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { assertNear, normals, runKernel } from "./gpu_kit.ts";

export interface AttentionCase {
  readonly title: string;
  readonly headDim?: number;
  readonly group?: number;
  readonly causal?: boolean;
  readonly window?: number;
  readonly keyMask?: boolean;
  readonly segments?: boolean;
  /** In tiles as well, which drivers on the processor take seconds to compile. */
  readonly tiled?: boolean;
}

export function testAttention(given: AttentionCase, device: () => Promise<Device>): void {
  const { title, headDim = 12, group = 1, causal = false, window = 0, keyMask = false, segments = false } = given;
  const ways = given.tiled === true ? (["streamed", "tiled"] as const) : (["streamed"] as const);
  test(`attention, ${title}`, async () => {
    const [batch, tokens, heads] = [segments ? 1 : 2, 71, 2];
    const own = heads / group;
    const options = { headDim, scale: 0.31, causal, window, keyMask, segments, group };
    const q = normals(4, batch * tokens * heads * headDim);
    const [k, v] = [5, 6].map((seed) => normals(seed, batch * tokens * own * headDim));
    const mask = Float32Array.from({ length: batch * tokens }, (_, i) => (hash32(7, i) % 3 === 0 ? 0 : 1));
    const offsets = Int32Array.of(0, 5, 40, tokens);
    const more = [...(keyMask ? [mask] : []), ...(segments ? [offsets] : [])];
    const kinds = [q, k, v, ...more].map(() => "read" as const);
    const words: Record<string, number> = { heads, queries: tokens, keys: tokens, segments: 3 };
    for (const [name, count] of Object.entries({ q: heads, k: own, v: own })) {
      words[`${name}_batch`] = tokens * count * headDim;
      words[`${name}_token`] = count * headDim;
      words[`${name}_head`] = headDim;
    }
    const whole = { ...options, kinds, out: "write" } as const;
    const common = {
      ...{ inputs: [q, k, v, ...more], outputLength: q.length },
      words: attentionNames(whole).map((name) => words[name]),
    };
    const kernels = {
      streamed: () => ({ code: attentionKernel(whole), grid: attentionGrid(batch, heads, tokens, headDim) as number }),
      tiled: () => ({ code: tiledAttentionKernel(whole), grid: tiledAttentionGrid(batch, heads, tokens) as number }),
    };
    const tensor = (x: Float32Array, count: number): RefTensor => refTensor("f32", [batch, tokens, count, headDim], x);
    const expected = attention(tensor(q, heads), tensor(k, own), tensor(v, own), {
      ...{ scale: options.scale, causal, window },
      ...(keyMask ? { keyMask: refTensor("f32", [batch, tokens], mask) } : {}),
      ...(segments ? { cuSeqlens: refTensor("i32", [offsets.length], offsets) } : {}),
    });
    for (const way of ways) {
      const found = await runKernel(await device(), { ...common, ...kernels[way]() });
      assertNear(found, expected.data, 2e-6, `attention, ${way}`);
    }
  });
}
