/** `plugin.json`: the published description of a plugin of foreign kernels, checked by one schema. */
import * as v from "valibot";
import { ISOLATIONS, type Isolation } from "../abi/isolation.ts";
import { ABI_VERSION } from "../abi/plugin.ts";
import { FoveaError, nearest } from "../core/diagnostics.ts";
import type { Feature } from "./binary/opcodes.ts";

/** An attribute must equal a value, or gets a name by which `arguments` may pass it on. */
export type AttributePattern = number | string | boolean | { readonly bind: string };

export interface OpPattern {
  readonly op: string;
  readonly inputs: readonly Pattern[];
  readonly attributes?: Readonly<Record<string, AttributePattern>>;
}

/** An operand by its name, a constant, or an op over patterns. */
export type Pattern = string | { readonly constant: number } | OpPattern;

/** A name of a size, a number, or `...name` as the first: the product of all leading axes. */
export type AxisPattern = string | number;

export interface OperandPattern {
  readonly dtype?: "f32" | "i32" | "u8";
  readonly shape: readonly AxisPattern[];
  /** True takes only what depends on weights alone. */
  readonly weight?: boolean;
}

export interface SizeRange {
  readonly min?: number;
  readonly max?: number;
  readonly multipleOf?: number;
}

export interface KernelManifest {
  readonly name: string;
  readonly entry: string;
  readonly pattern: Pattern;
  readonly operands: Readonly<Record<string, OperandPattern>>;
  readonly output: readonly AxisPattern[];
  readonly ranges?: Readonly<Record<string, SizeRange>>;
  readonly grid?: string;
  readonly arguments: readonly string[];
  readonly scratch?: string;
  readonly flops: string;
  readonly bytes?: string;
  readonly numerics?: "f32";
  readonly vectors?: readonly TestVector[];
}

export interface BuildManifest {
  readonly features: readonly Feature[];
  readonly file: string;
  readonly sha256: string;
}

/** Glue that jco wrote ahead, and the core modules that it links, by the names of their files. */
export interface LinkedManifest {
  readonly glue: Omit<BuildManifest, "features">;
  readonly cores: readonly Omit<BuildManifest, "features">[];
  /** Interfaces that it asks the host for. */
  readonly imports: readonly string[];
}

export interface ComponentBuildManifest extends BuildManifest {
  /** Of components that the lean loader does not take, where `fovea plugin build` linked them ahead. */
  readonly linked?: LinkedManifest;
}

interface CommonManifest {
  readonly name: string;
  readonly version: string;
  readonly abi: number;
  readonly description?: string;
  readonly license?: string;
  /** What it asks for; more trust than the default has only a user gives. */
  readonly isolation?: Isolation;
}

/** Core modules, and what they can do. */
export interface ModuleManifest extends CommonManifest {
  readonly form: "wasm";
  readonly builds: readonly BuildManifest[];
  readonly memory: { readonly reserved: number };
  readonly kernels: readonly KernelManifest[];
}

/** Values of a test: what a kernel gets, and what it is to compute. */
export interface TestVector {
  readonly operands: Readonly<Record<string, TestTensor>>;
  /** Of names that the pattern binds. */
  readonly attributes?: Readonly<Record<string, number>>;
  readonly output: TestTensor;
}

export interface TestTensor {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** Components of the world `fovea:kernel`, which say themselves what they can do. */
export interface ComponentManifest extends CommonManifest {
  readonly form: "component";
  readonly builds: readonly ComponentBuildManifest[];
}

export type PluginManifest = ModuleManifest | ComponentManifest;

const found = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
};

/** The end of a message about a value that is not what was expected. */
export const isNot =
  (expected: string): ((issue: v.BaseIssue<unknown>) => string) =>
  ({ input }: v.BaseIssue<unknown>): string =>
    `is ${found(input)}; expected ${expected}.`;

/** What is no list: libraries take lists for objects. */
const isNoList = (expected: string) => v.custom<object>((value) => !Array.isArray(value), isNot(expected));

/** An object with values of one kind under names of one kind. */
export function record(name: v.GenericSchema<string>, value: v.GenericSchema, expected: string): v.GenericSchema {
  return v.pipe(isNoList(expected), v.record(name, value, isNot(expected)));
}

/** An object with these members and no others. */
export function members<T = unknown>(expected: string, entries: v.ObjectEntries): v.GenericSchema<T> {
  const names = Object.keys(entries);
  const schema = v.strictObject(entries, (issue: v.StrictObjectIssue) => {
    if (issue.expected === "Object") return isNot(expected)(issue);
    const name = String(issue.path?.[0].key);
    if (issue.expected !== "never") return "is missing.";
    const meant = nearest(name, names);
    return `has no member "${name}"; it takes ${names.join(", ")}.${meant === undefined ? "" : ` Did you mean "${meant}"?`}`;
  });
  return v.pipe(isNoList(expected), schema) as unknown as v.GenericSchema<T>;
}

export function text(expected: string, pattern: RegExp): v.GenericSchema<string> {
  return v.pipe(v.string(isNot(expected)), v.regex(pattern, isNot(expected)));
}

export function whole(least: number, most: number): v.GenericSchema<number> {
  const expected = isNot(`a whole number from ${least} to ${most}`);
  return v.pipe(v.number(expected), v.integer(expected), v.minValue(least, expected), v.maxValue(most, expected));
}

const LARGEST = 0x7fffffff;
export const NAME: v.GenericSchema<string> = text(
  "a name of letters, digits and _ that begins with a letter",
  /^[A-Za-z]\w{0,63}$/,
);
export const SIZE: v.GenericSchema<string> = text("a size such as 4 * rows * width", /\S/);
const SHAPE = v.array(
  v.union(
    [text("a name", /^(\.\.\.)?[A-Za-z]\w{0,63}$/), whole(1, LARGEST)],
    isNot("names of sizes and numbers, such as width, 64, or ...rows as the first"),
  ),
  isNot('a shape such as ["...rows", "width"]'),
);

/** Deepest nesting of a description: two for each op of a pattern. */
const DEEPEST = 64;

/** How deep a value nests; counts no further than is allowed. */
const depthOf = (value: unknown, left: number = DEEPEST + 1): number =>
  left === 0 || typeof value !== "object" || value === null
    ? 0
    : 1 + Object.values(value).reduce<number>((most, inner) => Math.max(most, depthOf(inner, left - 1)), 0);

const PATTERN: v.GenericSchema<Pattern> = v.lazy((value) => {
  if (typeof value === "string") return NAME;
  if (typeof value === "object" && value !== null && "constant" in value) {
    return members<Pattern>('{ "constant": 0.5 }', { constant: v.number(isNot("a number")) });
  }
  return members<Pattern>('an operand\'s name, { "constant": … } or { "op": "gelu", "inputs": [ … ] }', {
    op: text("an op such as matmul", /^[a-z][\w/@.-]{0,63}$/),
    inputs: v.array(PATTERN, isNot("a list of patterns")),
    attributes: v.optional(
      record(
        v.string(),
        v.union(
          [v.number(), v.string(), v.boolean(), members('{ "bind": "eps" }', { bind: NAME })],
          isNot('a number, a text, true, false or { "bind": "name" }; attributes that are lists are left out'),
        ),
        "attributes by name",
      ),
    ),
  });
});

const TENSOR = members('values such as { "shape": [2], "data": [0.5, 1] }', {
  shape: v.array(whole(1, LARGEST), isNot("a list of sizes")),
  data: v.array(v.number(isNot("a number")), isNot("a list of numbers")),
});

/** Members of an operand. */
export const OPERAND_ENTRIES: v.ObjectEntries = {
  dtype: v.optional(v.picklist(["f32", "i32", "u8"], isNot('"f32", "i32" or "u8"'))),
  shape: SHAPE,
  weight: v.optional(v.boolean(isNot("true or false"))),
};

/** Members of a kernel in every form. */
export const KERNEL_ENTRIES: v.ObjectEntries = {
  name: NAME,
  pattern: PATTERN,
  output: SHAPE,
  ranges: v.optional(
    record(
      NAME,
      members('an interval such as { "min": 1, "max": 4096 }', {
        min: v.optional(whole(0, LARGEST)),
        max: v.optional(whole(1, LARGEST)),
        multipleOf: v.optional(whole(1, LARGEST)),
      }),
      "intervals by size",
    ),
  ),
  grid: v.optional(NAME),
  flops: SIZE,
  bytes: v.optional(SIZE),
  numerics: v.optional(v.literal("f32", isNot('"f32", the only class there is'))),
  vectors: v.optional(
    v.array(
      members("a test vector", {
        operands: record(NAME, TENSOR, "values by operand"),
        attributes: v.optional(record(NAME, v.number(isNot("a number")), "numbers by attribute")),
        output: TENSOR,
      }),
      isNot("a list of test vectors"),
    ),
  ),
};

const KERNEL = members("a kernel", {
  ...KERNEL_ENTRIES,
  entry: text("the name of an exported function", /^[\w.$]{1,64}$/),
  operands: record(
    NAME,
    members('an operand such as { "shape": ["...rows", "width"] }', OPERAND_ENTRIES),
    "operands by name",
  ),
  arguments: v.array(NAME, isNot("names of operands, sizes, attributes, output and scratch, in order")),
  scratch: v.optional(SIZE),
});

const FEATURE = v.picklist(["simd128", "relaxed-simd"] as const, isNot('"simd128" or "relaxed-simd"'));

/** Members of a description in every form. */
export const PLUGIN_ENTRIES: v.ObjectEntries = {
  $schema: v.optional(v.string(isNot("a text"))),
  name: text("a package name such as @acme/fast-norm", /^(@[a-z0-9][\w.-]*\/)?[a-z0-9][\w.-]*$/),
  version: text("a semantic version such as 1.0.0", /^\d+\.\d+\.\d+/),
  abi: v.number(isNot(`the number of the contract, ${ABI_VERSION}`)),
  description: v.optional(v.string(isNot("a text"))),
  license: v.optional(v.string(isNot("a text"))),
};

const FORM = isNot(
  '"wasm", core WebAssembly modules, "component", components of the world fovea:kernel, or "wgsl", shaders for WebGPU',
);

const INSIDE = "a file inside of the plugin's folder";
const WASM = /^(?!\/)(?!.*\.\.)[\w./-]+\.wasm$/;
const SHA256 = text("64 hexadecimal digits", /^[0-9a-f]{64}$/);

const BUILT = {
  ...PLUGIN_ENTRIES,
  isolation: v.optional(v.picklist(ISOLATIONS, isNot(ISOLATIONS.map((i) => JSON.stringify(i)).join(" or ")))),
};

const BUILD = { features: v.array(FEATURE, isNot("a list of features")), file: text(INSIDE, WASM), sha256: SHA256 };

const builds = (entries: v.ObjectEntries) =>
  v.pipe(
    v.array(members("a build", entries), isNot("a list of builds")),
    v.minLength(1, "holds no build; one is needed."),
  );

const LINKED = members("what `fovea plugin build` linked ahead", {
  glue: members("a file with its digest", {
    file: text(INSIDE, /^(?!\/)(?!.*\.\.)[\w./-]+\.js$/),
    sha256: SHA256,
  }),
  cores: v.array(
    members("a file with its digest", { file: text(INSIDE, WASM), sha256: SHA256 }),
    isNot("a list of core modules"),
  ),
  imports: v.array(text("an interface", /^[\w:/.@-]+$/), isNot("a list of interfaces")),
});

const MODULES = members("the description of a plugin", {
  ...BUILT,
  builds: builds(BUILD),
  form: v.literal("wasm", FORM),
  memory: members('{ "reserved": 66560 }', { reserved: whole(0, 16 << 20) }),
  kernels: v.pipe(v.array(KERNEL, isNot("a list of kernels")), v.minLength(1, "holds no kernel; one is needed.")),
});

const COMPONENTS = members("the description of a plugin", {
  ...BUILT,
  builds: builds({ ...BUILD, linked: v.optional(LINKED) }),
  form: v.literal("component", FORM),
});

function placeText(keys: readonly unknown[]): string {
  return keys.reduce<string>(
    (place, key) =>
      typeof key === "number" ? `${place}[${key}]` : place === "" ? String(key) : `${place}.${String(key)}`,
    "",
  );
}

/** @throws FoveaError `invalid_manifest` with the place, what was found and what was expected */
function checked<T>(schema: v.GenericSchema, value: unknown, file: string): T {
  if (depthOf(value) > DEEPEST)
    throw new FoveaError("invalid_manifest", `${file} nests more than ${DEEPEST} deep; patterns are smaller.`);
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output as T;
  const [issue] = result.issues;
  const keys = (issue.path ?? []).map((item) => item.key);
  const unknown = issue.type === "strict_object" && issue.expected === "never";
  const place = placeText(unknown ? keys.slice(0, -1) : keys);
  throw new FoveaError("invalid_manifest", `${place === "" ? file : `In ${file}, \`${place}\``} ${issue.message}`);
}

/** Checks one kernel's description, which a component gave. @throws FoveaError `invalid_manifest` */
export function checkKernel(value: unknown, file: string): KernelManifest {
  return checked(KERNEL, value, file);
}

/** Holds a description against a schema. @throws FoveaError `invalid_manifest`, `unsupported_abi` */
export function checkDescription<T extends { readonly abi: number }>(
  schema: v.GenericSchema,
  value: unknown,
  file: string,
): T {
  const manifest = checked<T>(schema, value, file);
  if (manifest.abi !== ABI_VERSION) {
    throw new FoveaError(
      "unsupported_abi",
      `${file} was written for abi ${manifest.abi}; this fovea speaks abi ${ABI_VERSION}. Install a matching version of the plugin.`,
    );
  }
  return manifest;
}

/**
 * Checks what a `plugin.json` of modules or components holds.
 * @param file its name, for messages
 * @throws FoveaError `invalid_manifest` with the place, what was found and what was expected; `unsupported_abi`
 */
export function checkManifest(value: unknown, file: string): PluginManifest {
  const isComponent = typeof value === "object" && value !== null && "form" in value && value.form === "component";
  return checkDescription(isComponent ? COMPONENTS : MODULES, value, file);
}
