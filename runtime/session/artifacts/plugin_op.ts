/** Ops of plugins, held against the contract where they are asked: what is wrong names the plugin, the op and its function. */

import { FoveaError } from "../../core/diagnostics.ts";
import { shapeEquals } from "../../core/dim.ts";
import { DTYPE_BYTES } from "../../core/dtype.ts";
import { RangeSplit } from "../../ir/comparisons.ts";
import type { Inferred, Node, OpKind, OpRow } from "../../ir/node.ts";
import { typeText } from "../../ir/print.ts";
import { foundText, isObject, thrownText } from "../check.ts";

const KINDS: Readonly<Record<OpKind, true>> = {
  ...{ source: true, elementwise: true, view: true, reduction: true },
  ...{ normalization: true, contraction: true, index: true, assembly: true },
};

const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 0;
/** A size, or an expression over symbols. */
const isSize = (value: unknown): boolean => isCount(value) || (isObject(value) && !Array.isArray(value));

const isInferred = (value: unknown): value is Inferred =>
  isObject(value) &&
  Object.hasOwn(DTYPE_BYTES, String(value.dtype)) &&
  Array.isArray(value.shape) &&
  value.shape.every(isSize);

const isNode = (value: unknown): value is Node => isObject(value) && typeof value.op === "string" && "inputs" in value;

/**
 * The op with an `infer` and an `expand` that are checked whenever they are called.
 * @throws FoveaError `invalid_plugin` for a row that is none
 */
export function pluginOp(plugin: string, op: string, row: OpRow): OpRow {
  const problem = (sentence: string, cause?: unknown): FoveaError =>
    new FoveaError("invalid_plugin", `The op "${op}" of plugin "${plugin}" cannot be used: ${sentence}`, { cause });
  if (!isObject(row)) throw problem(`it is ${foundText(row)}; expected { kind, arity, infer, expand }.`);
  const { kind, arity, infer, expand } = row;
  if (!Object.hasOwn(KINDS, String(kind)))
    throw problem(`its \`kind\` is ${foundText(kind)}; expected one of ${Object.keys(KINDS).join(", ")}.`);
  if (!Array.isArray(arity) || arity.length !== 2 || !arity.every(isCount))
    throw problem(`its \`arity\` is ${foundText(arity)}; expected its fewest and most inputs, such as [1, 2].`);
  if (typeof infer !== "function") throw problem(`its \`infer\` is ${foundText(infer)}; expected a function.`);
  if (expand !== undefined && typeof expand !== "function")
    throw problem(`its \`expand\` is ${foundText(expand)}; expected a function, or nothing.`);
  const called = <T>(what: string, call: () => T): T => {
    try {
      return call();
    } catch (error) {
      if (error instanceof RangeSplit) throw error;
      if (error instanceof FoveaError)
        throw error.adding(`This is in the \`${what}\` of "${op}" of plugin "${plugin}".`);
      throw problem(`its \`${what}\` threw: ${thrownText(error)}`, error);
    }
  };
  const checkedInfer: OpRow["infer"] = (inputs, attributes) => {
    const found: unknown = called("infer", () => infer(inputs, attributes));
    if (typeof found === "string" || isInferred(found)) return found;
    throw problem("its `infer` gives no { shape, dtype }, nor a sentence that says what is wrong with its inputs.");
  };
  if (expand === undefined) return { ...row, infer: checkedInfer };
  return {
    ...row,
    infer: checkedInfer,
    expand: (inputs, attributes, make) => {
      const found: unknown = called("expand", () => expand(inputs, attributes, make));
      const wanted = checkedInfer(inputs, attributes);
      if (!isNode(found))
        throw problem("its `expand` gives no node; expected one that `make` made, or one of its inputs.");
      if (typeof wanted !== "string" && (found.dtype !== wanted.dtype || !shapeEquals(found.shape, wanted.shape)))
        throw problem(
          `its \`expand\` gives ${typeText(found)}, but its \`infer\` says ${typeText({ ...found, ...wanted })}; both are one value.`,
        );
      return found;
    },
  };
}
