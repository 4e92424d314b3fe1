/** Reading `config.json`: typed fields with defaults; every error names the field, what it holds and what was expected. */
import { FoveaError } from "../core/diagnostics.ts";

/** Bounds of a number in a configuration, inclusive. */
export interface NumberBounds {
  /** Least number; no bound unless given. */
  readonly min?: number;
  /** Largest number; no bound unless given. */
  readonly max?: number;
}

/**
 * Fields of one JSON object. A field that is absent or `null` takes the fallback; without a fallback it is required.
 * All functions that read one throw FoveaError `invalid_config`.
 */
export interface ConfigReader {
  /** True for a field that is there and not `null`. */
  has(field: string): boolean;
  /** A finite number. */
  number(field: string, fallback?: number, bounds?: NumberBounds): number;
  /** A whole number. */
  integer(field: string, fallback?: number, bounds?: NumberBounds): number;
  /** `true` or `false`. */
  boolean(field: string, fallback?: boolean): boolean;
  /** A text, which may be empty. */
  string(field: string, fallback?: string): string;
  /** One of the given texts. */
  oneOf(field: string, known: readonly string[], fallback?: string): string;
  /** A list of texts, which may be empty. */
  strings(field: string, fallback?: readonly string[]): readonly string[];
  /** Whole numbers. */
  integers(field: string, fallback?: readonly number[], bounds?: NumberBounds): readonly number[];
  /**
   * A reader over the object in a field, which is required; its errors name both, as in `vision_config.hidden_size`.
   */
  object(field: string): ConfigReader;
  /**
   * The error, to be thrown, about a field whose value has the right type and makes no sense.
   * @param expected ends the sentence, as in `a divisor of hidden_size 768`
   */
  error(field: string, expected: string): FoveaError;
}

const isObject = (v: unknown): v is Readonly<Record<string, unknown>> =>
  typeof v === "object" && v !== null && !Array.isArray(v);

const TEXT_LIMIT = 60;

function valueText(value: unknown): string {
  if (value === undefined || value === null) return "is absent";
  const text = JSON.stringify(value) ?? String(value);
  return `holds ${text.length > TEXT_LIMIT ? `${text.slice(0, TEXT_LIMIT)}...` : text}`;
}

function boundsText({ min, max }: NumberBounds): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  if (min !== undefined) return ` of at least ${min}`;
  return max === undefined ? "" : ` of at most ${max}`;
}

/**
 * A reader over parsed JSON. `path` is the field that holds it, empty for the whole file.
 * @throws FoveaError `invalid_config` when it is no object.
 */
export function createConfigReader(config: unknown, path = "", file = "config.json"): ConfigReader {
  if (!isObject(config)) {
    const what = path === "" ? `${file} must be a JSON object` : `${file}: the field \`${path}\` must be an object`;
    throw new FoveaError("invalid_config", `${what}; it ${valueText(config)}.`);
  }
  const full = (field: string): string => (path === "" ? field : `${path}.${field}`);
  const error = (field: string, expected: string): FoveaError =>
    new FoveaError(
      "invalid_config",
      `${file}: the field \`${full(field)}\` ${valueText(config[field])}; expected ${expected}.`,
    );
  const has = (field: string): boolean => config[field] !== undefined && config[field] !== null;
  const read = <T>(
    field: string,
    fallback: T | undefined,
    expected: string,
    fits: (value: unknown) => value is T,
  ): T => {
    if (!has(field) && fallback !== undefined) return fallback;
    const value = config[field];
    if (!fits(value)) throw error(field, expected);
    return value;
  };
  const fitting =
    ({ min = -Infinity, max = Infinity }: NumberBounds, whole: boolean) =>
    (v: unknown): v is number =>
      typeof v === "number" && (whole ? Number.isSafeInteger(v) : Number.isFinite(v)) && v >= min && v <= max;
  const numeric = (field: string, fallback: number | undefined, bounds: NumberBounds, whole: boolean): number =>
    read(field, fallback, `a ${whole ? "whole " : ""}number${boundsText(bounds)}`, fitting(bounds, whole));
  return {
    has,
    error,
    number: (field, fallback, bounds = {}) => numeric(field, fallback, bounds, false),
    integer: (field, fallback, bounds = {}) => numeric(field, fallback, bounds, true),
    boolean: (field, fallback) => read(field, fallback, "true or false", (v) => typeof v === "boolean"),
    string: (field, fallback) => read(field, fallback, "a text", (v) => typeof v === "string"),
    oneOf: (field, known, fallback) =>
      read(
        field,
        fallback,
        `one of ${known.join(", ")}`,
        (v): v is string => typeof v === "string" && known.includes(v),
      ),
    strings: (field, fallback) =>
      read(
        field,
        fallback,
        "a list of texts",
        (v): v is readonly string[] => Array.isArray(v) && v.every((s) => typeof s === "string"),
      ),
    integers: (field, fallback, bounds = {}) =>
      read(
        field,
        fallback,
        `a list of whole numbers${boundsText(bounds)}`,
        (v): v is readonly number[] => Array.isArray(v) && v.every(fitting(bounds, true)),
      ),
    object: (field) => createConfigReader(config[field], full(field), file),
  };
}
