/** Single elements of what follows from weights alone: every range and point of a component reads the same ones. */
import { attributesKey, type Node, type OpTable } from "../node.ts";
import { createReaders } from "./sample.ts";
import { type Reader, vector } from "./sample_reader.ts";

/** Elements that are kept before all are forgotten: 16 MiB. */
const MOST_KEPT = 2 ** 21;

interface Known {
  /** Numbers of equal nodes, of whichever graph. */
  readonly numbers: Map<string, number>;
  readonly numberOf: WeakMap<Node, number>;
  readonly readers: Map<number, Reader>;
  /** Reads operands by their number. */
  readonly build: (node: Node) => Reader;
}

/** True for values that are more than elements of an operand at other places. */
export function isComputed({ op }: Node, table: OpTable): boolean {
  return op !== "weight" && op !== "constant" && table.get(op)?.kind !== "view";
}

/**
 * Readers of nodes that follow from weights alone, whose sizes are numbers; runs of computed values are kept, across graphs.
 * @param weight elements of a checkpoint tensor
 */
export function createWeightReaders(table: OpTable, weight: (node: Node) => Reader): (node: Node) => Reader {
  let elements = 0;
  let known = start();

  function start(): Known {
    const own: Pick<Known, "numbers" | "numberOf" | "readers"> = {
      numbers: new Map(),
      numberOf: new WeakMap(),
      readers: new Map(),
    };
    const given = (node: Node): Reader | undefined =>
      own.readers.get(own.numberOf.get(node) ?? -1) ?? (node.op === "weight" ? weight(node) : undefined);
    return { ...own, build: createReaders({ bindings: {}, table, given }) };
  }

  const numberOf = (node: Node): number => {
    const old = known.numberOf.get(node);
    if (old !== undefined) return old;
    const key = `${node.op}(${node.inputs.map(numberOf).join(",")}){${attributesKey(node.attributes)}}`;
    const number = known.numbers.get(key) ?? known.numbers.size;
    known.numbers.set(key, number);
    known.numberOf.set(node, number);
    return number;
  };

  const keeping = (read: Reader): Reader => {
    const runs = new Map<string, Float64Array>();
    const run = (first: number, step: number, count: number): Float64Array => {
      const key = `${first} ${step} ${count}`;
      let values = runs.get(key);
      if (values === undefined) {
        values = vector(read, first, step, count);
        runs.set(key, values);
        elements += count;
      }
      return values;
    };
    return Object.assign((position: number): number => read(position), { ...read, run });
  };

  const readerOf = (node: Node): Reader => {
    const number = numberOf(node);
    const old = known.readers.get(number);
    if (old !== undefined) return old;
    // Operands first, so that what they compute is kept as well.
    node.inputs.forEach(readerOf);
    const read = known.build(node);
    const made = isComputed(node, table) ? keeping(read) : read;
    known.readers.set(number, made);
    return made;
  };

  return (node) => {
    if (elements > MOST_KEPT) {
      known = start();
      elements = 0;
    }
    return readerOf(node);
  };
}
