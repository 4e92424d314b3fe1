/** 32-bit indices: whether a range proves that no address, size or count of a step list leaves 32 bits. */
import type { StepList } from "../abi/artifact.ts";
import { bytesText, FoveaError } from "../core/diagnostics.ts";
import { type Box, bounds, type Interval } from "../core/dim.ts";
import { type DimData, dimFromData } from "../core/dim_data.ts";
import { DTYPE_BYTES } from "../core/dtype.ts";
import { boxText } from "../core/range.ts";

/** Bytes that a 32-bit address reaches. */
const ADDRESSES = 2 ** 32;
/** Integers of argument tables and grids stay below. */
const INTEGERS = 2 ** 31;

/**
 * `proven` when every buffer lies below 4 GiB and every size argument and grid below 2^31 for all sizes of the box, so that
 * nothing needs to be looked at when it runs; `checked` when the linker must compare a call's own sizes.
 * @throws FoveaError `range_too_large` when not even the smallest sizes fit
 */
export function proveIndices(list: StepList, box: Box): "proven" | "checked" {
  const at = (d: DimData): Interval => bounds(dimFromData(d), box);
  const ports = [...list.inputs, ...list.outputs].map(({ shape, dtype }) => {
    const sizes = shape.map(at);
    const bytes = (side: "min" | "max"): number => sizes.reduce((n, i) => n * i[side], DTYPE_BYTES[dtype]);
    return { min: bytes("min"), max: bytes("max") };
  });
  const slots = list.slots.map((sizes) => {
    const all = sizes.map(at);
    return { min: Math.max(0, ...all.map((i) => i.min)), max: Math.max(0, ...all.map((i) => i.max)) };
  });
  const buffers = [...ports, ...slots];
  const least = buffers.reduce((n, i) => n + i.min, 0);
  if (least >= ADDRESSES) {
    throw new FoveaError(
      "range_too_large",
      `The range ${boxText(box) || "without symbols"} needs ${bytesText(least)} for its smallest sizes, and 32-bit addresses reach ${bytesText(ADDRESSES)}; begin the range lower or cut the component into smaller ones.`,
    );
  }
  const most = buffers.reduce((n, i) => n + i.max, 0);
  const integers = list.steps.flatMap((s) => [s.grid, ...s.args.flatMap((a) => ("size" in a ? [a.size] : []))]);
  const fits = most < ADDRESSES && integers.every((d) => at(d).max < INTEGERS && at(d).min >= -INTEGERS);
  return fits ? "proven" : "checked";
}
