/** Rotary positions: every pair of a head's numbers turned by an angle of its token. */
import { ceilDiv, type Dim } from "../../../runtime/core/dim.ts";
import { gpuKernel, type KernelScope, type Memory, pointer, words } from "./kernel.ts";

const WORKGROUP = 256;

export interface RotaryOptions {
  readonly headDim: number;
  readonly pairs: number;
  readonly interleaved: boolean;
  /** x, cos, sin. */
  readonly kinds: readonly Memory[];
  /** f16 where heads are even. */
  readonly out: "write" | "write16";
}

type Turn = Pick<RotaryOptions, "headDim" | "pairs">;

/** Whether an invocation turns two neighbouring pairs, so that each number is read once and a place is worked out for four. */
const inFours = ({ headDim, pairs }: Turn): boolean => headDim % 4 === 0 && pairs % 2 === 0;

export const rotaryGrid = (elements: Dim, turn: Turn): Dim => ceilDiv(elements, WORKGROUP * (inFours(turn) ? 4 : 1));

export const ROTARY_WORDS = ["elements", "tokens", "heads", "x_batch", "x_token", "x_head", "table_batch"] as const;

/** Arguments: output, x, cos, sin; elements of the output, tokens, heads, x's steps, and the tables' from batch to batch. */
export function rotaryKernel(options: RotaryOptions): Uint8Array {
  const { kinds, out } = options;
  return gpuKernel({
    name: "rotary",
    args: [
      pointer("out", out),
      ...["x", "cos", "sin"].map((name, i) => pointer(name, kinds[i])),
      ...words(...ROTARY_WORDS),
    ],
    element: "f32",
    workgroup: WORKGROUP,
    write: (scope) => (inFours(options) ? turnFours(scope, options) : turnOnes(scope, options)),
  });
}

/** Where `row`, a head of a token, begins in x, and its angles in the tables. */
const placed = ({ word }: KernelScope, pairs: number): string => `
  let head = row % ${word("heads")};
  let token = (row / ${word("heads")}) % ${word("tokens")};
  let batch = row / (${word("heads")} * ${word("tokens")});
  let first = batch * ${word("x_batch")} + token * ${word("x_token")} + head * ${word("x_head")};
  let angles = batch * ${word("table_batch")} + token * ${pairs}u;`;

function turnFours(scope: KernelScope, { headDim, pairs, interleaved }: RotaryOptions): string {
  const { word, load, storePair } = scope;
  const x = (place: string): string => load("x", `first + ${place}`);
  const [turned, left] = [pairs / 2, headDim / 4 - pairs / 2];
  // The two pairs' first and second numbers.
  const [a, b] = interleaved
    ? [
        ["4u * four", "4u * four + 2u"],
        ["4u * four + 1u", "4u * four + 3u"],
      ]
    : [
        ["2u * four", "2u * four + 1u"],
        [`2u * four + ${pairs}u`, `2u * four + ${pairs + 1}u`],
      ];
  const two = (values: readonly string[]): string => `vec2<f32>(${values.join(", ")})`;
  const angle = (table: string): string =>
    two(["2u * four", "2u * four + 1u"].map((place) => load(table, `angles + ${place}`)));
  const put = (place: string, [one, other]: readonly string[]): string =>
    storePair("out", `row * ${headDim}u + ${place}`, one, other);
  return `
fn run(item: u32, lane: u32) {
  let at = item * ${WORKGROUP}u + lane;
  if (at >= ${word("elements")} / 4u) { return; }
  let row = at / ${headDim / 4}u;
  let four = at % ${headDim / 4}u;${placed(scope, pairs)}
  ${
    left === 0
      ? ""
      : `if (four >= ${turned}u) {
    let rest = 4u * four;
    ${put("rest", [x("rest"), x("rest + 1u")])}
    ${put("rest + 2u", [x("rest + 2u"), x("rest + 3u")])}
    return;
  }`
  }
  let a = ${two(a.map(x))};
  let b = ${two(b.map(x))};
  let c = ${angle("cos")};
  let s = ${angle("sin")};
  let p = a * c - b * s;
  let q = b * c + a * s;
  ${
    interleaved
      ? `${put("4u * four", ["p.x", "q.x"])}
  ${put("4u * four + 2u", ["p.y", "q.y"])}`
      : `${put("2u * four", ["p.x", "p.y"])}
  ${put(`2u * four + ${pairs}u`, ["q.x", "q.y"])}`
  }
}`;
}

function turnOnes(scope: KernelScope, { headDim, pairs, interleaved, out }: RotaryOptions): string {
  const { word, load, store, storePair } = scope;
  const [pair, second, other] = interleaved
    ? ["d >> 1u", "(d & 1u) == 1u", "d ^ 1u"]
    : [`d % ${pairs}u`, `d >= ${pairs}u`, `select(d + ${pairs}u, d - ${pairs}u, second)`];
  return `
fn turned(element: u32) -> f32 {
  let d = element % ${headDim}u;
  let row = element / ${headDim}u;${placed(scope, pairs)}
  let own = ${load("x", "first + d")};
  if (d >= ${2 * pairs}u) { return own; }
  let second = ${second};
  let paired = ${load("x", `first + (${other})`)};
  let angle = angles + (${pair});
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
}`;
}
