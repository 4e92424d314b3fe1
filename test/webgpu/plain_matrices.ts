/**
 * Subgroup matrices in plain WGSL, for drivers without them: a kernel's text as it is, but that each invocation keeps a row of what
 * its subgroup keeps, and the places of right sides, which are read where they multiply. So everything else of such kernels runs
 * where there is no card: staging, places in workgroup memory, barriers, softmax, epilogues. Subgroups are 32 invocations in
 * order, as the kernels say.
 */
import assert from "node:assert/strict";
import { decodeCode, encodeCode } from "../../kernels/webgpu/device/code.ts";

const LOAD =
  /subgroupMatrixLoad<subgroup_matrix_(left|right|result)<(f16|f32), 16, 16>, (row|col)_major>\(&(\w+)(?:\[([^\]]+)\])?, ([^,]+), (\d+)u\)/g;
const STORE = /subgroupMatrixStore<row_major>\(&(\w+)(?:\[([^\]]+)\])?, ([^,]+), (\w+), (\d+)u\)/g;
const TYPE = /subgroup_matrix_(left|right|result)<(?:f16|f32), 16, 16>/g;

const COMMON = `
struct Row { values: array<f32, 16> }
struct Right { array: u32, which: u32, at: u32, pitch: u32, across: bool }
var<private> own_lane: u32;
var<workgroup> shuffled: array<f32, 1024>;
fn multiply_add(left: Row, right: Right, sums: Row) -> Row {
  var a = left;
  var c = sums;
  for (var k = 0u; k < 16u; k++) {
    for (var j = 0u; j < 16u; j++) { c.values[j] += a.values[k] * right_value(right, k, j); }
  }
  return c;
}
fn shuffle_xor(value: f32, mask: u32) -> f32 {
  shuffled[own_lane] = value;
  workgroupBarrier();
  let other = shuffled[own_lane ^ mask];
  workgroupBarrier();
  return other;
}
`;

/** Reads and writes of one array, whose entries are vectors of so many words. */
function accessOf(id: number, name: string, isArrays: boolean, unit: number): string {
  const word = (index: string): string =>
    `${name}${isArrays ? "[which]" : ""}[(${index}) / ${unit}u][(${index}) % ${unit}u]`;
  const halves = word(`(at + line * pitch) * ${unit}u + element / 2u`);
  const floats = word(`(at + line * pitch) * ${unit}u + element`);
  const given = "which: u32, at: u32, pitch: u32, across: bool";
  const turned = (row: string, column: string): string =>
    `let line = select(${row}, ${column}, across); let element = select(${column}, ${row}, across);`;
  return `
fn left_f16_${name}(${given}) -> Row {
  var row: Row;
  for (var i = 0u; i < 16u; i++) { ${turned("own_lane % 16u", "i")} row.values[i] = unpack2x16float(${halves})[element % 2u]; }
  return row;
}
fn right_f16_${name}(${given}) -> Right { return Right(${id}u, which, at, pitch, across); }
fn value_${name}(which: u32, at: u32, pitch: u32, across: bool, row: u32, column: u32) -> f32 {
  ${turned("row", "column")}
  return unpack2x16float(${halves})[element % 2u];
}
fn result_f32_${name}(${given}) -> Row {
  var row: Row;
  for (var i = 0u; i < 16u; i++) { ${turned("own_lane % 16u", "i")} row.values[i] = bitcast<f32>(${floats}); }
  return row;
}
fn store_${name}(which: u32, at: u32, value: Row, pitch: u32) {
  var row = value;
  if (own_lane % 32u >= 16u) { return; }
  for (var element = 0u; element < 16u; element++) { let line = own_lane % 16u; ${floats} = bitcast<u32>(row.values[element]); }
}
`;
}

/** The code blob with plain WGSL where it has subgroup matrices. */
export function withPlainMatrices(blob: Uint8Array): Uint8Array {
  const { enables, wgsl, ...header } = decodeCode("under test", blob);
  assert.ok(
    enables?.some((line) => line.includes("subgroup_matrix")),
    "the kernel has no subgroup matrices",
  );
  const arrays = new Map<string, boolean>();
  const indexOf = (name: string, index: string | undefined): string => {
    arrays.set(name, index !== undefined);
    return index ?? "0u";
  };
  const text = wgsl
    .replaceAll(
      LOAD,
      (_, use, element, order, name, index, at, pitch) =>
        `${use}_${element}_${name}(${indexOf(name, index)}, ${at}, ${pitch}u, ${order === "col"})`,
    )
    .replaceAll(
      STORE,
      (_, name, index, at, value, pitch) => `store_${name}(${indexOf(name, index)}, ${at}, ${value}, ${pitch}u)`,
    )
    .replaceAll(TYPE, (_, use) => (use === "right" ? "Right" : "Row"))
    .replaceAll("subgroupMatrixMultiplyAccumulate(", "multiply_add(")
    .replaceAll("subgroupShuffleXor(", "shuffle_xor(")
    .replace("fn run(item: u32, lane: u32) {", "fn run(item: u32, lane: u32) {\n  own_lane = lane;");
  assert.doesNotMatch(text, /subgroup(Matrix|_matrix|[A-Z])/);
  const unit = header.element === "vec4<u32>" ? 4 : 2;
  const access = [...arrays].map(([name, isArrays], id) => accessOf(id, name, isArrays, unit));
  const cases = [...arrays.keys()].map((name, id) => {
    const label = id === 0 ? "default" : `case ${id}u`;
    return `${label}: { return value_${name}(r.which, r.at, r.pitch, r.across, row, column); }`;
  });
  const value = `fn right_value(r: Right, row: u32, column: u32) -> f32 { switch r.array { ${cases.join(" ")} } }\n`;
  return encodeCode({ ...header, wgsl: `${COMMON}${access.join("")}${value}${text}` });
}
