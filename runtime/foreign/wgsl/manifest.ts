/** `plugin.json` of a bundle of WGSL: shaders and what they may touch, no host code. */
import * as v from "valibot";
import {
  checkDescription,
  isNot,
  KERNEL_ENTRIES,
  type KernelManifest,
  members,
  NAME,
  OPERAND_ENTRIES,
  type OperandPattern,
  PLUGIN_ENTRIES,
  record,
  SIZE,
  text,
  whole,
} from "../manifest.ts";

/** A binding of group 0, and what it is: the result, an operand, or words in the order of a struct's members. */
export type BindingManifest =
  | { readonly binding: number; readonly role: "output" }
  | { readonly binding: number; readonly role: "operand"; readonly of: string }
  | { readonly binding: number; readonly role: "sizes"; readonly of: readonly string[] };

/** A file with an entry, and how it is launched. */
export interface ShaderManifest {
  readonly file: string;
  readonly sha256: string;
  readonly entry: string;
  readonly bindings: readonly BindingManifest[];
  /** Override constants: sizes as text that have one value in a compile range, or bound attributes. */
  readonly overrides?: Readonly<Record<string, string>>;
  /** Workgroups along x, y and z, as sizes. */
  readonly dispatch: readonly string[];
}

/** A shader that writes a weight in another layout, once, when it is loaded: its operand is `source`. */
export interface PrepackManifest extends ShaderManifest {
  /** Numbers that it writes. */
  readonly elements: string;
}

export interface ShaderKernelManifest
  extends Omit<KernelManifest, "entry" | "arguments" | "scratch" | "operands">,
    ShaderManifest {
  readonly operands: Readonly<Record<string, OperandPattern & { readonly prepack?: PrepackManifest }>>;
}

export interface BundleManifest {
  readonly name: string;
  readonly version: string;
  readonly abi: number;
  readonly form: "wgsl";
  readonly description?: string;
  readonly license?: string;
  readonly requires?: {
    readonly features?: readonly string[];
    readonly limits?: Readonly<Record<string, number>>;
    readonly dialect?: readonly string[];
  };
  readonly kernels: readonly ShaderKernelManifest[];
}

const WORDS = v.array(text("a name", /^[a-z][\w-]{0,63}$/), isNot("a list of names"));

const BINDINGS: Readonly<Record<string, v.ObjectEntries>> = {
  output: {},
  operand: { of: NAME },
  sizes: { of: v.array(NAME, isNot("names of sizes and attributes, in the order of the struct's members")) },
};

const BINDING = v.lazy((value) => {
  const role = typeof value === "object" && value !== null && "role" in value ? String(value.role) : "";
  return members('{ "binding": 0, "role": "output" }', {
    binding: whole(0, 15),
    role: v.picklist(Object.keys(BINDINGS), isNot('"output", "operand" or "sizes"')),
    ...(Object.hasOwn(BINDINGS, role) ? BINDINGS[role] : {}),
  });
});

const SHADER = {
  file: text("a file inside of the plugin's folder", /^(?!\/)(?!.*\.\.)[\w./-]+\.wgsl$/),
  sha256: text("64 hexadecimal digits", /^[0-9a-f]{64}$/),
  entry: text("the name of a function", /^[A-Za-z]\w{0,63}$/),
  bindings: v.array(BINDING, isNot("a list of bindings")),
  overrides: v.optional(record(NAME, SIZE, "sizes or attributes by override")),
  dispatch: v.pipe(
    v.array(SIZE, isNot('workgroups along each axis, such as ["rows"]')),
    v.minLength(1, "is empty; it takes one to three sizes."),
    v.maxLength(3, "is too long; it takes one to three sizes."),
  ),
};

const BUNDLE = members("the description of a plugin", {
  ...PLUGIN_ENTRIES,
  form: v.literal("wgsl", isNot('"wgsl", shaders for WebGPU')),
  requires: v.optional(
    members("what it needs", {
      features: v.optional(WORDS),
      limits: v.optional(record(text("a limit of WebGPU", /^max\w+$/), whole(0, 2 ** 31 - 1), "limits by name")),
      dialect: v.optional(WORDS),
    }),
  ),
  kernels: v.pipe(
    v.array(
      members("a kernel", {
        ...KERNEL_ENTRIES,
        ...SHADER,
        operands: record(
          NAME,
          members('an operand such as { "shape": ["...rows", "width"] }', {
            ...OPERAND_ENTRIES,
            prepack: v.optional(members("a prepack", { ...SHADER, elements: SIZE })),
          }),
          "operands by name",
        ),
      }),
      isNot("a list of kernels"),
    ),
    v.minLength(1, "holds no kernel; one is needed."),
  ),
});

/** @throws FoveaError `invalid_manifest`, `unsupported_abi` */
export const checkBundle = (value: unknown, file: string): BundleManifest =>
  checkDescription<BundleManifest>(BUNDLE, value, file);
