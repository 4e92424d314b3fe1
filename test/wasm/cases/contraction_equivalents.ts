/** Constants of packing, products and attention that may be changed without any visible effect. */
import type { Equivalent } from "../mutate.ts";

/** Lines of `index: constant`, as the mutation test prints them. */
export function group(kernel: string, reason: string, ...constants: readonly string[]): readonly Equivalent[] {
  return constants.map((line) => {
    const [index, constant] = line.split(": ");
    return { kernel, index: Number(index), constant, reason };
  });
}

const ANY_SLICE = "any size serves for the slices that K is cut into";
const WHOLE_OR_NOT = "the width of the last panel is known, and only tells it from a whole one";
const NO_SUCH_COLUMN = "columns beyond the panel's own are never looked at";
const LAST_COLUMN = "a column that does not exist may read any that does";
const FOURS = "the fours in head_dim stay as many";
const FIRST_BLOCK = "the first block of keys multiplies earlier sums by 0: they only must be finite";
const SAME_LANES = "all lanes are the same number";
const HIDDEN = "a score of -1.7e38 weighs 0 as well";
const BEHIND_HEAD = "columns of values beyond head_dim are never stored, and the next row or panel is written later";
const ONE_MORE = "one more than is needed does no harm";
const PART_SERVES = "the code for part of a panel serves a whole one too";
const STILL_LESS = "0 stays less than any number of vectors";
const ANY_ORDER = "tiles may come in any order";
const WHOLE_TURNS = "steps come in whole turns: anything less than a turn before the end ends them as well";
const LAST_STEP = "what is left of a turn is one step, behind which nothing is read";
const SPREAD_MORE = "steps beyond the last are spread and never read";

const BYTES = "matmul of bytes, 4x8, sizes as arguments, every access";
const BYTES_BAKED = "matmul of bytes, 2x16, sizes baked, bias";
const SPREAD = "matmul spread, 6x8, sizes as arguments, every access";
const IN_PLACE = "matmul 6x8, in place";
const DENSE = "attention dense";
const RAGGED = "attention causal segments with key mask";

export const CONTRACTION_EQUIVALENTS: readonly Equivalent[] = [
  ...[4, 8, 12, 16].flatMap((columns) =>
    group(`pack_b ${columns} columns, transposed`, NO_SUCH_COLUMN, `8: i32 ${columns}`, `9: i32 ${columns}`),
  ),
  ...group("pack_b 4 columns, transposed", LAST_COLUMN, "24: i32 3", "25: i32 3"),
  ...group("pack_b 4 columns, transposed", "its only group begins at column 0", "27: i32 2", "186: i32 4"),
  ...group("matmul 2x16, sizes baked, one column left, bias", WHOLE_OR_NOT, "72: i32 33", "74: i32 33"),
  ...group("matmul 2x16, whole panels, K in blocks", ANY_SLICE, "31: i32 384", "32: i32 384"),
  ...group("matmul 4x8, sizes as arguments, every access", ANY_SLICE, "30: i32 768", "31: i32 768"),
  ...group("matmul 4x8, sizes as arguments, every access", PART_SERVES, "148: i32 8"),
  ...group("matmul 4x8, sizes as arguments, every access", STILL_LESS, "166: i32 2"),
  ...group(BYTES, "a full item has 8 panels, whether 8 of 8 or of 9 are left", "25: i32 1"),
  ...group(BYTES, PART_SERVES, "176: i32 8"),
  ...group(BYTES, STILL_LESS, "194: i32 2"),
  ...group(BYTES_BAKED, "1, 5 or 9 panels are left, of which 4 are taken at most", "16: i32 9"),
  ...group(BYTES_BAKED, ANY_SLICE, "39: i32 256"),
  ...group(BYTES_BAKED, WHOLE_OR_NOT, "111: i32 131", "112: i32 16", "113: i32 131"),
  ...group("matmul 3x12, layer scale and residual", ANY_SLICE, "29: i32 512", "30: i32 512"),
  ...group("matmul 3x12, layer scale and residual", WHOLE_OR_NOT, "109: i32 20", "110: i32 12", "111: i32 20"),
  ...group(IN_PLACE, ANY_ORDER, "22: i32 1", "23: i32 6", "24: i32 2", "25: i32 1"),
  ...group(IN_PLACE, WHOLE_OR_NOT, "206: i32 17", "208: i32 17"),
  ...group(IN_PLACE, "the result's memory holds one number everywhere", "221: offset 0", "223: offset 16"),
  ...group(SPREAD, "a full group has 12 panels, whether 12 of 12 or of 13 are left", "25: i32 1"),
  ...group(SPREAD, ANY_ORDER, "45: i32 1", "46: i32 6", "47: i32 2", "48: i32 1"),
  ...group(
    SPREAD,
    WHOLE_TURNS,
    "71: i32 64",
    "129: i32 64",
    "207: i32 64",
    "305: i32 64",
    "423: i32 64",
    "561: i32 64",
  ),
  ...group(SPREAD, LAST_STEP, "83: i32 16", "144: i32 32", "225: i32 48", "326: i32 64", "447: i32 80", "588: i32 96"),
  ...group(SPREAD, SPREAD_MORE, "115: i32 3", "188: i32 3", "281: i32 3", "394: i32 3"),
  ...group(SPREAD, PART_SERVES, "632: i32 8"),
  ...group(SPREAD, STILL_LESS, "650: i32 2"),
  ...group(DENSE, FIRST_BLOCK, "38: i32 4608", "45: v128 0", "47: v128 0", "49: v128 0", "51: v128 0"),
  ...group(DENSE, FIRST_BLOCK, "54: f32 -Infinity", "57: f32 0", "60: i32 64"),
  ...group(DENSE, NO_SUCH_COLUMN, "66: i32 8", "67: i32 8"),
  ...group(DENSE, FOURS, "80: i32 16"),
  ...group(DENSE, HIDDEN, "300: f32 -Infinity"),
  ...group(DENSE, SAME_LANES, "322: lane 0"),
  ...group(RAGGED, FIRST_BLOCK, "44: i32 4608", "57: v128 0", "59: v128 0", "61: v128 0", "63: v128 0"),
  ...group(RAGGED, FIRST_BLOCK, "66: f32 -Infinity", "69: f32 0", "72: i32 64"),
  ...group(RAGGED, "0 stays less than the size of a block", "75: i32 128"),
  ...group(RAGGED, ONE_MORE, "96: i32 3"),
  ...group(RAGGED, NO_SUCH_COLUMN, "99: i32 8", "100: i32 8"),
  ...group(RAGGED, LAST_COLUMN, "116: i32 3"),
  ...group(RAGGED, FOURS, "121: i32 14"),
  ...group(RAGGED, "what is packed twice is packed over by the next panel", "265: i32 14", "266: i32 3"),
  ...group(RAGGED, BEHIND_HEAD, "287: i32 8", "288: i32 14", "289: i32 8", "290: i32 14", "291: i32 8", "310: i32 2"),
  ...group(RAGGED, BEHIND_HEAD, "311: f32 0", "312: offset 0", "313: i32 4", "314: i32 32", "319: i32 14"),
  ...group(RAGGED, "whole panels of values begin at column 0", "295: i32 2"),
  ...group(RAGGED, ONE_MORE, "379: i32 3", "380: i32 3"),
  ...group(RAGGED, SAME_LANES, "407: lane 0"),
];
