/**
 * Products of f16 with sums in f32 by subgroup matrices: tiles of C by a workgroup, A and B staged as words in workgroup memory,
 * the next steps of K read while these are multiplied; what follows a product is computed as its sums leave through workgroup
 * memory. What a subgroup reads and writes there is an array of its own, so that places in it are constants: compilers guard
 * others with a branch for each load, which costs a third of the speed.
 */
import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { lowerExpr, mathFor } from "./expr.ts";
import { gpuKernel, isHalf, type KernelScope, type Memory, pointer, words } from "./kernel.ts";
import { type MatmulOptions, matmulNames, panelWindows, tilePlace } from "./matmul.ts";
import { MATRIX_DIALECTS } from "./matrix_dialect.ts";

/** Sides of a subgroup's multiplication. */
const SIDE = 16;

/** Invocations of a subgroup. */
const SUBGROUP = 32;

/** Bytes of workgroup memory that cards with subgroup matrices have. */
const MOST_BYTES = 48 * 1024;

/** Columns of sums that a subgroup puts into workgroup memory at a time. */
const STRIP = 32;

/** Rows and columns of C by a workgroup, and by each of its subgroups; steps of K that are staged at a time, a multiple of 16. */
export interface MatrixTile {
  readonly rows: number;
  readonly columns: number;
  readonly ownRows: number;
  readonly ownColumns: number;
  readonly depth: number;
  /** Two blocks of K in workgroup memory: a barrier less for each. */
  readonly double: boolean;
}

/** The fastest on an H200, for large products and for those of some hundred rows (docs/performance.md). */
export const MATRIX_TILE: MatrixTile = {
  rows: 128,
  columns: 128,
  ownRows: 32,
  ownColumns: 64,
  depth: 64,
  double: false,
};

export interface MatrixMatmulOptions extends Omit<MatmulOptions, "tile" | "transposed" | "kinds"> {
  readonly tile: MatrixTile;
  readonly dialect: string;
  /** Words that are read at a time: lines of A and B begin at multiples of them. */
  readonly unit: 2 | 4;
  readonly kinds: {
    readonly out: "write" | "write16";
    readonly a: Memory;
    readonly b: Memory;
    readonly operands: readonly MatrixOperand[];
  };
}

export interface MatrixOperand {
  readonly kind: Memory;
  /** Its columns lie one behind the other, and lines begin at multiples of what is read at a time. */
  readonly whole: boolean;
}

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

const invocationsOf = ({ rows, columns, ownRows, ownColumns }: MatrixTile): number =>
  (rows / ownRows) * (columns / ownColumns) * SUBGROUP;

/** Columns that an invocation writes at a time: whole units of what it writes. */
const written = (unit: number, out: Memory): number => Math.max(4, isHalf(out) ? 2 * unit : unit);

/** C [batch, m, n] = epilogue(A [batch, m, k] B), B [n, k]; A and B f16. Words as `matmulKernel`'s. */
export function matrixMatmulKernel(options: MatrixMatmulOptions): Uint8Array {
  const { tile, dialect, unit, whole, epilogue, kinds } = options;
  const { rows, columns, ownRows, ownColumns, depth, double } = tile;
  const spelling = MATRIX_DIALECTS[dialect];
  const invocations = invocationsOf(tile);
  /** Entries of workgroup memory are units of words: of a line's steps, and from line to line. */
  const line = depth / (2 * unit);
  const pitch = line + 4 / unit;
  /** On their way out, 16 lines of some of a subgroup's columns at a time. */
  const staged = (rows + columns) * pitch * unit * 4 * (double ? 2 : 1);
  const stripBytes = (columnsOut: number): number => (invocations / SUBGROUP) * SIDE * (columnsOut + 4) * 4;
  const strip = staged + stripBytes(Math.min(ownColumns, STRIP)) <= MOST_BYTES ? Math.min(ownColumns, STRIP) : SIDE;
  const outPitch = (strip + 4) / unit;
  const vector = `vec${unit}<u32>`;
  const [mats, nats] = [range(ownRows / SIDE), range(ownColumns / SIDE)];
  const leftType = spelling.type("left", "f16", SIDE, SIDE);
  const rightType = spelling.type("right", "f16", SIDE, SIDE);
  const resultType = spelling.type("result", "f32", SIDE, SIDE);
  const across = columns / ownColumns;
  const step = written(unit, kinds.out);
  return gpuKernel({
    name: "matmul",
    args: [
      pointer("out", kinds.out),
      pointer("a", kinds.a),
      pointer("b", kinds.b),
      ...kinds.operands.map(({ kind }, i) => pointer(`o${i}`, kind)),
      ...words(...matmulNames(options)),
    ],
    element: vector as "vec2<u32>" | "vec4<u32>",
    workgroup: invocations,
    enables: spelling.enables,
    windows: panelWindows(columns, kinds.b),
    write: (scope) => {
      const { word, memory } = scope;
      const shift = unit === 4 ? 4 : 3;
      const block = double ? "block" : "0";
      /** Entries per invocation of a side, where it reads, and what it puts where. */
      const side = (name: "a" | "b", lines: number, ownLines: number, count: string, first: string) => {
        const own = range(Math.ceil((lines * line) / invocations));
        const [declare, take, put]: string[][] = [[], [], []];
        for (const i of own) {
          const e = `(lane + ${i * invocations}u)`;
          const guard = (i + 1) * invocations > lines * line ? `if (${e} < ${lines * line}u) ` : "";
          declare.push(
            `let ${name}_k${i} = (${e} % ${line}u) * ${2 * unit}u;`,
            // Lines behind the last repeat it: their results are not stored.
            `let ${name}_at${i} = (${word(name)} >> ${shift}u) + (batch * ${word(`${name}_batch`)} + min(${first} + ${e} / ${line}u, ${count} - 1u) * ${word(`${name}_row`)} + ${name}_k${i}) / ${2 * unit}u;`,
            `let ${name}_part${i} = ${e} / ${line * ownLines}u;`,
            `let ${name}_put${i} = ((${e} / ${line}u) % ${ownLines}u) * ${pitch}u + ${e} % ${line}u;`,
            `var ${name}${i} = ${vector}();`,
          );
          const read = `${memory(name)}[${name}_at${i} + at_k / ${2 * unit}u]`;
          take.push(
            `${guard}{ ${name}${i} = ${whole ? read : `select(${vector}(), ${read}, at_k + ${name}_k${i} < end_k)`}; }`,
          );
          put.push(`${guard}{ ${name}_tile[${block}][${name}_part${i}][${name}_put${i}] = ${name}${i}; }`);
        }
        return [declare.join("\n  "), take.join("\n    "), put.join("\n    ")] as const;
      };
      const a = side("a", rows, ownRows, word("m"), "row0");
      const b = side("b", columns, ownColumns, word("n"), "column0");
      const multiply = range(depth / SIDE).map((k) => {
        const from = (k * SIDE) / (2 * unit);
        return `{ ${[
          ...mats.map(
            (i) =>
              `let a_${i} = ${spelling.load(leftType, `a_tile[${block}][down]`, `${i * SIDE * pitch + from}u`, "rows", `${pitch}u`)};`,
          ),
          ...nats.flatMap((j) => [
            `let b_${j} = ${spelling.load(rightType, `b_tile[${block}][along]`, `${j * SIDE * pitch + from}u`, "columns", `${pitch}u`)};`,
            ...mats.map((i) => `c${i}_${j} = ${spelling.multiplyAdd(`a_${i}`, `b_${j}`, `c${i}_${j}`)};`),
          ]),
        ].join("\n      ")} }`;
      });
      const loop = double
        ? `var block = 0u;
  ${a[1]}
  ${b[1]}
  ${a[2]}
  ${b[2]}
  workgroupBarrier();
  loop {
    at_k += ${depth}u;
    let more = at_k < end_k;
    if (more) {
    ${a[1]}
    ${b[1]}
    }
    ${multiply.join("\n    ")}
    if (!more) { break; }
    block = 1u - block;
    ${a[2]}
    ${b[2]}
    workgroupBarrier();
  }`
        : `${a[1]}
  ${b[1]}
  loop {
    workgroupBarrier();
    ${a[2]}
    ${b[2]}
    workgroupBarrier();
    at_k += ${depth}u;
    // The next steps of K come while these are multiplied.
    if (at_k < end_k) {
    ${a[1]}
    ${b[1]}
    }
    ${multiply.join("\n    ")}
    if (at_k >= end_k) { break; }
  }`;
      const chunks = strip / step;
      const strips = range(ownColumns / strip);
      const out = mats.flatMap((i) =>
        strips.map(
          (s) => `workgroupBarrier();
  ${range(strip / SIDE)
    .map((j) =>
      spelling.store("out_tile[subgroup]", `${(j * SIDE) / unit}u`, `c${i}_${(s * strip) / SIDE + j}`, `${outPitch}u`),
    )
    .join("\n  ")}
  workgroupBarrier();
  for (var e = lane % ${SUBGROUP}u; e < ${SIDE * chunks}u; e += ${SUBGROUP}u) {
    let r = row + ${i * SIDE}u + e / ${chunks}u;
    let c = column + ${s * strip}u + (e % ${chunks}u) * ${step}u;
    if (r < ${word("m")} && c < ${word("n")}) {
    let lies = (e / ${chunks}u) * ${outPitch}u + (e % ${chunks}u) * ${step / unit}u;
    ${leave(scope, options, step)}
    }
  }`,
        ),
      );
      return `${mathFor(4)}
var<workgroup> a_tile: array<array<array<${vector}, ${ownRows * pitch}>, ${rows / ownRows}>, ${double ? 2 : 1}>;
var<workgroup> b_tile: array<array<array<${vector}, ${ownColumns * pitch}>, ${across}>, ${double ? 2 : 1}>;
var<workgroup> out_tile: array<array<${vector}, ${SIDE * outPitch}>, ${invocations / SUBGROUP}>;
fn run(item: u32, lane: u32) {
  ${tilePlace(scope, tile, epilogue === undefined)}
  let subgroup = lane / ${SUBGROUP}u;
  let down = subgroup / ${across}u;
  let along = subgroup % ${across}u;
  let row = row0 + down * ${ownRows}u;
  let column = column0 + along * ${ownColumns}u;
  ${mats.flatMap((i) => nats.map((j) => `var c${i}_${j} = ${resultType}();`)).join(" ")}
  ${a[0]}
  ${b[0]}
  var at_k = first_k;
  ${loop}
  ${out.join("\n  ")}
}`;
    },
  });
}

/** What is computed of sums at row `r` from column `c` on, which lie in workgroup memory at `from`, and written. */
function leave({ word, memory }: KernelScope, { unit, epilogue, kinds }: MatrixMatmulOptions, step: number): string {
  const shift = unit === 4 ? 4 : 3;
  const fours = range(step / 4);
  /** Four f32 of units from `index` units on. */
  const four = (array: string, index: string): string =>
    unit === 4
      ? `bitcast<vec4<f32>>(${array}[${index}])`
      : `bitcast<vec4<f32>>(vec4<u32>(${array}[${index}], ${array}[${index} + 1u]))`;
  const pieces = fours.map((f) => {
    const reads = kinds.operands.map(({ kind, whole }, o) => {
      const name = `o${o}`;
      const half = isHalf(kind);
      const first = `batch * ${word(`${name}_batch`)} + r * ${word(`${name}_row`)}`;
      if (whole && !half) {
        const at = `(${word(name)} >> ${shift}u) + (${first} + c + ${4 * f}u) / ${unit}u`;
        return `let e${o} = ${four(memory(name), at)};`;
      }
      const values = range(4).map((i) => {
        const place = `((${word(name)} >> ${half ? 1 : 2}u) + ${first} + (c + ${4 * f + i}u) * ${word(`${name}_column`)})`;
        const at = (index: string): string => `${memory(name)}[(${index}) / ${unit}u][(${index}) % ${unit}u]`;
        return half ? `unpack2x16float(${at(`${place} >> 1u`)})[${place} & 1u]` : `bitcast<f32>(${at(place)})`;
      });
      return `let e${o} = vec4<f32>(${values.join(", ")});`;
    });
    const inputs = ["sum", ...kinds.operands.map((_, o) => `e${o}`)];
    const { code, result } = lowerExpr((epilogue ?? { input: 0 }) as ScalarExpr, inputs, 4);
    return `var r${f}: vec4<f32>;
    { let sum = ${four("out_tile[subgroup]", `lies + ${(4 * f) / unit}u`)};
    ${reads.join("\n    ")}
    ${code}
    r${f} = ${result}; }`;
  });
  const base = `${epilogue === undefined ? `part * ${word("elements")} + ` : ""}(batch * ${word("m")} + r) * ${word("n")} + c`;
  const half = isHalf(kinds.out);
  const place = `(${word("out")} >> ${shift}u) + (${base}) / ${half ? 2 * unit : unit}u`;
  const values = half
    ? fours.flatMap((f) => [`pack2x16float(r${f}.xy)`, `pack2x16float(r${f}.zw)`])
    : fours.flatMap((f) => ["x", "y", "z", "w"].map((p) => `bitcast<u32>(r${f}.${p})`));
  const stores = range(values.length / unit).map(
    (i) => `${memory("out")}[place + ${i}u] = vec${unit}<u32>(${values.slice(i * unit, (i + 1) * unit).join(", ")});`,
  );
  return `${pieces.join("\n    ")}
    let place = ${place};
    ${stores.join(" ")}`;
}
