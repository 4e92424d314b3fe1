/**
 * Matrix products: tiles of C by a workgroup, A and B staged through workgroup memory in fours of lines, an expression over the
 * result. What an invocation holds itself has names, since shader compilers guard indices that they cannot see through.
 */
import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { ceilDiv, type Dim, mul } from "../../../runtime/core/dim.ts";
import type { ArgumentKind } from "../device/code.ts";
import { lowerExpr, mathFor } from "./expr.ts";
import { gpuKernel, type KernelScope, pointer, words } from "./kernel.ts";

/** Steps of K that are staged at a time, and those that are written out: shader compilers guard loops, and take long over much code. */
export const DEPTH = 16;
const UNROLLED = 4;

/** Rows and columns of C by a workgroup, and of each of its invocations; multiples of 4. */
export interface GpuTile {
  readonly rows: number;
  readonly columns: number;
  readonly ownRows: number;
  readonly ownColumns: number;
}

/** The largest first: they read least, and need the largest results to keep a card busy. */
export const TILES: readonly GpuTile[] = [
  { rows: 128, columns: 64, ownRows: 8, ownColumns: 8 },
  { rows: 64, columns: 64, ownRows: 8, ownColumns: 4 },
  { rows: 32, columns: 64, ownRows: 4, ownColumns: 4 },
  { rows: 16, columns: 32, ownRows: 4, ownColumns: 4 },
];

type Memory = Exclude<ArgumentKind, "word">;

export interface MatmulOptions {
  readonly tile: GpuTile;
  readonly transposed: boolean;
  /** K is a multiple of {@link DEPTH}. */
  readonly whole: boolean;
  /** Input 0 is the product; the others are `operands`. */
  readonly epilogue: ScalarExpr;
  readonly kinds: { readonly a: Memory; readonly b: Memory; readonly operands: readonly Memory[] };
}

export const matmulNames = ({ kinds }: Pick<MatmulOptions, "kinds">): readonly string[] => [
  ...["m", "n", "k", "a_batch", "a_row", "b_batch", "b_row"],
  ...kinds.operands.flatMap((_, i) => [`o${i}_batch`, `o${i}_row`, `o${i}_column`]),
];

export const matmulGrid = (m: Dim, n: Dim, batch: Dim, { rows, columns }: GpuTile): Dim =>
  mul(batch, ceilDiv(m, rows), ceilDiv(n, columns));

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);
const PARTS = ["x", "y", "z", "w"] as const;

/** One side of the product on its way to workgroup memory, where it lies by steps of K, a step's lines in fours. */
interface Side {
  readonly name: "a" | "b";
  /** Rows of A or columns of B in a tile. */
  readonly lines: number;
  /** Lines that there are, and the tile's first. */
  readonly count: string;
  readonly first: string;
  /** Steps of K lie one behind the other in memory; otherwise lines do. */
  readonly alongK: boolean;
  readonly batch: string;
  /** Elements from line to line, or from step to step where lines lie one behind the other. */
  readonly step: string;
}

/** Fours from a step of K to the next: one more than there are, so that steps begin in different banks. */
const pitch = (lines: number): number => lines / 4 + 1;

/** Declarations before the loop, then what takes values at `at_k` from memory, and puts them into workgroup memory. */
function staging(
  side: Side,
  workgroup: number,
  whole: boolean,
  { at, word }: KernelScope,
): readonly [string, string, string] {
  const { name, lines, count, first, alongK, batch, step } = side;
  const fours = lines / 4;
  const [declare, take, put]: string[][] = [[], [], []];
  for (const i of range((fours * DEPTH) / workgroup)) {
    const [depth, four] = [`${name}_depth${i}`, `${name}_four${i}`];
    const s = `(lane + ${i * workgroup}u)`;
    // Neighbours read neighbours.
    declare.push(
      alongK
        ? `let ${depth} = ${s} % ${DEPTH}u; let ${four} = ${s} / ${DEPTH}u;`
        : `let ${depth} = ${s} / ${fours}u; let ${four} = ${s} % ${fours}u;`,
    );
    declare.push(`var ${name}${i} = vec4<f32>();`);
    for (const [p, part] of PARTS.entries()) {
      // Lines behind the last repeat it: their results are not stored.
      const line = `min(${first} + ${four} * 4u + ${p}u, ${count} - 1u)`;
      const place = alongK ? `${line} * ${step} + ${depth}` : `${depth} * ${step} + ${line}`;
      declare.push(`let ${name}_at${i}_${p} = ${batch} + ${place};`);
      const read = at(name, `${name}_at${i}_${p} + at_k${alongK ? "" : ` * ${step}`}`);
      take.push(`${name}${i}.${part} = ${whole ? read : `select(0.0f, ${read}, at_k + ${depth} < ${word("k")})`};`);
    }
    put.push(`tile_${name}[${depth} * ${pitch(lines)}u + ${four}] = ${name}${i};`);
  }
  return [declare.join("\n  "), take.join("\n    "), put.join("\n    ")];
}

/** C [batch, m, n] = epilogue(A [batch, m, k] B), B [k, n] or, transposed, [n, k]. */
export function matmulKernel(options: MatmulOptions): Uint8Array {
  const { tile, transposed, whole, epilogue, kinds } = options;
  const { rows, columns, ownRows, ownColumns } = tile;
  const across = columns / ownColumns;
  const workgroup = (rows / ownRows) * across;
  const [rowFours, columnFours] = [range(ownRows / 4), range(ownColumns / 4)];
  return gpuKernel({
    name: "matmul",
    args: [
      pointer("out", "write"),
      pointer("a", kinds.a),
      pointer("b", kinds.b),
      ...kinds.operands.map((kind, i) => pointer(`o${i}`, kind)),
      ...words(...matmulNames(options)),
    ],
    element: "f32",
    workgroup,
    write: (scope) => {
      const { word, at } = scope;
      const sides: readonly Side[] = [
        {
          ...{ name: "a", lines: rows, count: word("m"), first: "row0", alongK: true },
          ...{ batch: `batch * ${word("a_batch")}`, step: word("a_row") },
        },
        {
          ...{ name: "b", lines: columns, count: word("n"), first: "column0", alongK: transposed },
          ...{ batch: `batch * ${word("b_batch")}`, step: word("b_row") },
        },
      ];
      const [a, b] = sides.map((side) => staging(side, workgroup, whole, scope));
      const products = range(UNROLLED).map((d) => {
        const loads = [
          ...rowFours.map((f) => `let a_${f} = tile_a[a_at + ${d * pitch(rows) + f}u];`),
          ...columnFours.map((f) => `let b_${f} = tile_b[b_at + ${d * pitch(columns) + f * across}u];`),
        ];
        const sums = range(ownRows).flatMap((r) =>
          columnFours.map((f) => {
            const left = `vec4<f32>(a_${r >> 2}.${PARTS[r & 3]})`;
            return `s${r}_${f} = fma(${left}, b_${f}, s${r}_${f});`;
          }),
        );
        return `{ ${[...loads, ...sums].join(" ")} }`;
      });
      const store = range(ownRows).map((r) => {
        const fours = columnFours.map((f) => {
          const inputs = [`s${r}_${f}`, ...kinds.operands.map((_, o) => `e${o}`)];
          const { code, result } = lowerExpr(epilogue, inputs, 4);
          const reads = kinds.operands.map((_, o) => {
            const from = `batch * ${word(`o${o}_batch`)} + r * ${word(`o${o}_row`)}`;
            const values = PARTS.map((part) => at(`o${o}`, `p${o} + c.${part} * ${word(`o${o}_column`)}`));
            return `let p${o} = ${from}; let e${o} = vec4<f32>(${values.join(", ")});`;
          });
          const stores = PARTS.map(
            (part, p) => `if (first + ${p}u < ${word("n")}) { ${at("out", `line + first + ${p}u`)} = result.${part}; }`,
          );
          return `{ let first = column + ${f * across * 4}u;
      let c = min(vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(${word("n")} - 1u));
      ${reads.join("\n      ")}
      ${code}
      let result = ${result};
      ${stores.join(" ")} }`;
        });
        return `{ let r = row + ${r}u; if (r < ${word("m")}) { let line = (batch * ${word("m")} + r) * ${word("n")};
    ${fours.join("\n    ")} } }`;
      });
      return `${mathFor(4)}
var<workgroup> tile_a: array<vec4<f32>, ${DEPTH * pitch(rows)}>;
var<workgroup> tile_b: array<vec4<f32>, ${DEPTH * pitch(columns)}>;
fn run(item: u32, lane: u32) {
  let panels = (${word("n")} + ${columns - 1}u) / ${columns}u;
  let blocks = (${word("m")} + ${rows - 1}u) / ${rows}u;
  let column0 = (item % panels) * ${columns}u;
  let row0 = ((item / panels) % blocks) * ${rows}u;
  let batch = item / (panels * blocks);
  let a_own = (lane / ${across}u) * ${ownRows / 4}u;
  let b_own = lane % ${across}u;
  ${range(ownRows)
    .flatMap((r) => columnFours.map((f) => `var s${r}_${f} = vec4<f32>();`))
    .join(" ")}
  ${a[0]}
  ${b[0]}
  var at_k = 0u;
  loop {
    ${a[1]}
    ${b[1]}
    workgroupBarrier();
    ${a[2]}
    ${b[2]}
    workgroupBarrier();
    var a_at = a_own;
    var b_at = b_own;
    for (var d = 0u; d < ${DEPTH / UNROLLED}u; d++) {
    ${products.join("\n    ")}
    a_at += ${UNROLLED * pitch(rows)}u;
    b_at += ${UNROLLED * pitch(columns)}u;
    }
    at_k += ${DEPTH}u;
    if (at_k >= ${word("k")}) { break; }
  }
  let row = row0 + (lane / ${across}u) * ${ownRows}u;
  let column = column0 + (lane % ${across}u) * 4u;
  ${store.join("\n  ")}
}`;
    },
  });
}
