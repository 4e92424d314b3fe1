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

/** Lines of A and B in one array of workgroup memory. */
const LINES = 32;

/** Rows and columns of C by a workgroup, and by each of its subgroups; steps of K that are staged at a time, a multiple of 16. */
export interface MatrixTile {
  readonly rows: number;
  readonly columns: number;
  /** Multiples of 32. */
  readonly ownRows: number;
  readonly ownColumns: number;
  readonly depth: number;
}

/** The fastest on an H200, for large products and for those of some hundred rows (docs/performance.md). */
export const MATRIX_TILE: MatrixTile = { rows: 128, columns: 128, ownRows: 32, ownColumns: 64, depth: 64 };

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
  /** One line for all rows, such as a bias. */
  readonly isLine: boolean;
}

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

const invocationsOf = ({ rows, columns, ownRows, ownColumns }: MatrixTile): number =>
  (rows / ownRows) * (columns / ownColumns) * SUBGROUP;

/** Columns that an invocation writes at a time: whole units of what it writes. */
const written = (unit: number, out: Memory): number => Math.max(4, isHalf(out) ? 2 * unit : unit);

/** Columns of sums that a subgroup puts into its array at a time, 16 rows of them with lines 4 apart from whole banks. */
function stripOf({ ownColumns }: MatrixTile, unit: number, entries: number): number {
  const fits = (columns: number): boolean => (SIDE * (columns + 4)) / unit <= entries && ownColumns % columns === 0;
  return [64, 32].find(fits) ?? SIDE;
}

/** C [batch, m, n] = epilogue(A [batch, m, k] B), B [n, k]; A and B f16. Words as `matmulKernel`'s. */
export function matrixMatmulKernel(options: MatrixMatmulOptions): Uint8Array {
  const { tile, dialect, unit, whole, epilogue, kinds } = options;
  const { rows, columns, ownRows, ownColumns, depth } = tile;
  const spelling = MATRIX_DIALECTS[dialect];
  const invocations = invocationsOf(tile);
  /** Entries of workgroup memory are units of words: of a line's steps, from line to line, and of an array. */
  const line = depth / (2 * unit);
  const pitch = line + 4 / unit;
  const entries = LINES * pitch;
  const [arraysOfA, arraysOfB] = [rows / LINES, columns / LINES];
  const vector = `vec${unit}<u32>`;
  const [mats, nats] = [range(ownRows / SIDE), range(ownColumns / SIDE)];
  const leftType = spelling.type("left", "f16", SIDE, SIDE);
  const rightType = spelling.type("right", "f16", SIDE, SIDE);
  const resultType = spelling.type("result", "f32", SIDE, SIDE);
  const across = columns / ownColumns;
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
      /** Entries per invocation of a side, where it reads, and what it puts where. */
      const side = (name: "a" | "b", lines: number, firstArray: number, count: string, first: string) => {
        const own = range(Math.ceil((lines * line) / invocations));
        const [declare, take, put]: string[][] = [[], [], []];
        for (const i of own) {
          const e = `(lane + ${i * invocations}u)`;
          const guard = (i + 1) * invocations > lines * line ? `if (${e} < ${lines * line}u) ` : "";
          declare.push(
            `let ${name}_k${i} = (${e} % ${line}u) * ${2 * unit}u;`,
            // Lines behind the last repeat it: their results are not stored.
            `let ${name}_at${i} = (${word(name)} >> ${shift}u) + (batch * ${word(`${name}_batch`)} + min(${first} + ${e} / ${line}u, ${count} - 1u) * ${word(`${name}_row`)} + ${name}_k${i}) / ${2 * unit}u;`,
            `let ${name}_array${i} = ${firstArray}u + ${e} / ${line * LINES}u;`,
            `let ${name}_put${i} = ((${e} / ${line}u) % ${LINES}u) * ${pitch}u + ${e} % ${line}u;`,
            `var ${name}${i} = ${vector}();`,
          );
          const read = `${memory(name)}[${name}_at${i} + at_k / ${2 * unit}u]`;
          take.push(
            `${guard}{ ${name}${i} = ${whole ? read : `select(${vector}(), ${read}, at_k + ${name}_k${i} < end_k)`}; }`,
          );
          put.push(`${guard}{ tile[${name}_array${i}][${name}_put${i}] = ${name}${i}; }`);
        }
        return { declare: declare.join("\n  "), take: take.join("\n    "), put: put.join("\n    ") };
      };
      const a = side("a", rows, 0, word("m"), "row0");
      const b = side("b", columns, arraysOfA, word("n"), "column0");
      /** 16 lines of a side from `16 * i` of the subgroup's own on, 16 steps of K from `k` on. */
      const load = (type: string, firstArray: string, lines: "rows" | "columns", i: number, k: number): string => {
        const array = `tile[${firstArray} + ${Math.floor((i * SIDE) / LINES)}u]`;
        return spelling.load(type, array, `${((i * SIDE) % LINES) * pitch + k / (2 * unit)}u`, lines, `${pitch}u`);
      };
      const multiply = range(depth / SIDE).map(
        (k) =>
          `{ ${[
            ...mats.map((i) => `let a_${i} = ${load(leftType, "down", "rows", i, k * SIDE)};`),
            ...nats.flatMap((j) => [
              `let b_${j} = ${load(rightType, "along", "columns", j, k * SIDE)};`,
              ...mats.map((i) => `c${i}_${j} = ${spelling.multiplyAdd(`a_${i}`, `b_${j}`, `c${i}_${j}`)};`),
            ]),
          ].join("\n      ")} }`,
      );
      const strip = stripOf(tile, unit, entries);
      return `${mathFor(4)}
fn four_halves(words: vec2<u32>) -> vec4<f32> { return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y)); }
var<workgroup> tile: array<array<${vector}, ${entries}>, ${arraysOfA + arraysOfB}>;
fn run(item: u32, lane: u32) {
  ${tilePlace(scope, tile, epilogue === undefined)}
  let subgroup = lane / ${SUBGROUP}u;
  let down = (subgroup / ${across}u) * ${ownRows / LINES}u;
  let along = ${arraysOfA}u + (subgroup % ${across}u) * ${ownColumns / LINES}u;
  let row = row0 + (subgroup / ${across}u) * ${ownRows}u;
  let column = column0 + (subgroup % ${across}u) * ${ownColumns}u;
  ${mats.flatMap((i) => nats.map((j) => `var c${i}_${j} = ${resultType}();`)).join(" ")}
  ${a.declare}
  ${b.declare}
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
    ${multiply.join("\n    ")}
    if (at_k >= end_k) { break; }
  }
  ${leave(scope, options, { strip, mats: mats.length })}
}`;
    },
  });
}

/** How sums leave: so many columns of 16 rows of a subgroup at a time. */
interface Leaving {
  readonly strip: number;
  /** 16 rows each. */
  readonly mats: number;
}

/**
 * What is computed of sums, and written. They pass through the subgroup's array of workgroup memory; what else is read is asked
 * for before they are there.
 */
function leave(scope: KernelScope, options: MatrixMatmulOptions, { strip, mats }: Leaving): string {
  const { tile, dialect, unit, epilogue, kinds } = options;
  const { word, memory } = scope;
  const shift = unit === 4 ? 4 : 3;
  const step = written(unit, kinds.out);
  const fours = range(step / 4);
  const pitch = (strip + 4) / unit;
  const chunks = strip / step;
  /** Rows from one that an invocation writes to its next. */
  const apart = SUBGROUP / chunks;
  const places = range(SIDE / apart);
  const operand = (o: number, row: string, f: number): string => readOperand(scope, options, { o, row, f, step });
  const stripsOut = range(tile.ownColumns / strip).map((s) => {
    const lines = kinds.operands.flatMap(({ isLine }, o) =>
      isLine ? fours.map((f) => `let o${o}_${f} = ${operand(o, "0u", f)};`) : [],
    );
    const blocks = range(mats).map((i) => {
      const row = (p: number): string => `row + ${i * SIDE + p * apart}u + out_row`;
      const reads = kinds.operands.flatMap(({ isLine }, o) =>
        isLine
          ? []
          : places.flatMap((p) =>
              fours.map((f) => `let o${o}_${f}_${p} = ${operand(o, `min(${row(p)}, ${word("m")} - 1u)`, f)};`),
            ),
      );
      const sums = range(strip / SIDE).map((j) =>
        MATRIX_DIALECTS[dialect].store(
          "tile[subgroup]",
          `${(j * SIDE) / unit}u`,
          `c${i}_${(s * strip) / SIDE + j}`,
          `${pitch}u`,
        ),
      );
      const results = places.map((p) => {
        const values = fours.map((f) => {
          const at = `lies + ${p * apart * pitch + (4 * f) / unit}u`;
          const names = kinds.operands.map(({ isLine }, o) => (isLine ? `o${o}_${f}` : `o${o}_${f}_${p}`));
          const { code, result } = lowerExpr((epilogue ?? { input: 0 }) as ScalarExpr, ["sum", ...names], 4);
          return `var r${f}: vec4<f32>;
      { let sum = ${fourOf("tile[subgroup]", at, unit)};
      ${code}
      r${f} = ${result}; }`;
        });
        return `if (${row(p)} < ${word("m")} && c < ${word("n")}) {
      ${values.join("\n      ")}
      let place = (${word("out")} >> ${shift}u) + (${epilogue === undefined ? `part * ${word("elements")} + ` : ""}(batch * ${word("m")} + ${row(p)}) * ${word("n")} + c) / ${isHalf(kinds.out) ? 2 * unit : unit}u;
      ${storesOf(memory("out"), unit, isHalf(kinds.out), fours)}
    }`;
      });
      return `{
    ${reads.join("\n    ")}
    workgroupBarrier();
    ${sums.join("\n    ")}
    workgroupBarrier();
    ${results.join("\n    ")}
  }`;
    });
    return `{
  let c = column + ${s * strip}u + out_column;
  let in_row = min(c, ${word("n")} - ${step}u);
  ${lines.join("\n  ")}
  ${blocks.join("\n  ")}
  }`;
  });
  return `let out_row = (lane % ${SUBGROUP}u) / ${chunks}u;
  let out_column = (lane % ${chunks}u) * ${step}u;
  let lies = out_row * ${pitch}u + out_column / ${unit}u;
  ${stripsOut.join("\n  ")}`;
}

/** Four f32 of an array of units from `index` units on. */
const fourOf = (array: string, index: string, unit: 2 | 4): string =>
  unit === 4
    ? `bitcast<vec4<f32>>(${array}[${index}])`
    : `bitcast<vec4<f32>>(vec4<u32>(${array}[${index}], ${array}[${index} + 1u]))`;

interface OperandRead {
  readonly o: number;
  readonly row: string;
  /** Which four of the `step` columns from `in_row` on. */
  readonly f: number;
  readonly step: number;
}

/** Four numbers of an operand. */
function readOperand(
  { word, memory }: KernelScope,
  { unit, kinds }: MatrixMatmulOptions,
  { o, row, f, step }: OperandRead,
): string {
  const { kind, whole } = kinds.operands[o];
  const name = `o${o}`;
  const half = isHalf(kind);
  const first = `(${word(name)} >> ${half ? 1 : 2}u) + batch * ${word(`${name}_batch`)} + ${row} * ${word(`${name}_row`)}`;
  if (!whole) {
    const values = range(4).map((i) => {
      const place = `(${first} + (in_row + ${4 * f + i}u) * ${word(`${name}_column`)})`;
      const at = (index: string): string => `${memory(name)}[(${index}) / ${unit}u][(${index}) % ${unit}u]`;
      return half ? `unpack2x16float(${at(`${place} >> 1u`)})[${place} & 1u]` : `bitcast<f32>(${at(place)})`;
    });
    return `vec4<f32>(${values.join(", ")})`;
  }
  const place = `(${first} + in_row + ${4 * f}u)`;
  if (!half) return fourOf(memory(name), `${place} / ${unit}u`, unit);
  const read = `${memory(name)}[${place} / ${2 * unit}u]`;
  const two =
    unit === 2
      ? read
      : step === 8
        ? `${read}.${f === 0 ? "xy" : "zw"}`
        : `select(${read}.xy, ${read}.zw, (${place} & 4u) != 0u)`;
  return `four_halves(${two})`;
}

/** `r0`, `r1` and so on put into memory from `place` on. */
function storesOf(memory: string, unit: 2 | 4, half: boolean, fours: readonly number[]): string {
  const values = half
    ? fours.flatMap((f) => [`pack2x16float(r${f}.xy)`, `pack2x16float(r${f}.zw)`])
    : fours.flatMap((f) => ["x", "y", "z", "w"].map((p) => `bitcast<u32>(r${f}.${p})`));
  return range(values.length / unit)
    .map((i) => `${memory}[place + ${i}u] = vec${unit}<u32>(${values.slice(i * unit, (i + 1) * unit).join(", ")});`)
    .join(" ");
}
