/**
 * Matrix products: tiles of C by a workgroup, A and B staged through workgroup memory in fours of lines, an expression over the
 * result. What an invocation holds itself has names, since shader compilers guard indices that they cannot see through.
 */
import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { ceilDiv, type Dim, mul } from "../../../runtime/core/dim.ts";
import { lowerExpr, mathFor } from "./expr.ts";
import { gpuKernel, isHalf, type KernelScope, type Memory, type NamedLines, pointer, words } from "./kernel.ts";
import { PARTS, pitch, range, type Side, staging } from "./staging.ts";

/** Rows and columns of C by a workgroup, and of each of its invocations; multiples of 4. */
export interface GpuTile {
  readonly rows: number;
  readonly columns: number;
  readonly ownRows: number;
  readonly ownColumns: number;
  /** Steps of K that are staged at a time, and those that are written out; powers of two. */
  readonly depth: number;
  readonly unrolled: number;
}

/** From the largest to one for few rows, or few columns. */
export const TILES: readonly [GpuTile, GpuTile, GpuTile, GpuTile] = [
  { rows: 64, columns: 128, ownRows: 8, ownColumns: 8, depth: 16, unrolled: 8 },
  { rows: 64, columns: 64, ownRows: 8, ownColumns: 4, depth: 16, unrolled: 16 },
  { rows: 32, columns: 64, ownRows: 4, ownColumns: 8, depth: 16, unrolled: 16 },
  { rows: 16, columns: 32, ownRows: 4, ownColumns: 4, depth: 16, unrolled: 4 },
];

export interface MatmulOptions {
  readonly tile: GpuTile;
  readonly transposed: boolean;
  /** K is a multiple of what the tile stages at a time. */
  readonly whole: boolean;
  /**
   * Input 0 is the product; the others are `operands`. Nothing where a workgroup takes a part of K: its results lie behind those
   * of the parts before, for `sumKernel` to add.
   */
  readonly epilogue: ScalarExpr | undefined;
  readonly kinds: {
    /** f16 where N is even. */
    readonly out: "write" | "write16";
    readonly a: Memory;
    readonly b: Memory;
    readonly operands: readonly Memory[];
  };
}

/** `chunk`: steps of K of a part, a multiple of what is staged; `elements`: those of C. */
export const matmulNames = ({
  kinds,
  epilogue,
}: Pick<MatmulOptions, "epilogue"> & {
  readonly kinds: { readonly operands: readonly unknown[] };
}): readonly string[] => [
  ...["m", "n", "k", "a_batch", "a_row", "b_batch", "b_row"],
  ...(epilogue === undefined ? ["chunk", "elements"] : []),
  ...kinds.operands.flatMap((_, i) => [`o${i}_batch`, `o${i}_row`, `o${i}_column`]),
];

/** WGSL: the tile of C that an item is, `row0` and `column0` in its `batch`, and its steps of K, of a `part` or all of them. */
export const tilePlace = (
  { word }: KernelScope,
  { rows, columns }: Pick<GpuTile, "rows" | "columns">,
  isPart: boolean,
): string => `let panels = (${word("n")} + ${columns - 1}u) / ${columns}u;
  let blocks = (${word("m")} + ${rows - 1}u) / ${rows}u;
  ${
    isPart
      ? `let batches = ${word("elements")} / (${word("m")} * ${word("n")});
  let part = item / (panels * blocks * batches);
  let batch = (item / (panels * blocks)) % batches;
  let first_k = part * ${word("chunk")};
  let end_k = min(${word("k")}, first_k + ${word("chunk")});`
      : `let batch = item / (panels * blocks);
  let first_k = 0u;
  let end_k = ${word("k")};`
  }
  let column0 = (item % panels) * ${columns}u;
  let row0 = ((item / panels) % blocks) * ${rows}u;`;

/** WGSL sees a panel's columns of B [n, k] and no others, where B is a weight of one matrix. */
export const panelWindows = (columns: number, b: Memory): NamedLines => ({
  units: "n",
  each: columns,
  spans: [{ pointer: "b", step: "b_row", batch: "b_batch", bytes: isHalf(b) ? 2 : 4 }],
});

export const matmulGrid = (m: Dim, n: Dim, batch: Dim, { rows, columns }: Pick<GpuTile, "rows" | "columns">): Dim =>
  mul(batch, ceilDiv(m, rows), ceilDiv(n, columns));

const invocationsOf = ({ rows, columns, ownRows, ownColumns }: GpuTile): number =>
  (rows / ownRows) * (columns / ownColumns);

/** C [batch, m, n] = epilogue(A [batch, m, k] B), B [k, n] or, transposed, [n, k]. */
export function matmulKernel(options: MatmulOptions): Uint8Array {
  const { tile, transposed, whole, epilogue, kinds } = options;
  const { rows, columns, ownRows, ownColumns, depth, unrolled } = tile;
  const across = columns / ownColumns;
  const invocations = invocationsOf(tile);
  const [rowFours, columnFours] = [range(ownRows / 4), range(ownColumns / 4)];
  const sums = range(ownRows).flatMap((r) => columnFours.map((f) => `s${r}_${f}`));
  return gpuKernel({
    name: "matmul",
    args: [
      pointer("out", kinds.out),
      pointer("a", kinds.a),
      pointer("b", kinds.b),
      ...kinds.operands.map((kind, i) => pointer(`o${i}`, kind)),
      ...words(...matmulNames(options)),
    ],
    element: "f32",
    workgroup: invocations,
    ...(transposed ? { windows: panelWindows(columns, kinds.b) } : {}),
    write: (scope) => {
      const { word, load, storePair, store: storeOne } = scope;
      const sides: readonly Side[] = [
        {
          ...{ name: "a", lines: rows, count: word("m"), first: "row0", alongSteps: true },
          ...{ start: `batch * ${word("a_batch")}`, step: word("a_row"), base: 0 },
        },
        {
          ...{ name: "b", lines: columns, count: word("n"), first: "column0", alongSteps: transposed },
          ...{ start: `batch * ${word("b_batch")}`, step: word("b_row"), base: pitch(rows) },
        },
      ];
      const [a, b] = sides.map((side) => staging(side, { ...tile, invocations, whole }, scope));
      const products = range(unrolled).map((d) => {
        const loads = [
          ...rowFours.map((f) => `let a_${f} = tile[block][${d}][a_own + ${f}u];`),
          ...columnFours.map((f) => `let b_${f} = tile[block][${d}][b_own + ${f * across}u];`),
        ];
        const terms = range(ownRows).flatMap((r) =>
          columnFours.map((f) => {
            const left = `vec4<f32>(a_${r >> 2}.${PARTS[r & 3]})`;
            return `s${r}_${f} = fma(${left}, b_${f}, s${r}_${f});`;
          }),
        );
        return `{ ${[...loads, ...terms].join(" ")} }`;
      });
      const store = range(ownRows).map((r) => {
        const fours = columnFours.map((f) => {
          const inputs = [`s${r}_${f}`, ...kinds.operands.map((_, o) => `e${o}`)];
          const { code, result } = lowerExpr(epilogue ?? { input: 0 }, inputs, 4);
          const reads = kinds.operands.map((_, o) => {
            const from = `batch * ${word(`o${o}_batch`)} + r * ${word(`o${o}_row`)}`;
            const values = PARTS.map((part) => load(`o${o}`, `p${o} + c.${part} * ${word(`o${o}_column`)}`));
            return `let p${o} = ${from}; let e${o} = vec4<f32>(${values.join(", ")});`;
          });
          const stores =
            kinds.out === "write16"
              ? [0, 2].map((p) => {
                  const pair = storePair("out", `line + first + ${p}u`, `result.${PARTS[p]}`, `result.${PARTS[p + 1]}`);
                  return `if (first + ${p}u < ${word("n")}) { ${pair} }`;
                })
              : PARTS.map((part, p) => {
                  const one = storeOne("out", `line + first + ${p}u`, `result.${part}`);
                  return `if (first + ${p}u < ${word("n")}) { ${one} }`;
                });
          return `{ let first = column + ${f * across * 4}u;
      let c = min(vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(${word("n")} - 1u));
      ${reads.join("\n      ")}
      ${code}
      let result = ${result};
      ${stores.join(" ")} }`;
        });
        return `{ let r = row + ${r}u; if (r < ${word("m")}) { let line = ${epilogue === undefined ? `part * ${word("elements")} + ` : ""}(batch * ${word("m")} + r) * ${word("n")};
    ${fours.join("\n    ")} } }`;
      });
      return `${mathFor(4)}
var<workgroup> tile: array<array<array<vec4<f32>, ${pitch(rows) + pitch(columns)}>, ${unrolled}>, ${depth / unrolled}>;
fn run(item: u32, lane: u32) {
  ${tilePlace(scope, tile, epilogue === undefined)}
  let a_own = (lane / ${across}u) * ${ownRows / 4}u;
  let b_own = lane % ${across}u + ${pitch(rows)}u;
  ${sums.map((sum) => `var ${sum} = vec4<f32>();`).join(" ")}
  ${a.hold} ${b.hold}
  ${a.place}
  ${b.place}
  var at_k = first_k;
  ${a.take}
  ${b.take}
  loop {
    workgroupBarrier();
    ${a.put}
    ${b.put}
    workgroupBarrier();
    at_k += ${depth}u;
    // The next steps of K come while these are multiplied.
    if (at_k < end_k) {
    ${a.take}
    ${b.take}
    }
    for (var block = 0u; block < ${depth / unrolled}u; block++) {
    ${products.join("\n    ")}
    }
    if (at_k >= end_k) { break; }
  }
  let row = row0 + (lane / ${across}u) * ${ownRows}u;
  let column = column0 + (lane % ${across}u) * 4u;
  ${store.join("\n  ")}
}`;
    },
  });
}
