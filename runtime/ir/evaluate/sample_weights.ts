/** Single elements of what follows from weights alone: every range and point of a component reads the same ones. */
import { createInterner, type Node, type OpTable } from "../node.ts";
import { createReaders } from "./sample.ts";
import { type Reader, vector } from "./sample_reader.ts";

/** Elements that are kept before all are forgotten: 16 MiB. */
const MOST_KEPT = 2 ** 21;

interface Known {
  /** Equal nodes of several graphs are one here. */
  readonly equal: WeakMap<Node, Node>;
  readonly readers: Map<Node, Reader>;
  readonly make: ReturnType<typeof createInterner>["make"];
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
  const start = (): Known => {
    const readers = new Map<Node, Reader>();
    const given = (node: Node): Reader | undefined =>
      readers.get(node) ?? (node.op === "weight" ? weight(node) : undefined);
    const build = createReaders({ bindings: {}, table, given });
    return { equal: new WeakMap(), readers, make: createInterner(table).make, build };
  };
  let known = start();

  const equalOf = (node: Node): Node => {
    const old = known.equal.get(node);
    if (old !== undefined) return old;
    const equal = known.make(node.op, node.inputs.map(equalOf), node.attributes);
    known.equal.set(node, equal);
    return equal;
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
    const old = known.readers.get(node);
    if (old !== undefined) return old;
    // Operands first, so that what they compute is kept as well.
    node.inputs.forEach(readerOf);
    const read = known.build(node);
    const made = isComputed(node, table) ? keeping(read) : read;
    known.readers.set(node, made);
    return made;
  };

  return (node) => {
    if (elements > MOST_KEPT) {
      known = start();
      elements = 0;
    }
    return readerOf(equalOf(node));
  };
}
