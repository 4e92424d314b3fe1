/**
 * Attention of many queries: a workgroup for a block of queries of a head goes over blocks of keys. Scores are a tile of a matrix
 * product, and so are sums of values, whose weights lie in workgroup memory; an invocation holds a part of both tiles, and the
 * softmax's running sums of its own keys.
 */
import { ceilDiv, type Dim, mul } from "../../../runtime/core/dim.ts";
import { type AttentionOptions, attentionArguments, queryBlock, segmentOf, spanBound } from "./attention.ts";
import { f32, gpuKernel, type KernelScope, LOWEST } from "./kernel.ts";
import { PARTS, pitch, range, type Side, type Staging, staging } from "./staging.ts";

/** Queries and keys of a block, and of an invocation. */
const QUERIES = 64;
const KEYS = 32;
const OWN = 4;

/** Invocations that share a query's keys, and the numbers of its result. */
const ACROSS = KEYS / OWN;
const INVOCATIONS = (QUERIES / OWN) * ACROSS;

/** Steps of a product that are written out. */
const UNROLLED = 8;

/** Numbers of a result that an invocation sums up, in fours: up to so many lie in registers and fit into workgroup memory. */
const MOST_FOURS = 4;

const foursOf = (headDim: number): number => Math.ceil(headDim / (4 * ACROSS));

/** Whether heads of this size are taken. */
export const takesHeads = (headDim: number): boolean => foursOf(headDim) <= MOST_FOURS;

/** Blocks of fewer queries leave most invocations without work. */
const MANY_QUERIES = 32;

/** Workgroups that keep a large card busy; where there are fewer, those of fewer queries each are faster. */
const MANY_WORKGROUPS = 132;

/** Whether this is the way for so many queries of all heads and batches. */
export const suitsTiles = (queries: number, grid: number, headDim: number): boolean =>
  queries > MANY_QUERIES && grid >= MANY_WORKGROUPS && takesHeads(headDim);

export const tiledAttentionGrid = (batch: Dim, heads: Dim, queries: Dim): Dim =>
  mul(batch, heads, ceilDiv(queries, QUERIES));

const lines = (list: readonly string[]): string => list.join("\n    ");
const four = (part: (p: number) => string): string => `vec4<f32>(${PARTS.map((_, p) => part(p)).join(", ")})`;

/** WGSL by a step of a product. */
type ByStep = (d: number) => string;

/** Statements that add the steps of a turn: `<to>_<row>_<i>` += left row x right four i. */
function products(to: string, left: ByStep, rights: readonly ByStep[]): string {
  return lines(
    range(UNROLLED).map((d) => {
      const loads = [`let l = ${left(d)};`, ...rights.map((right, i) => `let r${i} = ${right(d)};`)];
      const sums = PARTS.flatMap((part, row) =>
        rights.map((_, i) => `${to}_${row}_${i} = fma(vec4<f32>(l.${part}), r${i}, ${to}_${row}_${i});`),
      );
      return `{ ${[...loads, ...sums].join(" ")} }`;
    }),
  );
}

/** What is staged at a time: of queries and keys numbers of a head, of values keys. */
interface Plan {
  readonly fours: number;
  readonly depth: number;
  /** Fours from step to step in workgroup memory. */
  readonly pitch: number;
}

function planOf(headDim: number): Plan {
  const fours = foursOf(headDim);
  // An odd number of fours, so that neighbours write to different banks.
  const ofScores = (pitch(QUERIES) + pitch(KEYS)) | 1;
  const ofValues = pitch(4 * ACROSS * fours);
  // 16 steps where they and the weights fit into 16 KiB.
  return { fours, depth: ofValues > ofScores ? 8 : 16, pitch: Math.max(ofScores, ofValues) };
}

/** Which keys a query sees: `first` and `end` of its own, each four of them; and those of the block's queries together. */
function spans(scope: KernelScope, options: AttentionOptions): { readonly module: string; readonly body: string } {
  const { segments, causal, window } = options;
  const { word } = scope;
  const bound = (token: string, suffix?: number): string => spanBound(scope, options, token, suffix);
  if (!segments) {
    const own = range(OWN).map(
      (r) => `let own_token${r} = token0 + own * ${OWN}u + ${r}u; ${bound(`own_token${r}`, r)}`,
    );
    const around = causal || window > 0;
    return {
      module: "",
      body: `${lines(own)}
  var span = vec2<u32>(0u, ${word("keys")});
  ${
    around
      ? `{ ${bound("token0")} span.x = first; }
  { let last = min(token0 + ${QUERIES - 1}u, ${word("queries")} - 1u); ${bound("last")} span.y = end; }`
      : ""
  }`,
    };
  }
  return {
    module: `var<workgroup> spans: array<vec2<u32>, ${QUERIES}>;
var<workgroup> whole_span: vec2<u32>;`,
    body: `if (lane < ${QUERIES}u) {
    let token = token0 + lane;
    ${bound("token")}
    ${segmentOf(scope)}
    spans[lane] = select(vec2<u32>(0xffffffffu, 0u), vec2<u32>(first, end), token < ${word("queries")});
  }
  workgroupBarrier();
  if (lane == 0u) {
    var whole = spans[0];
    for (var i = 1u; i < ${QUERIES}u; i++) { whole = vec2<u32>(min(whole.x, spans[i].x), max(whole.y, spans[i].y)); }
    whole_span = whole;
  }
  let span = workgroupUniformLoad(&whole_span);
  ${lines(range(OWN).map((r) => `let first${r} = spans[own * ${OWN}u + ${r}u].x; let end${r} = spans[own * ${OWN}u + ${r}u].y;`))}`,
  };
}

/** WGSL of a block's softmax: scores become weights in workgroup memory, sums of before shrink where a larger score came. */
function softmax({ word, load }: KernelScope, { scale, keyMask }: AttentionOptions, fours: number): string {
  const masked = (c: number): string =>
    load("mask", `batch * ${word("keys")} + min(key0 + ${c}u, ${word("keys")} - 1u)`);
  const seen = (r: number): string =>
    `(keys >= vec4<u32>(first${r})) & (keys < vec4<u32>(end${r}))${keyMask ? " & (mask != vec4<f32>())" : ""}`;
  return `let key0 = block + part * ${OWN}u;
    let keys = vec4<u32>(key0) + vec4<u32>(0u, 1u, 2u, 3u);
    ${keyMask ? `let mask = ${four(masked)};` : ""}
    ${lines(range(OWN).map((r) => `let s${r} = select(vec4<f32>(${LOWEST}), score_${r}_0 * ${f32(scale)}, ${seen(r)});`))}
    let own_top = ${four((r) => `max(max(s${r}.x, s${r}.y), max(s${r}.z, s${r}.w))`)};
    weights[part][own] = own_top;
    workgroupBarrier();
    var higher = top;
    ${lines(range(ACROSS).map((p) => `higher = max(higher, weights[${p}][own]);`))}
    workgroupBarrier();
    let shrink = select(exp(top - higher), vec4<f32>(), top == vec4<f32>(${LOWEST}));
    top = higher;
    ${lines(range(OWN).map((r) => `let p${r} = select(exp(s${r} - vec4<f32>(top.${PARTS[r]})), vec4<f32>(), s${r} == vec4<f32>(${LOWEST}));`))}
    total = fma(total, shrink, ${four((r) => `p${r}.x + p${r}.y + p${r}.z + p${r}.w`)});
    ${lines(PARTS.map((c, i) => `weights[part * ${OWN}u + ${i}u][own] = ${four((r) => `p${r}.${c}`)};`))}
    ${lines(range(OWN).flatMap((r) => range(fours).map((i) => `sum_${r}_${i} *= shrink.${PARTS[r]};`)))}`;
}

/** WGSL that writes an invocation's results. */
function stores({ word, store, storePair }: KernelScope, { headDim, out }: AttentionOptions, fours: number): string {
  const rows = range(OWN).map((r) => {
    const each = range(fours).map((i) => {
      const d = `(part + ${i * ACROSS}u) * 4u`;
      const whole = headDim % 4 === 0 && (i + 1) * ACROSS * 4 <= headDim;
      const guarded = (first: number, statement: string): string =>
        whole ? statement : `if (d + ${first}u < ${headDim}u) { ${statement} }`;
      const written =
        out === "write16"
          ? [0, 2].map((c) => guarded(c, storePair("out", `line + d + ${c}u`, `x.${PARTS[c]}`, `x.${PARTS[c + 1]}`)))
          : PARTS.map((part, c) => guarded(c, store("out", `line + d + ${c}u`, `x.${part}`)));
      return `{ let d = ${d}; let x = sum_${r}_${i} * by.${PARTS[r]}; ${written.join(" ")} }`;
    });
    return `{ let token = token0 + own * ${OWN}u + ${r}u; if (token < ${word("queries")}) {
    let line = ((batch * ${word("queries")} + token) * ${word("heads")} + head) * ${headDim}u;
    ${lines(each)} } }`;
  });
  return rows.join("\n  ");
}

/** Pointers and words as `attentionKernel` has them; heads that {@link takesHeads} allows. */
export function tiledAttentionKernel(options: AttentionOptions): Uint8Array {
  const { headDim, group } = options;
  const plan = planOf(headDim);
  const { fours, depth } = plan;
  return gpuKernel({
    name: "attention",
    args: attentionArguments(options),
    element: "f32",
    workgroup: INVOCATIONS,
    write: (scope) => {
      const { word } = scope;
      const start = (name: string, head: string): string =>
        `batch * ${word(`${name}_batch`)} + ${head} * ${word(`${name}_head`)}`;
      const side = (
        name: "q" | "k" | "v",
        own: Pick<Side, "lines" | "count" | "first" | "alongSteps" | "base">,
      ): Side => ({
        ...{ name, start: start(name, name === "q" ? "head" : "key_head"), step: word(`${name}_token`), ...own },
      });
      const stage = (one: Side, whole: boolean): Staging =>
        staging(one, { depth, unrolled: UNROLLED, invocations: INVOCATIONS, whole }, scope);
      const wholeHeads = headDim % depth === 0;
      const q = stage(
        side("q", { lines: QUERIES, count: word("queries"), first: "token0", alongSteps: true, base: 0 }),
        wholeHeads,
      );
      const k = stage(
        side("k", { lines: KEYS, count: word("keys"), first: "block", alongSteps: true, base: pitch(QUERIES) }),
        wholeHeads,
      );
      const v = stage(
        side("v", { lines: 4 * ACROSS * fours, count: `${headDim}u`, first: "0u", alongSteps: false, base: 0 }),
        false,
      );
      const scores = products("score", (d) => `tile[turn][${d}][own]`, [
        (d) => `tile[turn][${d}][part + ${pitch(QUERIES)}u]`,
      ]);
      const values = products(
        "sum",
        (d) => `weights[at + turn * ${UNROLLED}u + ${d}u][own]`,
        range(fours).map((i) => (d) => `tile[turn][${d}][part + ${i * ACROSS}u]`),
      );
      const { module, body } = spans(scope, options);
      return `
var<workgroup> tile: array<array<array<vec4<f32>, ${plan.pitch}>, ${UNROLLED}>, ${depth / UNROLLED}>;
/** By keys, and before that the largest of each part's scores. */
var<workgroup> weights: array<array<vec4<f32>, ${pitch(QUERIES)}>, ${KEYS}>;
${module}
fn run(item: u32, lane: u32) {
  ${queryBlock(scope, QUERIES, group)}
  let own = lane / ${ACROSS}u;
  let part = lane % ${ACROSS}u;
  ${body}
  ${range(OWN)
    .flatMap((r) => range(fours).map((i) => `var sum_${r}_${i} = vec4<f32>();`))
    .join(" ")}
  var top = vec4<f32>(${LOWEST});
  var total = vec4<f32>();
  ${[q, k, v].map(({ hold }) => hold).join("\n  ")}
  ${q.place}
  ${v.place}
  for (var block = span.x; block < span.y; block += ${KEYS}u) {
    ${range(OWN)
      .map((r) => `var score_${r}_0 = vec4<f32>();`)
      .join(" ")}
    {
    ${k.place}
    let end_k = ${headDim}u;
    var at_k = 0u;
    ${q.take}
    ${k.take}
    loop {
      workgroupBarrier();
      ${q.put}
      ${k.put}
      workgroupBarrier();
      at_k += ${depth}u;
      // The next steps come while these are multiplied.
      if (at_k < end_k) {
      ${q.take}
      ${k.take}
      }
      for (var turn = 0u; turn < ${depth / UNROLLED}u; turn++) {
      ${scores}
      }
      if (at_k >= end_k) { break; }
    }
    }
    var at_k = block;
    let end_k = span.y;
    ${v.take}
    ${softmax(scope, options, fours)}
    for (var at = 0u; at < ${KEYS}u; at += ${depth}u) {
      workgroupBarrier();
      ${v.put}
      workgroupBarrier();
      at_k += ${depth}u;
      if (at + ${depth}u < ${KEYS}u) {
      ${v.take}
      }
      for (var turn = 0u; turn < ${depth / UNROLLED}u; turn++) {
      ${values}
      }
    }
    // The next block's largest scores lie where weights are read now; its steps of heads bring barriers before.
  }
  workgroupBarrier();
  weights[part][own] = total;
  workgroupBarrier();
  var all = weights[0][own];
  ${lines(
    range(ACROSS)
      .slice(1)
      .map((p) => `all += weights[${p}][own];`),
  )}
  let by = select(1.0f / all, vec4<f32>(), all == vec4<f32>());
  ${stores(scope, options, fours)}
}`;
    },
  });
}
