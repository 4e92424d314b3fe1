/**
 * Attention by streaming with subgroup matrices: a workgroup for 64 queries of a head, 16 of them a subgroup, goes over blocks of
 * keys and values of f16 in workgroup memory. Scores pass through workgroup memory to the softmax and come back as f16 weights;
 * sums stay in matrices, and are made smaller only where a row's largest score grew by much.
 */
import { ceilDiv, type Dim, mul } from "../../../runtime/core/dim.ts";
import { type AttentionOptions, attentionArguments, queryBlock } from "./attention.ts";
import { f32, gpuKernel, isHalf, type KernelScope, LOWEST } from "./kernel.ts";
import { MATRIX_DIALECTS } from "./matrix_dialect.ts";

const SIDE = 16;
const SUBGROUP = 32;
const SUBGROUPS = 4;
const QUERIES = SIDE * SUBGROUPS;
const INVOCATIONS = SUBGROUP * SUBGROUPS;

/** Bytes of workgroup memory for tiles; the rest is for what is small. */
const MOST_BYTES = 46 * 1024;

/** Scores may exceed what weights are relative to by so much: e^8 is far below the largest f16. */
const GROWN = 8;

const padded = (headDim: number): number => Math.ceil(headDim / SIDE) * SIDE;

/** Words of four in a line: keys, values and queries of f16; scores of f32; weights of f16. Eight halves more, for the banks. */
const headPitch = (headDim: number): number => padded(headDim) / 8 + 1;
const scorePitch = (keys: number): number => keys / 4 + 1;
const weightPitch = (keys: number): number => keys / 8 + 1;

/** Keys of a block, the most that fit into workgroup memory; nothing where none do. */
export function matrixAttentionKeys(headDim: number): number | undefined {
  if (headDim % 8 !== 0) return undefined;
  return [64, 48, 32].find((keys) => {
    const tiles = 2 * keys * headPitch(headDim);
    const strips = QUERIES * (scorePitch(keys) + weightPitch(keys));
    return headPitch(headDim) <= scorePitch(keys) && 16 * (tiles + strips) <= MOST_BYTES;
  });
}

export const matrixAttentionGrid = (batch: Dim, heads: Dim, queries: Dim): Dim =>
  mul(batch, heads, ceilDiv(queries, QUERIES));

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

export interface MatrixAttentionOptions extends AttentionOptions {
  readonly dialect: string;
}

/** Queries, keys and values are f16, of heads of a multiple of 8 that begin at multiples of 8 numbers. Arguments as `attentionKernel`'s. */
export function matrixAttentionKernel(options: MatrixAttentionOptions): Uint8Array {
  const { headDim, scale, causal, window, keyMask, segments, group, out, dialect } = options;
  const spelling = MATRIX_DIALECTS[dialect];
  const keys = matrixAttentionKeys(headDim) as number;
  const eights = headDim / 8;
  const pitch = headPitch(headDim);
  const [scores, weights] = [scorePitch(keys), weightPitch(keys)];
  const depth = range(padded(headDim) / SIDE);
  const blocks = range(keys / SIDE);
  /** Half of a row's scores, an invocation's. */
  const own = keys / 2;
  const leftType = spelling.type("left", "f16", SIDE, SIDE);
  const rightType = spelling.type("right", "f16", SIDE, SIDE);
  const resultType = spelling.type("result", "f32", SIDE, SIDE);
  /** Sums leave and come back through the scores' memory, so many of their columns at a time. */
  const chunks = range(Math.ceil(depth.length / blocks.length)).map((c) =>
    depth.slice(c * blocks.length, (c + 1) * blocks.length),
  );
  const strip = "score_tile[subgroup]";
  return gpuKernel({
    name: "attention",
    args: attentionArguments(options),
    element: "vec4<u32>",
    workgroup: INVOCATIONS,
    enables: ["enable subgroups;", ...spelling.enables],
    write: (scope) => {
      const { word, memory } = scope;
      const start = (name: string, head: string): string =>
        `(${word(name)} >> 4u) + (batch * ${word(`${name}_batch`)} + ${head} * ${word(`${name}_head`)}) / 8u`;
      const staged = range(Math.ceil((keys * (pitch - 1)) / INVOCATIONS)).map((i) => {
        const e = `(lane + ${i * INVOCATIONS}u)`;
        const inside = (i + 1) * INVOCATIONS > keys * (pitch - 1) ? `if (${e} < ${keys * (pitch - 1)}u) ` : "";
        const isHead = eights < pitch - 1 ? ` && eight < ${eights}u` : "";
        return `${inside}{ let line = ${e} / ${pitch - 1}u; let eight = ${e} % ${pitch - 1}u;
      let key = min(block + line, ${word("keys")} - 1u);
      let is_value = block + line < ${word("keys")}${isHead};
      let at = line * ${pitch}u + eight;
      k_tile[at] = select(vec4<u32>(), ${memory("k")}[k_start + key * (${word("k_token")} / 8u) + min(eight, ${eights - 1}u)], is_value);
      v_tile[at] = select(vec4<u32>(), ${memory("v")}[v_start + key * (${word("v_token")} / 8u) + min(eight, ${eights - 1}u)], is_value); }`;
      });
      const products = blocks.map(
        (j) => `{ var s = ${resultType}();
      ${depth
        .map((d) => {
          const right = spelling.load(rightType, "k_tile", `${j * SIDE * pitch + d * 2}u`, "columns", `${pitch}u`);
          return `s = ${spelling.multiplyAdd(`q_${d}`, right, "s")};`;
        })
        .join(" ")}
      ${spelling.store(strip, `${j * 4}u`, "s", `${scores}u`)} }`,
      );
      const seen = (j: number, part: string, i: number): string => {
        const mask = keyMask
          ? ` && ${wordOf(scope, "mask", `batch * ${word("keys")} + min(key, ${word("keys")} - 1u)`)} != 0u`
          : "";
        return `{ let key = block + half * ${own}u + ${j * 4 + i}u;
      s${j}.${part} = select(${LOWEST}, s${j}.${part}, key >= first && key < end${mask}); }`;
      };
      const fours = range(own / 4);
      const needsMask = fours.flatMap((j) => ["x", "y", "z", "w"].map((part, i) => seen(j, part, i)));
      const rescale = chunks.map(
        (chunk) => `${chunk.map((d, i) => spelling.store(strip, `${i * 4}u`, `o_${d}`, `${scores}u`)).join(" ")}
      workgroupBarrier();
      for (var i = 0u; i < ${own / 4}u; i++) {
        let at = row * ${scores}u + half * ${own / 4}u + i;
        ${strip}[at] = bitcast<vec4<u32>>(bitcast<vec4<f32>>(${strip}[at]) * shrink);
      }
      workgroupBarrier();
      ${chunk.map((d, i) => `o_${d} = ${spelling.load(resultType, strip, `${i * 4}u`, "rows", `${scores}u`)};`).join(" ")}
      workgroupBarrier();`,
      );
      const values = blocks.map((j) => {
        const left = spelling.load(leftType, "weight_tile[subgroup]", `${j * 2}u`, "rows", `${weights}u`);
        return `{ let w = ${left};
      ${depth
        .map((d) => {
          const right = spelling.load(rightType, "v_tile", `${j * SIDE * pitch + d * 2}u`, "rows", `${pitch}u`);
          return `o_${d} = ${spelling.multiplyAdd("w", right, `o_${d}`)};`;
        })
        .join(" ")} }`;
      });
      const leave = chunks.map((chunk, c) => {
        const columns = Math.min(keys, headDim - c * keys);
        const step = isHalf(out) ? 8 : 4;
        const four = (i: string): string => `bitcast<vec4<f32>>(${strip}[row * ${scores}u + ${i}]) * by`;
        const value = isHalf(out)
          ? `let x = ${four("2u * i")}; let y = ${four("2u * i + 1u")};
        let value = vec4<u32>(pack2x16float(x.xy), pack2x16float(x.zw), pack2x16float(y.xy), pack2x16float(y.zw));`
          : `let value = bitcast<vec4<u32>>(${four("i")});`;
        return `workgroupBarrier();
  ${chunk.map((d, i) => spelling.store(strip, `${i * 4}u`, `o_${d}`, `${scores}u`)).join(" ")}
  workgroupBarrier();
  if (is_query) {
    for (var i = half; i < ${columns / step}u; i += 2u) {
        ${value}
        ${memory("out")}[line + ${(c * keys) / step}u + i] = value;
    }
  }`;
      });
      return `
var<workgroup> k_tile: array<vec4<u32>, ${keys * pitch}>;
var<workgroup> v_tile: array<vec4<u32>, ${keys * pitch}>;
var<workgroup> score_tile: array<array<vec4<u32>, ${SIDE * scores}>, ${SUBGROUPS}>;
var<workgroup> weight_tile: array<array<vec4<u32>, ${SIDE * weights}>, ${SUBGROUPS}>;
var<workgroup> lowest_first: atomic<u32>;
var<workgroup> largest_end: atomic<u32>;
var<workgroup> grown: atomic<u32>;
fn run(item: u32, lane: u32) {
  ${queryBlock(scope, QUERIES, group)}
  let subgroup = lane / ${SUBGROUP}u;
  let row = lane % ${SIDE}u;
  let half = (lane / ${SIDE}u) % 2u;
  let token = token0 + subgroup * ${SIDE}u + row;
  let is_query = token < ${word("queries")};
  var first = 0u;
  var end = ${causal ? `min(${word("keys")}, token + 1u)` : word("keys")};
  ${
    segments
      ? `for (var s = 0u; s < ${word("segments")}; s++) {
    let a = ${wordOf(scope, "offsets", "s")};
    let b = ${wordOf(scope, "offsets", "s + 1u")};
    if (token >= a && token < b) { first = a; end = min(end, b); }
  }`
      : ""
  }
  ${window > 0 ? `first = max(first, token - min(token, ${window}u)); end = min(end, token + ${window + 1}u);` : ""}
  if (lane == 0u) { atomicStore(&lowest_first, 0xffffffffu); }
  workgroupBarrier();
  if (is_query) { atomicMin(&lowest_first, first); atomicMax(&largest_end, end); }
  let from_key = workgroupUniformLoad(&lowest_first);
  let to_key = workgroupUniformLoad(&largest_end);
  let k_start = ${start("k", "key_head")};
  let v_start = ${start("v", "key_head")};
  let q_start = ${start("q", "head")};
  for (var e = lane % ${SUBGROUP}u; e < ${SIDE * (pitch - 1)}u; e += ${SUBGROUP}u) {
    let line = e / ${pitch - 1}u;
    let eight = e % ${pitch - 1}u;
    let query = min(token0 + subgroup * ${SIDE}u + line, ${word("queries")} - 1u);
    let value = ${memory("q")}[q_start + query * (${word("q_token")} / 8u) + min(eight, ${eights - 1}u)];
    ${strip}[line * ${pitch}u + eight] = select(vec4<u32>(), value, eight < ${eights}u);
  }
  workgroupBarrier();
  ${depth.map((d) => `let q_${d} = ${spelling.load(leftType, strip, `${d * 2}u`, "rows", `${pitch}u`)};`).join("\n  ")}
  ${depth.map((d) => `var o_${d} = ${resultType}();`).join(" ")}
  var top = ${LOWEST};
  var total = 0.0f;
  for (var block = from_key; block < to_key; block += ${keys}u) {
    workgroupBarrier();
    ${staged.join("\n    ")}
    workgroupBarrier();
    ${products.join("\n    ")}
    workgroupBarrier();
    ${fours
      .map(
        (j) =>
          `var s${j} = bitcast<vec4<f32>>(${strip}[row * ${scores}u + half * ${own / 4}u + ${j}u]) * ${f32(scale)};`,
      )
      .join("\n    ")}
    ${keyMask ? "" : `if (block < first || block + ${keys}u > end) {`}
    ${needsMask.join("\n    ")}
    ${keyMask ? "" : "}"}
    let most4 = ${fours.slice(1).reduce((text, j) => `max(${text}, s${j})`, "s0")};
    let most = max(max(most4.x, most4.y), max(most4.z, most4.w));
    let larger = max(most, subgroupShuffleXor(most, ${SIDE}u));
    var shrink = 1.0f;
    if (larger > top + ${f32(GROWN)} || (top == ${LOWEST} && larger > top)) {
      shrink = select(exp(top - larger), 0.0f, top == ${LOWEST});
      if (top != ${LOWEST}) { atomicOr(&grown, 1u); }
      top = larger;
    }
    var part = vec4<f32>();
    ${fours
      .map(
        (j) =>
          `let w${j} = select(exp(s${j} - vec4<f32>(top)), vec4<f32>(), s${j} == vec4<f32>(${LOWEST})); part += w${j};`,
      )
      .join("\n    ")}
    let sum = part.x + part.y + part.z + part.w;
    total = total * shrink + sum + subgroupShuffleXor(sum, ${SIDE}u);
    ${range(own / 8)
      .map(
        (j) =>
          `weight_tile[subgroup][row * ${weights}u + half * ${own / 8}u + ${j}u] = vec4<u32>(pack2x16float(w${2 * j}.xy), pack2x16float(w${2 * j}.zw), pack2x16float(w${2 * j + 1}.xy), pack2x16float(w${2 * j + 1}.zw));`,
      )
      .join("\n    ")}
    if (workgroupUniformLoad(&grown) != 0u) {
      if (lane == 0u) { atomicStore(&grown, 0u); }
      ${rescale.join("\n      ")}
    }
    ${values.join("\n    ")}
  }
  let by = select(1.0f / total, 0.0f, total == 0.0f);
  let line = (${word("out")} >> 4u) + ((batch * ${word("queries")} + token) * ${word("heads")} + head) * ${isHalf(out) ? eights : 2 * eights}u;
  ${leave.join("\n  ")}
}`;
    },
  });
}

/** A word of memory that is seen in fours. */
const wordOf = ({ word, memory }: KernelScope, name: string, index: string): string =>
  `${memory(name)}[((${word(name)} >> 2u) + ${index}) >> 2u][((${word(name)} >> 2u) + ${index}) & 3u]`;
