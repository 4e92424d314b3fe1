/** What follows from a kernel's description alone: its sizes, what its arguments are, which operands the grid divides. */
import type { SandboxArgument } from "../abi/sandbox.ts";
import { FoveaError } from "../core/diagnostics.ts";
import type { Dim } from "../core/dim.ts";
import { parseDim } from "../core/dim_text.ts";
import type { AxisPattern, KernelManifest, Pattern } from "./manifest.ts";

/** A name behind `arguments`, and what stands for it. */
export type NamedArgument =
  | { readonly kind: "operand"; readonly name: string }
  | { readonly kind: "output" }
  | { readonly kind: "scratch" }
  | { readonly kind: "size"; readonly name: string }
  | { readonly kind: "attribute"; readonly name: string };

export interface KernelLayout {
  readonly kernel: KernelManifest;
  /** Names of sizes, in the order of their first appearance. */
  readonly sizes: ReadonlySet<string>;
  readonly arguments: readonly NamedArgument[];
  /** How the entry gets them. */
  readonly sandbox: readonly SandboxArgument[];
  readonly scratch: Dim;
  readonly flops: Dim;
  readonly bytes: Dim | undefined;
}

/** The name of a size, without the dots of the leading axes. */
export const sizeName = (axis: AxisPattern): string | undefined =>
  typeof axis === "string" ? axis.replace(/^\.\.\./, "") : undefined;

/** What a pattern names: operands, and attributes that are bound. */
function namesOf(pattern: Pattern, operands: Set<string>, attributes: Set<string>): void {
  if (typeof pattern === "string") operands.add(pattern);
  else if ("op" in pattern) {
    for (const value of Object.values(pattern.attributes ?? {}))
      if (typeof value === "object") attributes.add(value.bind);
    for (const input of pattern.inputs) namesOf(input, operands, attributes);
  }
}

/** @throws FoveaError `invalid_manifest` where parts of a description do not fit together */
export function layoutOf(kernel: KernelManifest, file: string): KernelLayout {
  const problem = (sentence: string): never => {
    throw new FoveaError("invalid_manifest", `In ${file}, the kernel "${kernel.name}" ${sentence}`);
  };
  const shapes: readonly (readonly [string, readonly AxisPattern[]])[] = [
    ...Object.entries(kernel.operands).map(([name, o]) => [name, o.shape] as const),
    ["output", kernel.output],
  ];
  const sizes = new Set<string>();
  for (const [name, shape] of shapes) {
    for (const [i, axis] of shape.entries()) {
      if (typeof axis === "string" && axis.startsWith("...") && i > 0)
        problem(`has the axis "${axis}" inside of the shape of "${name}"; leading axes stand first.`);
      const size = sizeName(axis);
      if (size !== undefined) sizes.add(size);
    }
  }
  const [operands, attributes] = [new Set<string>(), new Set<string>()];
  if (typeof kernel.pattern === "string" || "constant" in kernel.pattern) problem("has a pattern without an op.");
  namesOf(kernel.pattern, operands, attributes);
  const undeclared = [...operands].find((name) => !Object.hasOwn(kernel.operands, name));
  if (undeclared !== undefined) problem(`has the operand "${undeclared}" in its pattern, but not in \`operands\`.`);
  const unused = Object.keys(kernel.operands).find((name) => !operands.has(name));
  if (unused !== undefined) problem(`declares the operand "${unused}", which its pattern does not hold.`);
  const everyName = [...operands, ...sizes, ...attributes, "output", "scratch"];
  const twice = everyName.find((name, i) => everyName.indexOf(name) !== i);
  if (twice !== undefined) problem(`uses the name "${twice}" for two things.`);
  const range = Object.keys(kernel.ranges ?? {}).find((name) => !sizes.has(name));
  if (range !== undefined) problem(`has a range for "${range}", which is no size of its shapes.`);

  const { grid } = kernel;
  if (grid !== undefined) {
    for (const [name, shape] of shapes) {
      if (shape.slice(1).some((axis) => sizeName(axis) === grid))
        problem(
          `divides its grid along "${grid}", which is an inner axis of "${name}"; the axis of a grid stands first.`,
        );
    }
    if (sizeName(kernel.output[0] ?? 0) !== grid)
      problem(`divides its grid along "${grid}", which is not the first axis of its output.`);
  }
  const isSplit = (shape: readonly AxisPattern[]): boolean => grid !== undefined && sizeName(shape[0] ?? 0) === grid;

  const named = kernel.arguments.map((name): NamedArgument => {
    if (name === "output") return { kind: "output" };
    if (name === "scratch") return { kind: "scratch" };
    if (operands.has(name)) return { kind: "operand", name };
    if (sizes.has(name)) return { kind: "size", name };
    if (attributes.has(name)) return { kind: "attribute", name };
    return problem(`has the argument "${name}"; there are ${everyName.join(", ")}.`);
  });
  if (!named.some((a) => a.kind === "output")) problem("does not pass `output` to its entry.");
  const takesScratch = named.some((a) => a.kind === "scratch");
  if (takesScratch !== (kernel.scratch !== undefined)) problem("needs both a `scratch` size and a `scratch` argument.");
  const sandbox = named.map((a): SandboxArgument => {
    if (a.kind === "scratch") return { kind: "scratch" };
    if (a.kind === "operand") {
      const { shape, dtype = "f32", weight = false } = kernel.operands[a.name];
      return { kind: "pointer", mode: "read", split: isSplit(shape), dtype, weight };
    }
    if (a.kind === "output") {
      return { kind: "pointer", mode: "write", split: isSplit(kernel.output), dtype: "f32", weight: false };
    }
    if (a.kind === "size" && a.name === grid) return { kind: "count" };
    return { kind: "word", isAttribute: a.kind === "attribute" };
  });
  const sizeText = (what: string, text: string, names: ReadonlySet<string>): Dim => {
    try {
      return parseDim(text, names);
    } catch (error) {
      return problem(`has a wrong \`${what}\`. ${error instanceof FoveaError ? error.message : String(error)}`);
    }
  };
  const fixed = new Set([...sizes].filter((name) => name !== grid));
  return {
    kernel,
    sizes,
    arguments: named,
    sandbox,
    // One call's scratch cannot follow the grid: the host decides how many items a call gets.
    scratch: kernel.scratch === undefined ? 0 : sizeText("scratch", kernel.scratch, fixed),
    flops: sizeText("flops", kernel.flops, sizes),
    bytes: kernel.bytes === undefined ? undefined : sizeText("bytes", kernel.bytes, sizes),
  };
}
