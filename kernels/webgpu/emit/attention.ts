/**
 * Attention by streaming: a workgroup for a block of queries of a head goes over blocks of keys and values in workgroup memory,
 * the next of which come while one is worked on. An invocation holds one query and sees a part of each block's keys, with the
 * softmax's running sums of its own; parts meet at the end.
 */
import { internal } from "../../../runtime/core/diagnostics.ts";
import { ceilDiv, type Dim, mul } from "../../../runtime/core/dim.ts";
import {
  f32,
  gpuKernel,
  type KernelArgument,
  type KernelScope,
  LOWEST,
  type Memory,
  pointer,
  words,
} from "./kernel.ts";

/** Parts of a block's keys, each with invocations of its own for all queries, so that neighbours read the same keys. */
const PARTS = 4;

/** Bytes of workgroup memory that queries, keys and values may take. */
const MOST_BYTES = 14 * 1024;

/** Fours of a head that an invocation holds of its query; those of larger heads lie in workgroup memory. */
const HELD_FOURS = 20;

interface Blocks {
  readonly queries: number;
  readonly keys: number;
}

/** Sizes of blocks whose memory suffices for a size of heads, the largest first; nothing where none does. */
export function attentionBlocks(headDim: number): Blocks | undefined {
  const fours = Math.ceil(headDim / 4);
  const sizes = [32, 16, 8].flatMap((queries) => [16, 8, 4].map((keys) => ({ queries, keys })));
  return sizes.find(({ queries, keys }) => {
    const held = fours > HELD_FOURS ? queries * fours : 0;
    return 16 * (held + Math.max(2 * keys * fours, queries * PARTS * PARTS + keys * fours)) <= MOST_BYTES;
  });
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
  readonly kinds: readonly Memory[];
  /** f16 for heads of a multiple of 4. */
  readonly out: "write" | "write16";
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

/** Arguments of a kernel in the order in which claims give them. */
export const attentionArguments = (options: AttentionOptions): readonly KernelArgument[] => [
  pointer("out", options.out),
  ...attentionPointers(options).map((name, i) => pointer(name, options.kinds[i])),
  ...words(...attentionNames(options)),
];

const blocksOf = (headDim: number): Blocks =>
  attentionBlocks(headDim) ?? internal(`no block of attention holds heads of ${headDim}`);

export const attentionGrid = (batch: Dim, heads: Dim, queries: Dim, headDim: number): Dim =>
  mul(batch, heads, ceilDiv(queries, blocksOf(headDim).queries));

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);
const COMPONENTS = ["x", "y", "z", "w"] as const;

/** WGSL: what an item works on, a block of queries from `token0` on, of a `head` and its `key_head` in a `batch`. */
export const queryBlock = ({ word }: KernelScope, queries: number, group: number): string =>
  `let blocks = (${word("queries")} + ${queries - 1}u) / ${queries}u;
  let token0 = (item % blocks) * ${queries}u;
  let head = (item / blocks) % ${word("heads")};
  let batch = item / (blocks * ${word("heads")});
  let key_head = head / ${group}u;`;

/** WGSL: the `first` key that a token sees, and the `end`, but for its segment. */
export const spanBound = (
  { word }: KernelScope,
  { causal, window }: Pick<AttentionOptions, "causal" | "window">,
  token: string,
  suffix: number | "" = "",
): string => {
  const [first, end] = [`first${suffix}`, `end${suffix}`];
  return `var ${first} = 0u; var ${end} = ${causal ? `min(${word("keys")}, ${token} + 1u)` : word("keys")};
  ${window > 0 ? `${first} = ${token} - min(${token}, ${window}u); ${end} = min(${end}, ${token} + ${window + 1}u);` : ""}`;
};

/** Own segment of a `token`, looked for among the offsets, which are integers in memory that holds f32. */
export const segmentOf = ({ word, load }: KernelScope): string => `
  for (var s = 0u; s < ${word("segments")}; s++) {
    let a = bitcast<u32>(${load("offsets", "s")});
    let b = bitcast<u32>(${load("offsets", "s + 1u")});
    if (token >= a && token < b) { first = max(first, a); end = min(end, b); }
  }`;

export function attentionKernel(options: AttentionOptions): Uint8Array {
  const { headDim, scale, keyMask, segments, group, out } = options;
  const { queries, keys } = blocksOf(headDim);
  const fours = Math.ceil(headDim / 4);
  const invocations = queries * PARTS;
  const ownKeys = range(keys / PARTS);
  const held = fours <= HELD_FOURS;
  /** Fours of keys, and as many of values, that an invocation stages. */
  const staged = range(Math.ceil((keys * fours) / invocations));
  const chunks = Math.ceil(fours / PARTS);
  /** A block's keys, then its values, by parts; at the end a chunk of what all invocations summed up. */
  const sides = Math.max(2, Math.ceil((queries * PARTS * PARTS) / (keys * fours)));
  const tileType = [fours, ownKeys.length, PARTS, sides].reduce((type, size) => `array<${type}, ${size}>`, "vec4<f32>");
  /** An element of workgroup memory by its number. */
  const flat = (i: string): string =>
    `tile[(${i}) / ${keys * fours}u][((${i}) / ${ownKeys.length * fours}u) % ${PARTS}u][((${i}) / ${fours}u) % ${ownKeys.length}u][(${i}) % ${fours}u]`;
  return gpuKernel({
    name: "attention",
    args: attentionArguments(options),
    element: "f32",
    workgroup: invocations,
    write: (scope) => {
      const { word, load, load4, store, storePair } = scope;
      /** Four numbers of a line; what lies behind the last number is 0. */
      const four = (from: string, start: string, d: string): string =>
        headDim % 4 === 0
          ? load4(from, start)
          : `vec4<f32>(${range(4)
              .map((c) => `select(0.0f, ${load(from, `${start} + ${c}u`)}, ${d} + ${c}u < ${headDim}u)`)
              .join(", ")})`;
      const place = (i: number): string => `(lane + ${i * invocations}u)`;
      const inside = (i: number): string =>
        (i + 1) * invocations > keys * fours ? `if (${place(i)} < ${keys * fours}u) ` : "";
      const take = staged.map((i) => {
        const d = `(${place(i)} % ${fours}u) * 4u`;
        const line = `min(next + ${place(i)} / ${fours}u, ${word("keys")} - 1u)`;
        const start = (name: string): string => `${name}_start + line * ${word(`${name}_token`)} + d`;
        return `${inside(i)}{ let d = ${d}; let line = ${line};
    k${i} = ${four("k", start("k"), "d")}; v${i} = ${four("v", start("v"), "d")}; }`;
      });
      const put = staged.map(
        (i) => `${inside(i)}{ let i = ${place(i)}; ${flat("i")} = k${i}; ${flat(`i + ${keys * fours}u`)} = v${i}; }`,
      );
      const start = (name: string, head: string): string =>
        `batch * ${word(`${name}_batch`)} + ${head} * ${word(`${name}_head`)}`;
      const query = (f: number): string => four("q", `q_start + ${4 * f}u`, `${4 * f}u`);
      const dots = range(fours).map((f) => {
        const q = held ? `q${f}` : `query_tile[${f}][own]`;
        return `{ let q = ${q}; ${ownKeys.map((j) => `d${j} = fma(q, tile[0][part][${j}][${f}], d${j});`).join(" ")} }`;
      });
      const seen = (j: number): string => {
        const mask = keyMask
          ? ` && ${load("mask", `batch * ${word("keys")} + min(key${j}, ${word("keys")} - 1u)`)} != 0.0f`
          : "";
        return `let key${j} = block + part * ${ownKeys.length}u + ${j}u;
    let s${j} = select(${LOWEST}, (d${j}.x + d${j}.y + d${j}.z + d${j}.w) * ${f32(scale)}, key${j} >= first && key${j} < end${mask});`;
      };
      const ends = range(chunks).map((chunk) => {
        const own = range(Math.min(PARTS, fours - chunk * PARTS));
        const f = `${chunk * PARTS}u + part`;
        const guard = own.length < PARTS ? ` && part < ${own.length}u` : "";
        const pairs = [0, 2].map((c) => {
          const [first, second] = [COMPONENTS[c], COMPONENTS[c + 1]];
          return storePair("out", `line + (${f}) * 4u + ${c}u`, `sum.${first}`, `sum.${second}`);
        });
        const singles = COMPONENTS.map((component, c) => {
          const d = `(${f}) * 4u + ${c}u`;
          const within = (chunk + 1) * PARTS * 4 > headDim ? `if (${d} < ${headDim}u) ` : "";
          return `${within}{ ${store("out", `line + ${d}`, `sum.${component}`)} }`;
        });
        const stores = out === "write16" ? pairs : singles;
        return `workgroupBarrier();
  ${own.map((i) => `${flat(`(part * ${PARTS}u + ${i}u) * ${queries}u + own`)} = acc${chunk * PARTS + i} * share;`).join(" ")}
  workgroupBarrier();
  if (is_query${guard}) {
    let sum = (${range(PARTS)
      .map((p) => flat(`(${p * PARTS}u + part) * ${queries}u + own`))
      .join(" + ")}) * by;
    ${stores.join(" ")}
  }`;
      });
      return `
var<workgroup> tile: ${tileType};
${held ? "" : `var<workgroup> query_tile: array<array<vec4<f32>, ${queries}>, ${fours}>;`}
var<workgroup> sums: array<vec2<f32>, ${invocations}>;
var<workgroup> spans: array<vec2<u32>, ${queries}>;
var<workgroup> whole_span: vec2<u32>;
fn run(item: u32, lane: u32) {
  ${queryBlock(scope, queries, group)}
  let own = lane % ${queries}u;
  let part = lane / ${queries}u;
  let token = token0 + own;
  let is_query = token < ${word("queries")};
  ${spanBound(scope, options, "token")}
  ${segments ? segmentOf(scope) : ""}
  if (part == 0u) { spans[own] = select(vec2<u32>(0xffffffffu, 0u), vec2<u32>(first, end), is_query); }
  workgroupBarrier();
  if (lane == 0u) {
    var span = spans[0];
    for (var i = 1u; i < ${queries}u; i++) { span = vec2<u32>(min(span.x, spans[i].x), max(span.y, spans[i].y)); }
    whole_span = span;
  }
  let span = workgroupUniformLoad(&whole_span);
  let k_start = ${start("k", "key_head")};
  let v_start = ${start("v", "key_head")};
  let q_start = ${start("q", "head")} + min(token, ${word("queries")} - 1u) * ${word("q_token")};
  ${
    held
      ? range(fours)
          .map((f) => `let q${f} = ${query(f)};`)
          .join("\n  ")
      : `if (part == 0u) {\n  ${range(fours)
          .map((f) => `query_tile[${f}][own] = ${query(f)};`)
          .join("\n  ")}\n  }`
  }
  ${range(fours)
    .map((f) => `var acc${f} = vec4<f32>();`)
    .join(" ")}
  ${staged.map((i) => `var k${i} = vec4<f32>(); var v${i} = vec4<f32>();`).join(" ")}
  var top = ${LOWEST};
  var total = 0.0f;
  var next = span.x;
  ${take.join("\n  ")}
  for (var block = span.x; block < span.y; block += ${keys}u) {
    workgroupBarrier();
    ${put.join("\n    ")}
    workgroupBarrier();
    next = block + ${keys}u;
    if (next < span.y) {
    ${take.join("\n    ")}
    }
    ${ownKeys.map((j) => `var d${j} = vec4<f32>();`).join(" ")}
    ${dots.join("\n    ")}
    ${ownKeys.map(seen).join("\n    ")}
    let larger = max(top, ${ownKeys.slice(1).reduce((text, j) => `max(${text}, s${j})`, "s0")});
    if (larger > top) {
      let shrink = select(exp(top - larger), 0.0f, top == ${LOWEST});
      ${range(fours)
        .map((f) => `acc${f} *= shrink;`)
        .join(" ")}
      total *= shrink;
      top = larger;
    }
    ${ownKeys.map((j) => `let w${j} = select(exp(s${j} - top), 0.0f, s${j} == ${LOWEST});`).join(" ")}
    total += ${ownKeys.map((j) => `w${j}`).join(" + ")};
    ${range(fours)
      .map((f) => ownKeys.map((j) => `acc${f} = fma(vec4<f32>(w${j}), tile[1][part][${j}][${f}], acc${f});`).join(" "))
      .join("\n    ")}
  }
  sums[lane] = vec2<f32>(top, total);
  workgroupBarrier();
  ${range(PARTS)
    .map((p) => `let sum${p} = sums[${p * queries}u + own];`)
    .join(" ")}
  let highest = max(max(sum0.x, sum1.x), max(sum2.x, sum3.x));
  let all = ${range(PARTS)
    .map((p) => `select(exp(sum${p}.x - highest) * sum${p}.y, 0.0f, sum${p}.x == ${LOWEST})`)
    .join(" + ")};
  let by = select(1.0f / all, 0.0f, all == 0.0f);
  let share = select(exp(top - highest), 0.0f, top == ${LOWEST});
  let line = ((batch * ${word("queries")} + token) * ${word("heads")} + head) * ${headDim}u;
  ${ends.join("\n  ")}
}`;
    },
  });
}
