/** Attention that reads queries, keys and values in place. */

import { bytesOf, pointer, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import type { Claim, ClaimContext, KernelSpec, Offer, Place } from "../../../runtime/abi/kernel.ts";
import {
  add,
  bounds,
  ceilDiv,
  type Dim,
  dimEquals,
  evaluate,
  floorDiv,
  max,
  min,
  mul,
} from "../../../runtime/core/dim.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import { attentionKernel } from "../emit/attention.ts";
import {
  type AttentionOptions,
  attentionArguments,
  attentionGrid,
  attentionItem,
  attentionPairFlops,
  attentionPartKeys,
  attentionScratch,
  attentionSpan,
} from "../emit/attention_grid.ts";

const NAME = "attention";

/** Queries from more than which on spreading them costs less than it saves. */
const SPREAD_ROWS = 6;

/** 0 where every token of the range lies within the window. */
function windowOf(context: ClaimContext, node: Node): number {
  const window = (node.attributes.window as number | undefined) ?? 0;
  return bounds(node.inputs[1].shape[1], context.box).max <= window + 1 ? 0 : window;
}

const longestSegment = (node: Node): Dim | undefined => node.attributes.longest_segment as Dim | undefined;

/** Query heads for each key head; numbers of heads that are no constants are equal. */
function groupOf({ inputs: [q, k] }: Node): number {
  const [heads, keyHeads] = [q.shape[2], k.shape[2]];
  return typeof heads === "number" && typeof keyHeads === "number" ? heads / keyHeads : 1;
}

/** Keys that a query may see at most, windows left out. */
function reachableKeys(node: Node): Dim {
  return longestSegment(node) ?? node.inputs[1].shape[1];
}

/** Scores and weighted sums, and one exponential for each score. */
function flopsOf(node: Node, window: number): Dim {
  const [q] = node.inputs;
  const reachable = reachableKeys(node);
  const keys = window === 0 ? reachable : min(reachable, 2 * window + 1);
  return mul(q.shape[0], q.shape[1], q.shape[2], keys, attentionPairFlops(q.shape[3] as number));
}

/** Parts in which a block of queries meets its keys; 1 where the range has no call that would be long. */
function partsOf(context: ClaimContext, node: Node, options: AttentionOptions): { keys: number; parts: Dim } {
  const keys = attentionPartKeys(options);
  const span = attentionSpan(node.inputs[1].shape[1], options.segments ? longestSegment(node) : undefined, options);
  if (options.window > 0 || bounds(span, context.box).max <= keys) return { keys: 0, parts: 1 };
  return { keys, parts: max(1, ceilDiv(span, keys)) };
}

function optionsOf(context: ClaimContext, node: Node, headDim: number): AttentionOptions {
  const a = node.attributes;
  const mostQueries = Math.max(1, bounds(node.inputs[0].shape[1], context.box).max);
  const window = windowOf(context, node);
  // A tile of queries at most, such as that of a pooling head, is not worth spreading.
  const spread = context.capabilities.tileSpread === true && window === 0 && mostQueries > SPREAD_ROWS;
  const group = groupOf(node);
  return {
    headDim,
    ...(group === 1 ? {} : { group }),
    scale: a.scale as number,
    causal: a.causal === true,
    keyMask: a.key_mask === true,
    segments: a.segments === true,
    window,
    madd: context.capabilities.relaxedMadd === true,
    turn: context.capabilities.tileTurn as number,
    ...(spread ? { spread } : {}),
    mostQueries,
    mostKeys: Math.max(1, bounds(reachableKeys(node), context.box).max),
    partKeys: 0,
  };
}

function claim(context: ClaimContext, node: Node): readonly Offer[] {
  if (node.op !== "attention") return [];
  const refuse = (reason: string): readonly Offer[] => [{ kernel: NAME, node, reason }];
  const [q, k, v, ...extra] = node.inputs;
  const headDim = q.shape[3];
  if (typeof headDim !== "number") return refuse("its head_dim must be known when it is compiled.");
  const whole = optionsOf(context, node, headDim);
  const { keys: partKeys, parts } = partsOf(context, node, whole);
  const options = { ...whole, partKeys };
  const odd = [q, k, v, ...(options.keyMask ? [extra[0]] : [])].find((n) => n.dtype !== "f32");
  if (odd !== undefined) return refuse(`it computes in f32, and an operand is ${odd.dtype}.`);
  // A head's elements must lie side by side; all other strides are free.
  const inPlace = (n: Node): boolean => context.isWeight(n) || dimEquals(context.view(n).strides[3], 1);
  const sources = sourcesOf(
    context,
    node.inputs,
    node.inputs.map((n, i) => (i < 3 && inPlace(n) ? "strided" : "dense")),
  );
  const flops = flopsOf(node, options.window);
  const offer: Claim = {
    kernel: NAME,
    covers: [node],
    output: node,
    operands: sources.operands,
    weights: sources.weights,
    // Blocks of which queries see different parts are looked at key by key: about an eighth more.
    cost: {
      flops: options.causal || options.window > 0 ? add(flops, floorDiv(flops, 8)) : flops,
      bytes: add(bytesOf(node), ...node.inputs.map(bytesOf)),
      launches: 1,
    },
    emit: (e) => {
      const found = node.inputs.map((_, i) => sources.source(e, i));
      const sizes: Record<string, Dim> = {
        batch: q.shape[0],
        heads: q.shape[2],
        queries: q.shape[1],
        keys: k.shape[1],
        parts,
        ...(options.segments ? { segments: add(extra[extra.length - 1].shape[0], -1) } : {}),
      };
      const pointers: Record<string, { readonly place: Place; readonly offset: Dim; readonly mode: "read" | "write" }> =
        {
          output: { place: e.output, offset: 0, mode: "write" },
        };
      ["q", "k", "v"].forEach((name, i) => {
        pointers[name] = pointer(found[i], node.inputs[i]);
        const [batch, token, head] = found[i].strides;
        Object.assign(sizes, {
          [`${name}_batch_stride`]: batch,
          [`${name}_token_stride`]: token,
          [`${name}_head_stride`]: head,
        });
      });
      if (options.keyMask) pointers.key_mask = pointer(found[3], extra[0]);
      if (options.segments) pointers.cu_seqlens = pointer(found[found.length - 1], extra[extra.length - 1]);
      e.step({
        name: NAME,
        code: attentionKernel(options).bytes,
        args: attentionArguments(options).map((name) => pointers[name] ?? { size: sizes[name] }),
        grid: attentionGrid(q.shape[0], q.shape[2], q.shape[1], options),
        ...(partKeys > 0 ? { parts } : {}),
        flops,
        workerScratch: attentionScratch(options),
        itemOf: (dims) => attentionItem(evaluate(q.shape[1], dims), evaluate(q.shape[2], dims), options),
      });
    },
  };
  return [offer];
}

export const ATTENTION_KERNEL: KernelSpec = {
  name: NAME,
  device: "wasm",
  reads: ["relaxedMadd", "tileTurn", "tileSpread"],
  claim,
};
