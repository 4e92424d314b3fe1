/** Attention of queries, keys and values that are read in place. */
import { bytesOf, type Source, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import type { ClaimContext, KernelSpec, Offer } from "../../../runtime/abi/kernel.ts";
import { add, bounds, type Dim, dimEquals, divisorOf, mul, product } from "../../../runtime/core/dim.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import { type AttentionOptions, attentionBlocks, attentionGrid, attentionKernel } from "../emit/attention.ts";
import { matrixAttentionGrid, matrixAttentionKernel, suitsMatrixAttention } from "../emit/attention_matrix.ts";
import { suitsTiles, tiledAttentionGrid, tiledAttentionKernel } from "../emit/attention_tiled.ts";
import { isHalf } from "../emit/kernel.ts";
import { MATRIX_DIALECTS } from "../emit/matrix_dialect.ts";
import { beforeNarrow, kindOf, outOf, pointerTo } from "./kinds.ts";

/** Numbers that subgroup matrices are read by. */
const UNIT = 8;

/** How the device spells subgroup matrices, where it has them and an attention's operands are f16 that they can read. */
function matrixDialect(
  { capabilities, box }: ClaimContext,
  { headDim, kinds }: AttentionOptions,
  sources: readonly Source[],
): string | undefined {
  const { subgroupMatrix } = capabilities;
  if (typeof subgroupMatrix !== "string" || !Object.hasOwn(MATRIX_DIALECTS, subgroupMatrix)) return undefined;
  if (!suitsMatrixAttention(headDim) || !kinds.slice(0, 3).every(isHalf)) return undefined;
  const steps = sources.flatMap(({ offset, strides }) => [offset, ...strides.slice(0, 3)]);
  return steps.every((d) => divisorOf(d, box) % UNIT === 0) ? subgroupMatrix : undefined;
}

/** The kernel for what a range holds: by matrices where there are some, in tiles where queries are many. */
function kernelFor(
  context: ClaimContext,
  options: AttentionOptions,
  sources: readonly Source[],
  { shape: [batch, queries, heads] }: Node,
): { readonly code: Uint8Array; readonly grid: Dim } {
  const dialect = matrixDialect(context, options, sources.slice(0, 3));
  if (dialect !== undefined)
    return { code: matrixAttentionKernel({ ...options, dialect }), grid: matrixAttentionGrid(batch, heads, queries) };
  const tiled = tiledAttentionGrid(batch, heads, queries);
  const most = (d: Dim): number => bounds(d, context.box).max;
  if (suitsTiles(most(queries), most(tiled), options.headDim))
    return { code: tiledAttentionKernel(options), grid: tiled };
  return { code: attentionKernel(options), grid: attentionGrid(batch, heads, queries, options.headDim) };
}

function claimAttention(context: ClaimContext, output: Node): readonly Offer[] {
  const node = beforeNarrow(output);
  if (node.op !== "attention") return [];
  const { attributes, inputs } = node;
  const refuse = (reason: string): readonly Offer[] => [{ kernel: "attention", node, reason }];
  const [q, k, v] = inputs;
  const [, , heads, headDim] = q.shape;
  if (typeof headDim !== "number") return refuse("its head_dim must be known when it is compiled.");
  // Numbers of heads that are no constants are equal.
  const keyHeads = k.shape[2];
  const group = typeof heads === "number" && typeof keyHeads === "number" ? heads / keyHeads : 1;
  const inPlace = (n: Node): boolean => context.isWeight(n) || dimEquals(context.view(n).strides[3], 1);
  const access = inputs.map((n, i) => (i < 3 && inPlace(n) ? ("strided" as const) : ("dense" as const)));
  const options: AttentionOptions = {
    headDim,
    scale: attributes.scale as number,
    causal: attributes.causal === true,
    window: (attributes.window as number | undefined) ?? 0,
    keyMask: attributes.key_mask === true,
    segments: attributes.segments === true,
    group,
    kinds: inputs.map((n, i) => kindOf(context, n, access[i])),
    out: outOf(output),
  };
  const odd = [q, k, v, ...(options.keyMask ? [inputs[3]] : [])].find((n) => n.dtype !== "f32");
  if (odd !== undefined) return refuse(`it computes in f32, and an operand is ${odd.dtype}.`);
  if (attentionBlocks(headDim) === undefined) return refuse(`heads of ${headDim} do not fit into workgroup memory.`);
  const sources = sourcesOf(context, inputs, access);
  const flops = mul(4, product(node.shape), (attributes.longest_segment as Dim | undefined) ?? k.shape[1]);
  return [
    {
      kernel: "attention",
      covers: output === node ? [node] : [node, output],
      output,
      operands: sources.operands,
      weights: sources.weights,
      cost: { flops, bytes: add(bytesOf(output), ...inputs.map(bytesOf)), launches: 1 },
      emit: (e) => {
        const found = inputs.map((_, i) => sources.source(e, i));
        const words: readonly Dim[] = [
          ...[q.shape[2], q.shape[1], k.shape[1]],
          ...found.slice(0, 3).flatMap(({ strides }) => strides.slice(0, 3)),
          ...(options.segments ? [add(inputs[inputs.length - 1].shape[0], -1)] : []),
        ];
        const { code, grid } = kernelFor(context, options, found, q);
        e.step({
          name: "attention",
          code,
          args: [
            { place: e.output, offset: 0, mode: "write" },
            ...found.map((s, i) => pointerTo(s, inputs[i], options.kinds[i])),
            ...words.map((size) => ({ size })),
          ],
          grid,
          flops,
        });
      },
    },
  ];
}

export const ATTENTION_KERNEL: KernelSpec = {
  name: "attention",
  device: "webgpu",
  reads: ["subgroupMatrix"],
  readsHalves: true,
  claim: claimAttention,
};
