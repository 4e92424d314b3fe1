/** What configurations may hold: one schema for `createRuntime`, configuration files and the command line. */
import * as v from "valibot";
import { FoveaError } from "../../core/diagnostics.ts";
import { WEIGHT_DTYPES } from "../../core/dtype.ts";
import type { RangeSpec } from "../../core/range.ts";
import { didYouMean, foundText, isObject } from "../check.ts";
import { type GivenPlugin, pluginProblem } from "../registry/plugin_choice.ts";
import type { CompileConfig, CompileSettings, FoveaConfig, Granularity } from "./settings.ts";

/** A value of another kind than `expected`; the place is told by whoever reports it. */
const isNot =
  (expected: string) =>
  ({ input }: v.BaseIssue<unknown>): string =>
    `is ${foundText(input)}; expected ${expected}.`;

/** An object that is no list. */
function object(expected: string) {
  return v.custom<Readonly<Record<string, unknown>>>(
    (value) => isObject(value) && !Array.isArray(value),
    isNot(expected),
  );
}

/**
 * An object with these members alone.
 * @param hint what to do about an unknown name, where more is known than that another name is near
 */
function members<E extends v.ObjectEntries>(
  expected: string,
  entries: E,
  hint: (name: string) => string | undefined = () => undefined,
) {
  const names = Object.keys(entries);
  const checked = v.strictObject(entries, (issue: v.StrictObjectIssue) => {
    if (issue.expected !== "never") return "is missing.";
    const name = String(issue.path?.[0].key);
    return `has no setting "${name}"; it takes ${names.join(", ")}.${hint(name) ?? didYouMean(name, names)}`;
  });
  return v.pipe(object(expected), checked);
}

/** An object with values of one kind under any names. */
function named<S extends v.GenericSchema>(expected: string, value: S) {
  return v.pipe(object(expected), v.record(v.string(), value));
}

const BOOLEAN = v.boolean(isNot("true or false"));
const NAME = v.pipe(v.string(isNot("a name")), v.nonEmpty(isNot("a name")));

function whole(least: number) {
  const expected = isNot(`a whole number >= ${least}`);
  return v.pipe(v.number(expected), v.integer(expected), v.minValue(least, expected));
}

const SIZES = v.array(whole(0), isNot("a list of sizes"));

const INTERVAL = members("an interval such as { min: 1, max: 64 }", {
  min: whole(0),
  max: whole(0),
  multipleOf: v.optional(whole(1)),
});

const RANGE_LIST = members('ranges such as { ends: { batch: [1, 8] } }, or "open"', {
  ends: v.optional(named("ends by symbol, such as { batch: [1, 8] }", SIZES)),
  boxes: v.optional(
    v.array(named("intervals by symbol, such as { batch: { min: 1, max: 8 } }", INTERVAL), isNot("a list of boxes")),
  ),
  exact: v.optional(
    v.array(
      named("sizes by symbol, such as { batch: 1, tokens: 77 }", whole(0)),
      isNot("a list of sizes by symbol, such as [{ batch: 1, tokens: 77 }]"),
    ),
  ),
});

const RANGES = v.lazy((value) => (value === "open" ? v.literal("open") : RANGE_LIST)) satisfies v.GenericSchema<
  unknown,
  RangeSpec
>;

const GRANULARITY = v.custom<Granularity>(
  (value) =>
    value === "op" || value === "block" || value === "tower" || (Number.isInteger(value) && Number(value) >= 2),
  isNot('"op", "block", "tower" or a number of blocks from 2 on'),
);

const SETTINGS = members("settings such as { lazy: true }", {
  enabled: v.optional(BOOLEAN),
  granularity: v.optional(GRANULARITY),
  ranges: v.optional(RANGES),
  dtype: v.optional(v.picklist(WEIGHT_DTYPES, isNot(WEIGHT_DTYPES.map((d) => JSON.stringify(d)).join(" or ")))),
  device: v.optional(NAME),
  target: v.optional(NAME),
  lazy: v.optional(BOOLEAN),
  maxArtifacts: v.optional(whole(1)),
} satisfies Record<keyof CompileSettings, v.GenericSchema>);

const COMPILE_MEMBERS = {
  enabled: v.optional(BOOLEAN),
  base: v.optional(SETTINGS),
  components: v.optional(named('settings by tag, such as { "clip/vision.*": { lazy: true } }', SETTINGS)),
  strict: v.optional(BOOLEAN),
} satisfies Record<keyof CompileConfig, v.GenericSchema>;

const COMPILE = members("an object such as { base: { lazy: true } }", COMPILE_MEMBERS, (name) =>
  name === "compile" ? ' This is the inside of a `compile` section: leave out "compile" around it.' : undefined,
);

/** A plugin made by whichever copy of the package, or where it is found, and what it is trusted with. */
const PLUGIN = v.pipe(
  v.unknown(),
  v.rawCheck(({ dataset, addIssue }) => {
    const problem = pluginProblem(dataset.value);
    if (problem === undefined) return;
    const { member, message } = problem;
    const at = { type: "unknown", origin: "value", input: dataset.value, key: member, value: undefined } as const;
    addIssue({ message, ...(member === undefined ? {} : { path: [at] }) });
  }),
) as unknown as v.GenericSchema<unknown, GivenPlugin>;

const CONFIG = members(
  "an object such as { compile: { base: { lazy: true } } }",
  {
    compile: v.optional(COMPILE),
    plugins: v.optional(v.array(PLUGIN, isNot("a list of plugins"))),
  } satisfies Record<keyof FoveaConfig, v.GenericSchema>,
  (name) =>
    Object.hasOwn(COMPILE_MEMBERS, name)
      ? ` Put "${name}" under \`compile\`, such as { compile: { ${name}: … } }.`
      : undefined,
);

const NAMED = v.array(
  members("a configuration with its name", { name: NAME, config: COMPILE }),
  isNot("a list of configurations with their names"),
);

/** `compile.components["clip/*"].lazy`, `compile[0].name`. */
function pathText(root: string, keys: readonly unknown[]): string {
  return keys.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    const plain = /^[A-Za-z_$][\w$]*$/.test(String(key));
    if (!plain) return `${text}[${JSON.stringify(key)}]`;
    return text === "" ? String(key) : `${text}.${String(key)}`;
  }, root);
}

function check<S extends v.GenericSchema>(schema: S, value: unknown, source: string, root: string): v.InferOutput<S> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const keys = (issue.path ?? []).map((item) => item.key);
  // What is unknown is named by the sentence itself; its place is what holds it.
  const unknown = issue.type === "strict_object" && issue.expected === "never";
  const place = pathText(root, unknown ? keys.slice(0, -1) : keys);
  throw new FoveaError("invalid_options", `${place === "" ? source : `In ${source}, \`${place}\``} ${issue.message}`);
}

/**
 * @param source where it stands, such as `fovea.config.json`
 * @throws FoveaError `invalid_options` with the path, what was found and what was expected
 */
export function checkConfig(value: unknown, source: string): FoveaConfig {
  return check(CONFIG, value, source, "") as FoveaConfig;
}

/** A `compile` section by itself. @throws FoveaError `invalid_options` */
export function checkCompileConfig(value: unknown, source: string): CompileConfig {
  return check(COMPILE, value, source, "compile") as CompileConfig;
}

/** What `createRuntime` takes as `compile`. @throws FoveaError `invalid_options` */
export function checkCompileOption(value: unknown): void {
  check(Array.isArray(value) ? NAMED : COMPILE, value, "the options of createRuntime", "compile");
}
