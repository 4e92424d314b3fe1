/**
 * Values as f16 where that is safe: what products and attention read is kept in two bytes where no input can make a number of it
 * larger than f16 holds. What nothing bounds, such as the sums that go from block to block, stays f32.
 */
import { magnitudesName } from "../core/calibration.ts";
import type { WeightFacts } from "../core/weight_facts.ts";
import { type Graph, nodesOf, usersOf, weightOnly } from "../ir/graph.ts";
import type { Interner, Node } from "../ir/node.ts";
import { createBounds } from "../ir/value_bounds.ts";
import { multipliedWeight } from "./multiplied_weight.ts";
import { makeFor, mapGraph } from "./rewrite.ts";

/** The largest number of f16. */
const LARGEST = 65504;

/** Sums in f32 and rounded weights are a little larger than what was found for exact ones. */
const SLACK = 1.01;

/** Inputs may make values larger than those of a calibration did. */
const CALIBRATION_MARGIN = 8;

/** Rows begin at whole words in twos. */
const MULTIPLE = 4;

/** What a value is kept in, and why. */
export interface ValueWidth {
  /** The op that makes it, and its shape in words. */
  readonly value: string;
  readonly kept: "f16" | "f32";
  /** No number of it can be larger; infinite where nothing is known. */
  readonly bound: number;
  /** Why it stays f32, as the end of a sentence. */
  readonly reason?: string;
  /** `file:line` of the author's call, when it is known. */
  readonly source?: string;
}

export interface NarrowOptions extends Interner {
  readonly facts: WeightFacts;
  readonly onValue: (value: ValueWidth) => void;
}

const describe = ({ op, shape }: Node): string =>
  `${op} [${shape.map((d) => (typeof d === "number" ? d : "?")).join(", ")}]`;

/** Puts `widen(narrow(v))` into the place of every such value. */
export function narrowValues(graph: Graph, { make, table, facts, onValue }: NarrowOptions): Graph {
  const nodes = nodesOf(graph);
  const users = usersOf(nodes);
  const weights = weightOnly(nodes);
  const outputs = new Set(graph.outputs.map((o) => o.node));
  const boundOf = createBounds(facts);
  const isView = (n: Node): boolean => table.get(n.op)?.kind === "view";

  /** Readers of a value, through views. */
  const readersOf = (value: Node): readonly (readonly [Node, number] | undefined)[] =>
    outputs.has(value)
      ? [undefined]
      : (users.get(value) ?? []).flatMap((user) =>
          isView(user)
            ? table.get(user.op)?.keepsRows?.(user, MULTIPLE) === true
              ? readersOf(user)
              : [[user, 0] as const]
            : user.inputs.flatMap((x, i) => (x === value ? [[user, i] as const] : [])),
        );
  const takes = ([user, at]: readonly [Node, number]): boolean =>
    table.get(user.op)?.kind === "elementwise" || table.get(user.op)?.halves?.operands.includes(at) === true;
  const gains = (reader: readonly [Node, number]): boolean =>
    table.get(reader[0].op)?.halves?.gains === true && takes(reader);

  /** What a calibration saw, several times over; infinite without one. */
  const calibrated = (value: Node): number => {
    const seen = readersOf(value).flatMap((r) => {
      const weight = r === undefined ? undefined : multipliedWeight(...r);
      const fact = weight === undefined ? undefined : facts[magnitudesName(weight)];
      return fact === undefined ? [] : [CALIBRATION_MARGIN * fact.largest];
    });
    return Math.min(Number.POSITIVE_INFINITY, ...seen);
  };
  const largestOf = (value: Node): number => Math.min(boundOf(value).largest, calibrated(value));

  const isCandidate = (value: Node): boolean => {
    if (value.dtype !== "f32" || weights.has(value) || isView(value) || table.get(value.op)?.kind === "source")
      return false;
    return readersOf(value).some((r) => r !== undefined && gains(r));
  };
  const reasonAgainst = (value: Node): string | undefined => {
    const largest = largestOf(value);
    if (largest === Number.POSITIVE_INFINITY) return "nothing bounds it";
    if (largest * SLACK > LARGEST) return `f16 holds at most ${LARGEST}`;
    const last = value.shape[value.shape.length - 1];
    if (typeof last !== "number" || last % MULTIPLE !== 0) return `its rows are no multiple of ${MULTIPLE} long`;
    const other = readersOf(value).find((r) => r === undefined || !takes(r));
    if (other !== undefined) return `${other[0].op} reads it as f32`;
    return readersOf(value).includes(undefined) ? "it is a result" : undefined;
  };

  const chosen = new Set<Node>();
  for (const value of nodes) {
    if (!isCandidate(value)) continue;
    const reason = reasonAgainst(value);
    if (reason === undefined) chosen.add(value);
    onValue({
      value: describe(value),
      kept: reason === undefined ? "f16" : "f32",
      bound: largestOf(value),
      ...(reason === undefined ? {} : { reason }),
      ...(value.source === undefined ? {} : { source: value.source }),
    });
  }
  return mapGraph(graph, make, (node, original) => {
    if (!chosen.has(original)) return node;
    const own = makeFor(make, node);
    return own("widen", [own("narrow", [node])]);
  });
}
