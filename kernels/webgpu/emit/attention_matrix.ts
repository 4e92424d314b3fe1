/**
 * Attention by streaming with subgroup matrices: a workgroup for 64 queries of a head, 16 of them a subgroup, goes over keys and
 * values of f16, 16 at a time: what is held for them is little, so that many workgroups are at work on a processor. Scores pass
 * through workgroup memory to the softmax and come back as f16 weights; sums stay in matrices, and are made smaller only where a
 * row's largest score grew by much.
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

/** Keys at a time; their scores are one matrix. */
const KEYS = SIDE;
/** Scores of a row that an invocation sees to: half of them. */
const OWN = KEYS / 2;

/** Matrices of queries and of sums stay in registers. */
const MOST_HEAD_DIM = 128;

/** Scores may exceed what weights are relative to by so much: e^8 is far below the largest f16. */
const GROWN = 8;

/** Words of four in a line of a subgroup's strip: queries or weights of f16, scores or sums of f32. One more, for the banks. */
const STRIP_PITCH = KEYS / 4 + 1;

const padded = (headDim: number): number => Math.ceil(headDim / SIDE) * SIDE;

/** Words of four in a line of keys or values of f16. */
const headPitch = (headDim: number): number => padded(headDim) / 8 + 1;

/** Whether heads are read by eights and their matrices fit. */
export const suitsMatrixAttention = (headDim: number): boolean => headDim % 8 === 0 && headDim <= MOST_HEAD_DIM;

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
  const eights = headDim / 8;
  const pitch = headPitch(headDim);
  const paddedEights = pitch - 1;
  const depth = range(padded(headDim) / SIDE);
  const leftType = spelling.type("left", "f16", SIDE, SIDE);
  const rightType = spelling.type("right", "f16", SIDE, SIDE);
  const resultType = spelling.type("result", "f32", SIDE, SIDE);
  /** Queries come through the strip too, two matrices at a time. */
  const pairs = range(Math.ceil(depth.length / 2)).map((i) => depth.slice(2 * i, 2 * i + 2));
  const isSpanned = causal || window > 0 || segments;
  const strip = "strips[subgroup]";
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
      const eightAt = (name: string, line: string, eight: string): string =>
        `${memory(name)}[${name}_start + ${line} * (${word(`${name}_token`)} / 8u) + min(${eight}, ${eights - 1}u)]`;
      const staged = range(Math.ceil((KEYS * paddedEights) / INVOCATIONS)).map((i) => ({
        i,
        line: `((lane + ${i * INVOCATIONS}u) / ${paddedEights}u)`,
        eight: `((lane + ${i * INVOCATIONS}u) % ${paddedEights}u)`,
        inside:
          (i + 1) * INVOCATIONS > KEYS * paddedEights ? `if (lane < ${KEYS * paddedEights - i * INVOCATIONS}u) ` : "",
      }));
      const isHead = (eight: string): string => (eights < paddedEights ? ` && ${eight} < ${eights}u` : "");
      const fetch = staged.map(
        ({ i, line, eight }) => `let is_value${i} = block + ${line} < ${word("keys")}${isHead(eight)};
    let key${i} = min(block + ${line}, ${word("keys")} - 1u);
    let k${i} = select(vec4<u32>(), ${eightAt("k", `key${i}`, eight)}, is_value${i});
    let v${i} = select(vec4<u32>(), ${eightAt("v", `key${i}`, eight)}, is_value${i});`,
      );
      const keep = staged.map(
        ({ i, line, eight, inside }) =>
          `${inside}{ let at = ${line} * ${pitch}u + ${eight}; k_tile[at] = k${i}; v_tile[at] = v${i}; }`,
      );
      const queries = pairs.map((pair) => {
        const [first, width] = [2 * pair[0], 2 * pair.length];
        return `workgroupBarrier();
  for (var e = lane % ${SUBGROUP}u; e < ${SIDE * width}u; e += ${SUBGROUP}u) {
    let line = e / ${width}u;
    let eight = e % ${width}u;
    let query = min(token0 + subgroup * ${SIDE}u + line, ${word("queries")} - 1u);
    let value = ${eightAt("q", "query", `eight + ${first}u`)};
    ${strip}[line * ${STRIP_PITCH}u + eight] = select(vec4<u32>(), value, eight + ${first}u < ${eights}u);
  }
  workgroupBarrier();
  ${pair.map((d) => `let q_${d} = ${spelling.load(leftType, strip, `${2 * d - first}u`, "rows", `${STRIP_PITCH}u`)};`).join("\n  ")}`;
      });
      const scores = depth.map((d) => {
        const right = spelling.load(rightType, "k_tile", `${2 * d}u`, "columns", `${pitch}u`);
        return `s = ${spelling.multiplyAdd(`q_${d}`, right, "s")};`;
      });
      const seen = (j: number, part: string, i: number): string => {
        const mask = keyMask
          ? ` && ${wordOf(scope, "mask", `batch * ${word("keys")} + min(key, ${word("keys")} - 1u)`)} != 0u`
          : "";
        return `{ let key = block + half * ${OWN}u + ${j * 4 + i}u;
      s${j}.${part} = select(${LOWEST}, s${j}.${part}, key >= first && key < end${mask}); }`;
      };
      const fours = range(OWN / 4);
      const needsMask = fours.flatMap((j) => ["x", "y", "z", "w"].map((part, i) => seen(j, part, i)));
      const rescale = depth.map(
        (d) => `${spelling.store(strip, "0u", `o_${d}`, `${STRIP_PITCH}u`)}
      workgroupBarrier();
      for (var i = 0u; i < ${OWN / 4}u; i++) {
        let at = row * ${STRIP_PITCH}u + half * ${OWN / 4}u + i;
        ${strip}[at] = bitcast<vec4<u32>>(bitcast<vec4<f32>>(${strip}[at]) * shrink);
      }
      workgroupBarrier();
      o_${d} = ${spelling.load(resultType, strip, "0u", "rows", `${STRIP_PITCH}u`)};
      workgroupBarrier();`,
      );
      const values = depth.map((d) => {
        const right = spelling.load(rightType, "v_tile", `${2 * d}u`, "rows", `${pitch}u`);
        return `o_${d} = ${spelling.multiplyAdd("weights", right, `o_${d}`)};`;
      });
      const leave = depth.map((d) => {
        const columns = Math.min(SIDE, headDim - d * SIDE);
        const step = isHalf(out) ? 8 : 4;
        const four = (i: string): string => `bitcast<vec4<f32>>(${strip}[row * ${STRIP_PITCH}u + ${i}]) * by`;
        const value = isHalf(out)
          ? `let x = ${four("2u * i")}; let y = ${four("2u * i + 1u")};
      let value = vec4<u32>(pack2x16float(x.xy), pack2x16float(x.zw), pack2x16float(y.xy), pack2x16float(y.zw));`
          : `let value = bitcast<vec4<u32>>(${four("i")});`;
        return `workgroupBarrier();
  ${spelling.store(strip, "0u", `o_${d}`, `${STRIP_PITCH}u`)}
  workgroupBarrier();
  if (is_query) {
    for (var i = half; i < ${columns / step}u; i += 2u) {
      ${value}
      ${memory("out")}[line + ${(d * SIDE) / step}u + i] = value;
    }
  }`;
      });
      return `
var<workgroup> k_tile: array<vec4<u32>, ${KEYS * pitch}>;
var<workgroup> v_tile: array<vec4<u32>, ${KEYS * pitch}>;
var<workgroup> strips: array<array<vec4<u32>, ${SIDE * STRIP_PITCH}>, ${SUBGROUPS}>;
var<workgroup> grown: atomic<u32>;
${isSpanned ? "var<workgroup> lowest_first: atomic<u32>;\nvar<workgroup> largest_end: atomic<u32>;" : ""}
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
  ${
    isSpanned
      ? `if (lane == 0u) { atomicStore(&lowest_first, 0xffffffffu); }
  workgroupBarrier();
  if (is_query) { atomicMin(&lowest_first, first); atomicMax(&largest_end, end); }
  let from_key = workgroupUniformLoad(&lowest_first);
  let to_key = workgroupUniformLoad(&largest_end);`
      : `let from_key = 0u;
  let to_key = ${word("keys")};`
  }
  let k_start = ${start("k", "key_head")};
  let v_start = ${start("v", "key_head")};
  let q_start = ${start("q", "head")};
  ${queries.join("\n  ")}
  ${depth.map((d) => `var o_${d} = ${resultType}();`).join(" ")}
  var top = ${LOWEST};
  var total = 0.0f;
  for (var block = from_key; block < to_key; block += ${KEYS}u) {
    ${fetch.join("\n    ")}
    workgroupBarrier();
    ${keep.join("\n    ")}
    workgroupBarrier();
    var s = ${resultType}();
    ${scores.join("\n    ")}
    ${spelling.store(strip, "0u", "s", `${STRIP_PITCH}u`)}
    workgroupBarrier();
    ${fours
      .map(
        (j) =>
          `var s${j} = bitcast<vec4<f32>>(${strip}[row * ${STRIP_PITCH}u + half * ${OWN / 4}u + ${j}u]) * ${f32(scale)};`,
      )
      .join("\n    ")}
    ${keyMask ? "" : `if (block < first || block + ${KEYS}u > end) {`}
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
    ${fours
      .map(
        (j) => `let w${j} = select(exp(s${j} - vec4<f32>(top)), vec4<f32>(), s${j} == vec4<f32>(${LOWEST}));
    let halves${j} = vec2<u32>(pack2x16float(w${j}.xy), pack2x16float(w${j}.zw));`,
      )
      .join("\n    ")}
    let part = ${fours.map((j) => `w${j}`).join(" + ")};
    let sum = part.x + part.y + part.z + part.w;
    total = total * shrink + sum + subgroupShuffleXor(sum, ${SIDE}u);
    if (workgroupUniformLoad(&grown) != 0u) {
      if (lane == 0u) { atomicStore(&grown, 0u); }
      ${rescale.join("\n      ")}
    }
    // Where scores lay that all have read.
    ${strip}[row * ${STRIP_PITCH}u + half] = vec4<u32>(halves0, halves1);
    workgroupBarrier();
    let weights = ${spelling.load(leftType, strip, "0u", "rows", `${STRIP_PITCH}u`)};
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
