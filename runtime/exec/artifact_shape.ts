/**
 * What is an artifact among plain data: every field has its type, and every buffer, symbol and step that is named exists.
 * Packs come from strangers: their digests say that bytes are those that were written and not that they make sense.
 */
import { ARTIFACT_FORMAT, type Artifact, type BufferName } from "../abi/artifact.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { DTYPES } from "../core/dtype.ts";

/** Where a value lies: fields and positions from the artifact on. Checks leave it as they found it. */
type Place = (string | number)[];

/** Says what is wrong with a value, by its place. */
type Check = (value: unknown, place: Place) => void;

type Fields = Readonly<Record<string, unknown>>;

/** Most bytes or elements of a buffer that a proof makes up. */
const MOST_ELEMENTS = 2 ** 31;
const BASE64 = /^(?:[A-Za-z\d+/]{4})*(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=)?$/;

const textOf = (place: Place): string =>
  place.map((step, at) => (typeof step === "number" ? `[${step}]` : at === 0 ? step : `.${step}`)).join("");

function within(place: Place, step: string | number, check: Check, value: unknown): void {
  place.push(step);
  check(value, place);
  place.pop();
}

function refuse(place: Place, value: unknown, expected: string): never {
  const found = JSON.stringify(value) ?? "nothing";
  const short = found.length > 60 ? `${found.slice(0, 60)}…` : found;
  throw new FoveaError(
    "invalid_artifact",
    `The artifact makes no sense: ${textOf(place)} is ${short}; expected ${expected}.`,
  );
}

const that =
  (holds: (value: unknown) => boolean, expected: string): Check =>
  (value, place) => {
    if (!holds(value)) refuse(place, value, expected);
  };

const whole = (least: number, most: number = Number.MAX_SAFE_INTEGER): Check =>
  that(
    (v) => Number.isInteger(v) && Number(v) >= least && Number(v) <= most,
    `a whole number from ${least} to ${most}`,
  );
const oneOf = (...names: readonly string[]): Check => that((v) => names.includes(v as string), names.join(", "));

const TEXT = that((v) => typeof v === "string", "a text");
const NUMBER = that((v) => Number.isFinite(v), "a number");
const COUNT = whole(0);
const INTEGER = whole(Number.MIN_SAFE_INTEGER);
const OPERATION = oneOf("floor_div", "mod", "max", "min");

const list =
  (item: Check): Check =>
  (value, place) => {
    if (!Array.isArray(value)) refuse(place, value, "a list");
    for (let at = 0; at < value.length; at++) within(place, at, item, value[at]);
  };

const optional =
  (check: Check): Check =>
  (value, place) => {
    if (value !== undefined) check(value, place);
  };

function isRecord(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function record(fields: Readonly<Record<string, Check>>): Check {
  const entries = Object.entries(fields);
  return (value, place) => {
    if (!isRecord(value)) refuse(place, value, "an object");
    for (const [name, check] of entries) within(place, name, check, value[name]);
  };
}

const values =
  (check: Check): Check =>
  (value, place) => {
    if (!isRecord(value)) refuse(place, value, "an object");
    for (const [name, one] of Object.entries(value)) within(place, name, check, one);
  };

/** First and one behind the last of a row of things. */
const span = (most: number): Check => {
  const expected = `two ascending whole numbers up to ${most}`;
  return that(
    (v) => Array.isArray(v) && v.length === 2 && v.every(Number.isInteger) && v[0] >= 0 && v[0] <= v[1] && v[1] <= most,
    expected,
  );
};

/** A size: a number, or terms of a coefficient and atoms, over these symbols. */
function sizeOver(symbols: ReadonlySet<string>): Check {
  const atom: Check = (value, place) => {
    if (typeof value === "string") {
      if (!symbols.has(value)) refuse(place, value, `a symbol of the range, of ${symbols.size}`);
      return;
    }
    if (!Array.isArray(value) || value.length !== 3) refuse(place, value, "a symbol or an operation with two operands");
    within(place, 0, OPERATION, value[0]);
    within(place, 1, size, value[1]);
    within(place, 2, size, value[2]);
  };
  const size: Check = (value, place) => {
    if (typeof value === "number") return INTEGER(value, place);
    if (!Array.isArray(value)) refuse(place, value, "a size");
    terms(value, place);
  };
  const term: Check = (value, place) => {
    if (!Array.isArray(value)) refuse(place, value, "a coefficient with symbols");
    for (let i = 0; i < value.length; i++) within(place, i, i === 0 ? INTEGER : atom, value[i]);
    if (value.length === 0) refuse(place, value, "a coefficient with symbols");
  };
  const terms = list(term);
  return size;
}

function lengthOf(fields: Fields, name: string, place: Place): number {
  const value = fields[name];
  if (!Array.isArray(value)) refuse([...place, name], value, "a list");
  return value.length;
}

/** Buffers of a step list by their space. */
const buffersOf = (steps: Fields, place: Place): Readonly<Record<string, number>> => ({
  input: lengthOf(steps, "inputs", place),
  output: lengthOf(steps, "outputs", place),
  weight: lengthOf(steps, "weights", place),
  scratch: lengthOf(steps, "slots", place),
});

const SPACE = record({ space: oneOf("input", "output", "weight", "scratch"), index: COUNT });

const named =
  (counts: Readonly<Record<string, number>>): Check =>
  (value, place) => {
    SPACE(value, place);
    const { space, index } = value as BufferName;
    if (index >= counts[space]) refuse([...place, "index"], index, `one of ${counts[space]} ${space} buffers`);
  };

/** Recipes of weights know no sizes but numbers. */
const recipe = (): Check => stepList(new Set());

function stepList(symbols: ReadonlySet<string>): Check {
  const size = sizeOver(symbols);
  const weightFields = record({
    key: TEXT,
    bytes: whole(1),
    dtype: optional(oneOf("f16", "bf16")),
    sources: list(record({ name: TEXT, shape: list(whole(1)) })),
  });
  const port = record({ name: TEXT, dtype: oneOf(...DTYPES), shape: list(size) });
  const weight: Check = (value, place) => {
    weightFields(value, place);
    const { prologue } = value as Fields;
    if (prologue !== undefined) within(place, "prologue", recipe(), prologue);
  };
  return (value, place) => {
    if (!isRecord(value)) refuse(place, value, "a list of steps");
    const buffer = named(buffersOf(value, place));
    const reference: Check = (v, p) => {
      buffer(v, p);
      within(p, "offset", size, (v as Fields).offset);
    };
    const argument: Check = (v, p) => {
      if (!isRecord(v)) refuse(p, v, "a pointer or a size");
      if (v.buffer === undefined) return within(p, "size", size, v.size);
      within(p, "buffer", reference, v.buffer);
      if (v.advance !== undefined) within(p, "advance", size, v.advance);
    };
    const steps = lengthOf(value, "steps", place);
    record({
      inputs: list(port),
      outputs: list(port),
      weights: list(weight),
      slots: list(list(size)),
      steps: list(
        record({
          kernel: TEXT,
          code: that((v) => typeof v === "string" && /^[\da-f]{64}$/.test(v), "the digest of a module"),
          args: list(argument),
          grid: size,
          parts: optional(size),
          flops: size,
          workerScratch: whole(0, MOST_ELEMENTS),
          covers: TEXT,
          reads: list(reference),
          writes: list(reference),
        }),
      ),
      blocks: optional(
        list(record({ steps: span(steps), symbol: oneOf(...symbols), most: whole(1), multiple: whole(1) })),
      ),
    })(value, place);
  };
}

const SEED = whole(0);
const FILLS: Readonly<Record<string, Check>> = {
  uniform: record({ seed: SEED, scale: NUMBER }),
  halves: record({ seed: SEED, scale: NUMBER }),
  index: record({ seed: SEED, below: whole(1) }),
  same: record({ value: whole(-(2 ** 31), 2 ** 31 - 1) }),
  bytes: record({ seed: SEED }),
  mask: record({ seed: SEED, row: whole(1) }),
  offsets: record({ count: COUNT, total: COUNT }),
};

const fill: Check = (value, place) => {
  record({ kind: oneOf(...Object.keys(FILLS)) })(value, place);
  FILLS[(value as { readonly kind: string }).kind](value, place);
};

function expectation(artifact: Fields, symbols: ReadonlySet<string>): Check {
  const buffer = named(buffersOf(artifact, []));
  const runs = list(span(MOST_ELEMENTS));
  const fields = record({
    steps: span(lengthOf(artifact, "steps", [])),
    dims: record(Object.fromEntries([...symbols].map((name) => [name, COUNT]))),
    fills: list(record({ buffer, elements: whole(0, MOST_ELEMENTS), fill, runs: optional(runs) })),
    output: buffer,
    outputType: optional(oneOf("i32", "u8", "f16")),
    width: whole(1, MOST_ELEMENTS),
    rows: list(COUNT),
    columns: list(COUNT),
    values: that((v) => typeof v === "string" && BASE64.test(v), "numbers in base64"),
    items: optional(list(span(MOST_ELEMENTS))),
    tolerance: NUMBER,
  });
  return (value, place) => {
    fields(value, place);
    const { rows, columns, values: text } = value as { rows: unknown[]; columns: unknown[]; values: string };
    const wanted = 4 * Math.ceil((4 * rows.length * columns.length) / 3);
    if (text.length !== wanted) refuse([...place, "values"], text, `${wanted} characters for ${rows.length} rows`);
  };
}

/** @throws FoveaError `invalid_artifact` with the first place that makes no sense */
export function checkArtifact(value: unknown): asserts value is Artifact {
  record({
    format: that((v) => v === ARTIFACT_FORMAT, String(ARTIFACT_FORMAT)),
    target: TEXT,
    box: values(record({ min: COUNT, max: COUNT })),
    peakBytes: NUMBER,
    indices: oneOf("proven", "checked"),
    requires: list(TEXT),
  })(value, []);
  const artifact = value as Fields;
  const symbols = new Set(Object.keys(artifact.box as Fields));
  stepList(symbols)(artifact, []);
  list(expectation(artifact, symbols))(artifact.expectations, ["expectations"]);
}
