/** Rotary positions: every pair of a head's numbers turned by an angle of its token. */
import { ceilDiv, type Dim } from "../../../runtime/core/dim.ts";
import { gpuKernel, type Memory, pointer, words } from "./kernel.ts";

const WORKGROUP = 256;

export const rotaryGrid = (elements: Dim): Dim => ceilDiv(elements, WORKGROUP);

export interface RotaryOptions {
  readonly headDim: number;
  readonly pairs: number;
  readonly interleaved: boolean;
  /** x, cos, sin. */
  readonly kinds: readonly Memory[];
  /** f16 where heads are even. */
  readonly out: "write" | "write16";
}

export const ROTARY_WORDS = ["elements", "tokens", "heads", "x_batch", "x_token", "x_head", "table_batch"] as const;

/** Arguments: output, x, cos, sin; elements of the output, tokens, heads, x's steps, and the tables' from batch to batch. */
export function rotaryKernel({ headDim, pairs, interleaved, kinds, out }: RotaryOptions): Uint8Array {
  const [pair, second, other] = interleaved
    ? ["d >> 1u", "(d & 1u) == 1u", "d ^ 1u"]
    : [`d % ${pairs}u`, `d >= ${pairs}u`, `select(d + ${pairs}u, d - ${pairs}u, second)`];
  return gpuKernel({
    name: "rotary",
    args: [
      pointer("out", out),
      ...["x", "cos", "sin"].map((name, i) => pointer(name, kinds[i])),
      ...words(...ROTARY_WORDS),
    ],
    element: "f32",
    workgroup: WORKGROUP,
    write: ({ word, load, store, storePair }) => `
fn turned(element: u32) -> f32 {
  let d = element % ${headDim}u;
  let row = element / ${headDim}u;
  let head = row % ${word("heads")};
  let token = (row / ${word("heads")}) % ${word("tokens")};
  let batch = row / (${word("heads")} * ${word("tokens")});
  let first = batch * ${word("x_batch")} + token * ${word("x_token")} + head * ${word("x_head")};
  let own = ${load("x", "first + d")};
  if (d >= ${2 * pairs}u) { return own; }
  let second = ${second};
  let paired = ${load("x", `first + (${other})`)};
  let angle = batch * ${word("table_batch")} + token * ${pairs}u + (${pair});
  let turn = ${load("sin", "angle")};
  return own * ${load("cos", "angle")} + select(-paired, paired, second) * turn;
}
fn run(item: u32, lane: u32) {
  let element = (item * ${WORKGROUP}u + lane) * ${out === "write16" ? 2 : 1}u;
  if (element >= ${word("elements")}) { return; }
  ${
    out === "write16"
      ? storePair("out", "element", "turned(element)", "turned(element + 1u)")
      : store("out", "element", "turned(element)")
  }
}`,
  });
}
