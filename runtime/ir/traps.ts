/** What nodes answer when a `build` function takes them for tensors with values: a trace break. */
import { type TraceBreak, TraceBreakError } from "../core/diagnostics.ts";
import { folderPattern, placeInStack, type SourcePlace } from "../core/source_place.ts";
import type { Node } from "./node.ts";

/** Told a break; returns when the trace shall go on with a stand-in. */
export type OnBreak = (found: TraceBreak) => void;

const BUILDER = "runtime[/\\\\](ir|nn|core)[/\\\\]";

/**
 * The builder and what it is made of; never the line of an author. In a bundle, which is one line, all of fovea lies beside
 * this file.
 */
const BUILDER_FILES = new RegExp(
  URL.canParse(import.meta.url) ? `${BUILDER}|${folderPattern("./", import.meta.url)}[^/]*$` : BUILDER,
);

/** The author's line that is running; nothing in an encoder that is bundled with fovea. */
export function authorPlace(): SourcePlace | undefined {
  return placeInStack(new Error().stack ?? "", BUILDER_FILES);
}

/** Ops named along a node's path at most. */
const PATH = 5;

/** `add <- matmul <- input hidden_states`: a node and what it is made of, along first operands. */
export function nodePath(node: Node): string {
  const path: string[] = [];
  for (let at: Node | undefined = node; at !== undefined && path.length < PATH; at = at.inputs[0]) {
    const { name } = at.attributes;
    path.push(typeof name === "string" ? `${at.op} ${name}` : at.op);
  }
  return path.join(" <- ");
}

export const throwBreak: OnBreak = (found) => {
  throw new TraceBreakError(found);
};

const READ_REMEDY =
  "A graph is built before there are values: compute with ops, or move what needs the value to `plan` or `prepare`.";
const BRANCH_REMEDY =
  "A graph has no branches on values: choose between two results with `where`, or move the decision to `plan`.";

/** The prototype of an interner's nodes: reading a value on the host is told to `onBreak`. */
export function createTraps(onBreak: OnBreak): object {
  const tell = (node: Node, kind: TraceBreak["kind"], found: string, remedy: string): void => {
    const place = authorPlace();
    onBreak({ kind, node: nodePath(node), found, remedy, ...(place === undefined ? {} : { place }) });
  };
  const read = (node: Node, how: string): void =>
    tell(node, "host_read", `a tensor's values were read on the host by ${how}`, READ_REMEDY);
  const property = (name: string, standIn: unknown): PropertyDescriptor => ({
    get(this: Node) {
      read(this, `\`.${name}\``);
      return standIn;
    },
  });
  const method = (how: string, standIn: () => unknown): PropertyDescriptor => ({
    value(this: Node) {
      read(this, how);
      return standIn();
    },
  });
  return Object.defineProperties(
    {},
    {
      data: property("data", []),
      values: property("values", []),
      length: property("length", 0),
      item: method("`.item()`", () => 0),
      toArray: method("`.toArray()`", () => []),
      toJSON: method("`JSON.stringify`", () => null),
      toString: method("turning it into text", () => ""),
      [Symbol.iterator]: method("iterating over it", () => [][Symbol.iterator]()),
      [Symbol.toPrimitive]: {
        value(this: Node, hint: string) {
          if (hint === "string") {
            read(this, "turning it into text");
            return "";
          }
          tell(
            this,
            "branch",
            "a tensor was compared or turned into a number (such as `x > 0` or `Number(x)`)",
            BRANCH_REMEDY,
          );
          return 0;
        },
      },
    },
  );
}
