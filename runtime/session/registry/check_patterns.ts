/** Patterns of described kernels, held against the ops that they name: what no node can have would match nothing. */
import { FoveaError } from "../../core/diagnostics.ts";
import type { KernelLayout } from "../../foreign/layout.ts";
import type { AttributePattern, OpPattern, Pattern } from "../../foreign/manifest.ts";
import { type AttributeKind, OP_ATTRIBUTES } from "../../ir/op_attributes.ts";
import { didYouMean } from "../check.ts";

const KIND_TEXTS: Readonly<Record<AttributeKind, string>> = {
  ...{ number: "numbers", boolean: "true or false", text: "texts", list: "lists" },
};

const TYPES: Readonly<Record<AttributeKind, string>> = {
  ...{ number: "number", boolean: "boolean", text: "string", list: "object" },
};

/** Attributes of an op of fovea's own; those of plugins' ops are known to their plugins alone. */
const kindsOf = (op: string): Readonly<Record<string, AttributeKind>> | undefined =>
  Object.hasOwn(OP_ATTRIBUTES, op) ? OP_ATTRIBUTES[op as keyof typeof OP_ATTRIBUTES] : undefined;

/** What is wrong with an attribute of a pattern, as the rest of a sentence. */
function attributeProblem(op: string, name: string, wanted: AttributePattern): string | undefined {
  const kinds = kindsOf(op);
  if (kinds === undefined) return undefined;
  const names = Object.keys(kinds);
  if (!Object.hasOwn(kinds, name)) {
    const there = names.length === 0 ? "it has none" : `it has ${names.join(", ")}`;
    return `names the attribute "${name}" of "${op}", which that op does not have; ${there}.${didYouMean(name, names)}`;
  }
  const kind = kinds[name];
  if (kind === "list")
    return `names the attribute "${name}" of "${op}", whose values are lists, which no pattern can hold; leave it out, and match by the shapes of operands and output.`;
  if (typeof wanted !== "object" && typeof wanted !== TYPES[kind])
    return `wants ${JSON.stringify(wanted)} as the attribute "${name}" of "${op}", whose values are ${KIND_TEXTS[kind]}.`;
  return undefined;
}

const opsIn = (pattern: Pattern): readonly OpPattern[] =>
  typeof pattern === "object" && "op" in pattern ? [pattern, ...pattern.inputs.flatMap(opsIn)] : [];

/** @throws FoveaError `invalid_manifest` for attributes that the ops of a pattern do not have, or not with such values */
export function checkPatterns(layouts: readonly KernelLayout[], file: string): void {
  for (const { kernel } of layouts) {
    for (const { op, attributes = {} } of opsIn(kernel.pattern)) {
      for (const [name, wanted] of Object.entries(attributes)) {
        const problem = attributeProblem(op, name, wanted);
        if (problem !== undefined)
          throw new FoveaError("invalid_manifest", `In ${file}, the kernel "${kernel.name}" ${problem}`);
      }
    }
  }
}
