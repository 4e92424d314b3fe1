/**
 * Attention by streaming: a workgroup for a block of queries of a head goes over blocks of keys, staged through workgroup
 * memory, and keeps the softmax's running sums. Four invocations share a query: each takes a quarter of the keys' scores, and of
 * the result's numbers.
 */
import { internal } from "../../../runtime/core/diagnostics.ts";
import { ceilDiv, type Dim, mul } from "../../../runtime/core/dim.ts";
import type { ArgumentKind } from "../device/code.ts";
import { f32, gpuKernel, type KernelScope, LOWEST, pointer, words } from "./kernel.ts";

/** Invocations of a query. */
const PARTS = 4;

/** Bytes of workgroup memory that queries, keys or values, and scores may take. */
const MOST_BYTES = 15 * 1024;

interface Blocks {
  readonly queries: number;
  readonly keys: number;
}

/** Sizes of blocks whose memory suffices for a size of heads, the largest first; nothing where none does. */
export function attentionBlocks(headDim: number): Blocks | undefined {
  const fours = Math.ceil(headDim / 4);
  const sizes = [16, 8].flatMap((queries) => [16, 8, 4].map((keys) => ({ queries, keys })));
  return sizes.find(({ queries, keys }) => 16 * fours * (queries + keys) + 4 * queries * (keys + 1) <= MOST_BYTES);
}

export interface AttentionOptions {
  readonly headDim: number;
  readonly scale: number;
  readonly causal: boolean;
  /** 0 for all. */
  readonly window: number;
  readonly keyMask: boolean;
  readonly segments: boolean;
  /** Query heads for each key head. */
  readonly group: number;
  readonly kinds: readonly Exclude<ArgumentKind, "word">[];
}

export const attentionPointers = ({ keyMask, segments }: AttentionOptions): readonly string[] => [
  ...["q", "k", "v"],
  ...(keyMask ? ["mask"] : []),
  ...(segments ? ["offsets"] : []),
];

export const attentionNames = ({ segments }: AttentionOptions): readonly string[] => [
  ...["heads", "queries", "keys"],
  ...["q", "k", "v"].flatMap((name) => [`${name}_batch`, `${name}_token`, `${name}_head`]),
  ...(segments ? ["segments"] : []),
];

const blocksOf = (headDim: number): Blocks =>
  attentionBlocks(headDim) ?? internal(`no block of attention holds heads of ${headDim}`);

export const attentionGrid = (batch: Dim, heads: Dim, queries: Dim, headDim: number): Dim =>
  mul(batch, heads, ceilDiv(queries, blocksOf(headDim).queries));

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);
const COMPONENTS = ["x", "y", "z", "w"] as const;

/** Own segment of a query, looked for among the offsets, which are integers in memory that holds f32. */
const segmentOf = ({ word, at }: KernelScope): string => `
  for (var s = 0u; s < ${word("segments")}; s++) {
    let a = bitcast<u32>(${at("offsets", "s")});
    let b = bitcast<u32>(${at("offsets", "s + 1u")});
    if (token >= a && token < b) { first = a; end = min(end, b); }
  }`;

export function attentionKernel(options: AttentionOptions): Uint8Array {
  const { headDim, scale, causal, window, keyMask, segments, group, kinds } = options;
  const { queries, keys } = blocksOf(headDim);
  const fours = Math.ceil(headDim / 4);
  const workgroup = queries * PARTS;
  const ownKeys = range(keys / PARTS);
  const ownFours = range(Math.ceil(fours / PARTS));
  return gpuKernel({
    name: "attention",
    args: [
      pointer("out", "write"),
      ...attentionPointers(options).map((name, i) => pointer(name, kinds[i])),
      ...words(...attentionNames(options)),
    ],
    element: "f32",
    workgroup,
    write: (scope) => {
      const { word, at } = scope;
      /** Puts lines of a head into workgroup memory in fours; what lies behind the last number is 0. */
      const stage = (tile: string, from: string, lines: number, token: string, most: string, head: string): string => `
  for (var i = lane; i < ${lines * fours}u; i += ${workgroup}u) {
    let line = i / ${fours}u;
    let d = (i % ${fours}u) * 4u;
    let start = batch * ${word(`${from}_batch`)} + min(${token} + line, ${most} - 1u) * ${word(`${from}_token`)} + ${head} * ${word(`${from}_head`)} + d;
    ${tile}[i] = vec4<f32>(${range(4)
      .map((c) => {
        const value = at(from, `start + ${c}u`);
        return headDim % 4 === 0 ? value : `select(0.0f, ${value}, d + ${c}u < ${headDim}u)`;
      })
      .join(", ")});
  }`;
      return `
var<workgroup> query: array<vec4<f32>, ${queries * fours}>;
var<workgroup> block_tile: array<vec4<f32>, ${keys * fours}>;
var<workgroup> scores: array<f32, ${queries * keys}>;
var<workgroup> spans: array<vec2<u32>, ${queries}>;
var<workgroup> whole_span: vec2<u32>;
fn run(item: u32, lane: u32) {
  let blocks = (${word("queries")} + ${queries - 1}u) / ${queries}u;
  let token0 = (item % blocks) * ${queries}u;
  let head = (item / blocks) % ${word("heads")};
  let batch = item / (blocks * ${word("heads")});
  let key_head = head / ${group}u;
  let own = lane % ${queries}u;
  let part = lane / ${queries}u;
  let token = token0 + own;
  let is_query = token < ${word("queries")};
  var first = 0u;
  var end = ${causal ? `min(${word("keys")}, token + 1u)` : word("keys")};
  ${segments ? segmentOf(scope) : ""}
  ${window > 0 ? `first = max(first, token - min(token, ${window}u)); end = min(end, token + ${window + 1}u);` : ""}
  if (part == 0u) { spans[own] = select(vec2<u32>(0xffffffffu, 0u), vec2<u32>(first, end), is_query); }
  workgroupBarrier();
  if (lane == 0u) {
    var span = spans[0];
    for (var i = 1u; i < ${queries}u; i++) { span = vec2<u32>(min(span.x, spans[i].x), max(span.y, spans[i].y)); }
    whole_span = span;
  }
  let span = workgroupUniformLoad(&whole_span);
  ${stage("query", "q", queries, "token0", word("queries"), "head")}
  ${ownFours.map((f) => `var acc${f} = vec4<f32>();`).join(" ")}
  var top = ${LOWEST};
  var total = 0.0f;
  for (var block = span.x; block < span.y; block += ${keys}u) {
    workgroupBarrier();
    ${stage("block_tile", "k", keys, "block", word("keys"), "key_head")}
    workgroupBarrier();
    ${ownKeys.map((j) => `var dot${j} = 0.0f;`).join(" ")}
    for (var f = 0u; f < ${fours}u; f++) {
      let q = query[own * ${fours}u + f];
      ${ownKeys.map((j) => `dot${j} += dot(q, block_tile[(part * ${ownKeys.length}u + ${j}u) * ${fours}u + f]);`).join(" ")}
    }
    ${ownKeys
      .map((j) => {
        const seen = keyMask
          ? ` && ${at("mask", `batch * ${word("keys")} + min(key${j}, ${word("keys")} - 1u)`)} != 0.0f`
          : "";
        return `let key${j} = block + part * ${ownKeys.length}u + ${j}u;
    scores[own * ${keys}u + part * ${ownKeys.length}u + ${j}u] = select(${LOWEST}, dot${j} * ${f32(scale)}, is_query && key${j} >= first && key${j} < end${seen});`;
      })
      .join("\n    ")}
    workgroupBarrier();
    ${stage("block_tile", "v", keys, "block", word("keys"), "key_head")}
    var larger = top;
    for (var j = 0u; j < ${keys}u; j++) { larger = max(larger, scores[own * ${keys}u + j]); }
    let shrink = select(exp(top - larger), 1.0f, larger == top);
    ${ownFours.map((f) => `acc${f} *= shrink;`).join(" ")}
    total *= shrink;
    top = larger;
    workgroupBarrier();
    for (var j = 0u; j < ${keys}u; j++) {
      let score = scores[own * ${keys}u + j];
      let weight = select(exp(score - top), 0.0f, score == ${LOWEST});
      total += weight;
      ${ownFours
        .map((f) => {
          const four = `${f * PARTS}u + part`;
          const guard = (f + 1) * PARTS > fours ? `if (${four} < ${fours}u) ` : "";
          return `${guard}{ acc${f} += weight * block_tile[j * ${fours}u + ${four}]; }`;
        })
        .join(" ")}
    }
  }
  if (!is_query) { return; }
  let by = select(1.0f / total, 0.0f, total == 0.0f);
  let line = ((batch * ${word("queries")} + token) * ${word("heads")} + head) * ${headDim}u;
  ${ownFours
    .flatMap((f) =>
      COMPONENTS.map((component, c) => {
        const d = `(${f * PARTS}u + part) * 4u + ${c}u`;
        const inside = (f + 1) * PARTS * 4 > headDim ? `if (${d} < ${headDim}u) ` : "";
        return `${inside}{ ${at("out", `line + ${d}`)} = acc${f}.${component} * by; }`;
      }),
    )
    .join("\n  ")}
}`;
    },
  });
}
