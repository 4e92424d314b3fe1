/** Checks of what callers give: those without types make typing mistakes too. */
import { FoveaError, nearest } from "../core/diagnostics.ts";
import type { CallOptions } from "../exec/forward_context.ts";

/** What a value must be, in words, and whether one is. */
export interface Expected {
  readonly text: string;
  readonly holds: (value: unknown) => boolean;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

const hasMethod = (value: unknown, name: string): boolean => isObject(value) && typeof value[name] === "function";

export const TEXT: Expected = { text: "a text", holds: (v) => typeof v === "string" && v !== "" };
export const FUNCTION: Expected = { text: "a function", holds: (v) => typeof v === "function" };
/** An object with names of its own, no list. */
export const OBJECT: Expected = { text: "an object", holds: (v) => isObject(v) && !Array.isArray(v) };
export const SIGNAL: Expected = { text: "an AbortSignal", holds: (v) => hasMethod(v, "throwIfAborted") };
export const TEXTS: Expected = {
  text: "a list of names",
  holds: (v) => Array.isArray(v) && v.length > 0 && v.every(TEXT.holds),
};

export function oneOf(...values: readonly string[]): Expected {
  return { text: values.map((v) => JSON.stringify(v)).join(" or "), holds: (v) => values.includes(v as string) };
}

/** An object that has all these methods. */
export function withMethods(text: string, ...names: readonly string[]): Expected {
  return { text, holds: (v) => names.every((n) => hasMethod(v, n)) };
}

export const BOOLEAN: Expected = { text: "true or false", holds: (v) => typeof v === "boolean" };

const STORE = withMethods("a store", "get", "put", "delete");

/** Where something is kept. */
export const CACHE: Expected = {
  text: "a folder's path, a store (get, put and delete), or false",
  holds: (v) => v === false || TEXT.holds(v) || STORE.holds(v),
};

/** What every call takes. */
export const CALL_OPTIONS: Readonly<Record<keyof CallOptions, Expected>> = {
  signal: SIGNAL,
  requestId: TEXT,
  deadline: {
    text: "a number of milliseconds from now, or a Date",
    holds: (v) => (v instanceof Date ? !Number.isNaN(v.getTime()) : typeof v === "number" && v >= 0),
  },
  trace: withMethods("a trace sink with a method `span`", "span"),
};

const isBytes = (v: unknown): boolean => v instanceof Uint8Array || v instanceof Uint8ClampedArray;

/** Arrays of a caller's tensors, by type. */
const ARRAYS: Readonly<Record<string, Expected>> = {
  f32: { text: "a Float32Array", holds: (v) => v instanceof Float32Array },
  i32: { text: "an Int32Array", holds: (v) => v instanceof Int32Array },
  u8: { text: "a Uint8Array", holds: isBytes },
  bool: { text: "a Uint8Array", holds: isBytes },
};

const sizeText = (size: unknown): string => (typeof size === "bigint" ? `${size}n` : foundText(size));

/** What is wrong with the sizes of a caller's tensor, as the rest of a sentence. */
export function shapeProblem(shape: readonly unknown[]): string | undefined {
  if (shape.every((n) => Number.isSafeInteger(n) && (n as number) >= 0)) return undefined;
  return `has the shape [${shape.map(sizeText).join(", ")}]; sizes are whole numbers from 0.`;
}

/** What is wrong with a tensor of a caller, as the rest of a sentence; nothing where its parts fit together but for the length. */
export function tensorProblem(value: unknown): string | undefined {
  if (!isObject(value) || !Array.isArray(value.shape) || value.data === undefined)
    return `must be a tensor { dtype, shape, data } whose shape is a list of sizes, found ${foundText(value)}.`;
  const { dtype, shape, data } = value as { dtype: unknown; shape: readonly unknown[]; data: unknown };
  const unfit = shapeProblem(shape);
  if (unfit !== undefined) return unfit;
  const array = Object.hasOwn(ARRAYS, String(dtype)) ? ARRAYS[String(dtype)] : undefined;
  if (array === undefined) return `has type ${String(dtype)}; expected one of ${Object.keys(ARRAYS).join(", ")}.`;
  if (!array.holds(data))
    return `has type ${String(dtype)} and its values in ${foundText(data)}; expected ${array.text}.`;
  return undefined;
}

/** A value for a message: short, and never its contents. */
export function foundText(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") return "a function";
  if (Array.isArray(value)) {
    const empty = value.findIndex((v) => v === undefined || v === "");
    return value.length === 0 ? "an empty list" : empty < 0 ? "a list" : `a list with nothing at position ${empty}`;
  }
  if (!isObject(value)) return String(value);
  const name = value.constructor?.name;
  return name === undefined || name === "Object" ? "an object" : `an object of type ${name}`;
}

/** What was thrown, as the end of a sentence. */
export const thrownText = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/\.?$/, ".");

/** ` Did you mean "x"?` where a known word is near, else nothing. */
export function didYouMean(word: string, words: Iterable<string>): string {
  const meant = nearest(word, words);
  return meant === undefined ? "" : ` Did you mean "${meant}"?`;
}

/**
 * @param of whose options they are, such as `createRuntime`
 * @throws FoveaError `invalid_options` for a name that is not known and for a value that is not as expected
 */
export function checkOptions(of: string, options: unknown, known: Readonly<Record<string, Expected>>): void {
  if (!isObject(options) || Array.isArray(options)) {
    throw new FoveaError("invalid_options", `The options of ${of} must be an object; found ${foundText(options)}.`);
  }
  for (const [name, value] of Object.entries(options)) {
    const names = Object.keys(known);
    if (!Object.hasOwn(known, name)) {
      throw new FoveaError(
        "invalid_options",
        `${of} has no option "${name}"; it takes ${names.join(", ")}.${didYouMean(name, names)}`,
      );
    }
    if (value === undefined || known[name].holds(value)) continue;
    throw new FoveaError(
      "invalid_options",
      `The option \`${name}\` of ${of} is ${foundText(value)}; expected ${known[name].text}.`,
    );
  }
}
