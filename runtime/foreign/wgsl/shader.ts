/** A WGSL file with an entry, held against what its description says, and the code blobs that it becomes. */
import { type ArgumentKind, type Element, encodeCode, type GpuHeader, wordName } from "../../abi/gpu_code.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { type Binding, type Declaration, membersOf, moduleOf, type WgslModule } from "./module.ts";
import { rewrite } from "./rewrite.ts";
import { WgslProblem } from "./tokens.ts";

/** What a binding is for. */
export type Role =
  | { readonly role: "read"; readonly of: string; readonly dtype: "f32" | "i32" }
  | { readonly role: "write" }
  | { readonly role: "sizes"; readonly of: readonly { readonly name: string; readonly kind: "u32" | "f32" }[] };

export interface ShaderOptions {
  readonly file: string;
  readonly entry: string;
  /** By binding, all of group 0. */
  readonly roles: ReadonlyMap<number, Role>;
  /** Overrides that get a value. */
  readonly overrides: readonly string[];
  /** Extensions and features of the language that the description declares. */
  readonly dialect: readonly string[];
}

/** An operand or the result, in the order of bindings. */
export interface ShaderMemory {
  readonly name: string;
  readonly binding: number;
  readonly role: Extract<Role, { readonly role: "read" | "write" }>;
}

export interface Shader {
  /** The result first. */
  readonly memory: readonly ShaderMemory[];
  /** Words behind the lengths of the memory, the groups' three counts and the turns. */
  readonly sizes: readonly { readonly name: string; readonly kind: "u32" | "f32" }[];
  /** Values of an element of memory. */
  readonly lanes: 1 | 4;
  /** @param kinds of `memory`. @param overrides values as WGSL. */
  code(
    name: string,
    kinds: readonly Exclude<ArgumentKind, "word">[],
    overrides: ReadonlyMap<string, string>,
  ): Uint8Array;
}

const MOST_INVOCATIONS = 256;
const ELEMENTS: Readonly<Record<string, { readonly dtype: "f32" | "i32"; readonly lanes: 1 | 4 }>> = {
  "array<f32>": { dtype: "f32", lanes: 1 },
  "array<i32>": { dtype: "i32", lanes: 1 },
  "array<vec4<f32>>": { dtype: "f32", lanes: 4 },
};

function checkBinding(own: Binding, role: Role, { declarations }: WgslModule): void {
  const { name, line, space, type } = own;
  const expected = role.role === "sizes" ? "uniform" : `storage, ${role.role === "write" ? "read_write" : "read"}`;
  if (space !== expected && !(role.role === "read" && space === "storage"))
    throw new WgslProblem(`line ${line} declares "${name}" as var<${space}>; its role is that of var<${expected}>`);
  if (role.role !== "sizes") {
    const element = ELEMENTS[type];
    if (element === undefined)
      throw new WgslProblem(`line ${line} sees "${name}" as ${type}; memory is ${Object.keys(ELEMENTS).join(", ")}`);
    if (element.dtype !== (role.role === "read" ? role.dtype : "f32"))
      throw new WgslProblem(`line ${line} sees "${name}" as ${type}, and its description says otherwise`);
    return;
  }
  const struct = declarations.find((d) => d.kind === "struct" && d.name === type);
  const members = struct === undefined ? [] : membersOf(struct);
  const wanted = role.of.map(({ name: size, kind }) => `${size}: ${kind}`).join(", ");
  const there = members.map((m) => `${m.name}: ${m.type}`).join(", ");
  if (there !== wanted)
    throw new WgslProblem(`line ${line} sees "${name}" as ${type} { ${there} }; its description says { ${wanted} }`);
}

/** What is declared and what is described must be the same. */
function checkBindings(module: WgslModule, { roles }: ShaderOptions): void {
  for (const own of module.bindings) {
    const role = own.group === 0 ? roles.get(own.binding) : undefined;
    if (role === undefined)
      throw new WgslProblem(
        `line ${own.line} binds "${own.name}" at group ${own.group}, binding ${own.binding}, which the description does not declare`,
      );
    checkBinding(own, role, module);
  }
  const missing = [...roles.keys()].find((n) => module.bindings.filter((b) => b.binding === n).length !== 1);
  if (missing !== undefined) throw new WgslProblem(`binding ${missing} of the description is not there exactly once`);
}

/** Invocations along x, y and z. */
function workgroupOf({ declarations }: WgslModule, entry: Declaration): readonly [number, number, number] {
  const values = entry.attributes.find((a) => a.name === "workgroup_size")?.values.filter((t) => t.text !== ",") ?? [];
  const sizes = values.map((token) => {
    const constant = declarations.find((d) => d.kind === "const" && d.name === token.text);
    const text = constant === undefined ? token.text : (constant.tokens.at(-2)?.text ?? "");
    return /^\d+[iu]?$/.test(text) ? Number.parseInt(text, 10) : Number.NaN;
  });
  const [x = Number.NaN, y = 1, z = 1] = sizes;
  if (!(x * y * z >= 1 && x * y * z <= MOST_INVOCATIONS))
    throw new WgslProblem(
      `"${entry.name}" has no workgroup of 1 to ${MOST_INVOCATIONS} invocations, written as numbers or constants`,
    );
  return [x, y, z];
}

/** WGSL functions by which rewritten code reaches memory `index`, which begins at the word `at` and has `length` elements. */
function accessOf(index: number, { role }: ShaderMemory, element: Element, at: string, length: string): string {
  const value = role.role === "read" && role.dtype === "i32" ? "i32" : element === "vec4<f32>" ? element : "f32";
  const place = `@${index}@[(${at} >> ${element === "vec4<f32>" ? 4 : 2}u) + `;
  const bits = element === "u32";
  const read = `${place}min(i, max(${length}, 1u) - 1u)]`;
  const lines = [
    `fn fovea_length_${index}() -> u32 { return ${length}; }`,
    `fn fovea_read_${index}(i: u32) -> ${value} { return ${bits ? `bitcast<${value}>(${read})` : read}; }`,
  ];
  if (role.role === "write")
    lines.push(
      `fn fovea_write_${index}(i: u32, v: ${value}) {
  if (i >= ${length}) { fovea_stop(2u); return; }
  ${place}i] = ${bits ? "bitcast<u32>(v)" : "v"};
}`,
    );
  return lines.join("\n");
}

/**
 * Reads a file and holds it against its description: bindings, overrides, dialect, entry, and that everything can be bounded.
 * @throws FoveaError `refused_module` that names file, line, and what was found
 */
export function openShader(text: string, options: ShaderOptions): Shader {
  const { file, entry: entryName, roles, overrides, dialect } = options;
  try {
    const module = moduleOf(text);
    const { declarations, bindings } = module;
    const undeclared = module.dialect.find((name) => !dialect.includes(name));
    if (undeclared !== undefined)
      throw new WgslProblem(`it asks for "${undeclared}", which \`requires.dialect\` of the description does not list`);
    checkBindings(module, options);
    const entry = declarations.find((d) => d.kind === "fn" && d.name === entryName);
    const points = declarations.filter((d) => d.attributes.some((a) => /^(compute|vertex|fragment)$/.test(a.name)));
    if (entry === undefined || points.length !== 1 || points[0] !== entry)
      throw new WgslProblem(
        `it has the entry points ${points.map((d) => d.name).join(", ") || "none"}; expected "${entryName}" alone`,
      );
    if (!entry.attributes.some((a) => a.name === "compute"))
      throw new WgslProblem(`its entry "${entryName}" is no compute shader`);
    const size = workgroupOf(module, entry);
    const own = declarations.filter((d) => d.kind === "override").map((d) => d.name);
    const unknown = overrides.find((name) => !own.includes(name)) ?? own.find((name) => !overrides.includes(name));
    if (unknown !== undefined)
      throw new WgslProblem(`the override "${unknown}" is not in both the file and the description`);

    const named = [...bindings].sort((a, b) => a.binding - b.binding);
    const memory = named.flatMap(({ name, binding }): ShaderMemory[] => {
      const role = roles.get(binding) as Role;
      return role.role === "sizes" ? [] : [{ name, binding, role }];
    });
    memory.sort((a, b) => Number(b.role.role === "write") - Number(a.role.role === "write"));
    const types = memory.map((m) => ELEMENTS[(bindings.find((b) => b.name === m.name) as Binding).type]);
    const lanes = types[0].lanes;
    if (types.some((t) => t.lanes !== lanes))
      throw new WgslProblem("it sees some memory as numbers and some as vectors; all must be seen alike");
    const integers = types.some((t) => t.dtype === "i32");
    const element: Element = integers ? "u32" : lanes === 4 ? "vec4<f32>" : "f32";
    const sizes = named.flatMap(({ binding }) => {
      const role = roles.get(binding) as Role;
      return role.role === "sizes" ? role.of : [];
    });

    const pointers = memory.length;
    const lengthAt = (i: number): string => wordName(pointers + i);
    const [groups, turns] = [2 * pointers, 2 * pointers + 3];
    const words = new Map<string, string>();
    let at = turns + 1;
    for (const { name, binding } of named) {
      const role = roles.get(binding) as Role;
      if (role.role !== "sizes") continue;
      for (const { name: member, kind } of role.of) {
        const word = wordName(at++);
        words.set(`${name}.${member}`, kind === "f32" ? `bitcast<f32>(${word})` : word);
      }
    }
    const write = (values: ReadonlyMap<string, string>): string =>
      [
        `fn fovea_stop(why: u32) { atomicMax(&fovea_status[fovea_slot()], why); }`,
        `fn fovea_turns() -> u32 { return ${wordName(turns)}; }`,
        `fn fovea_groups() -> vec3<u32> { return vec3<u32>(${[0, 1, 2].map((i) => wordName(groups + i)).join(", ")}); }`,
        ...memory.map((m, i) => accessOf(i, m, element, wordName(i), lengthAt(i))),
        rewrite(declarations, size, {
          entry: entryName,
          memory: new Map(memory.map((m, index) => [m.name, { index, mode: m.role.role as "read" | "write" }])),
          words,
          overrides: values,
        }),
      ].join("\n");
    // Whatever cannot be bounded shows now.
    write(new Map(overrides.map((name) => [name, "0"])));
    const wordKinds = Array<ArgumentKind>(at - pointers).fill("word");
    return {
      memory,
      sizes,
      lanes,
      code: (name, kinds, values) => {
        const header: GpuHeader = {
          name,
          args: [...kinds, ...wordKinds],
          element,
          workgroup: size[0] * size[1] * size[2],
          sandbox: true,
        };
        return encodeCode({ ...header, wgsl: write(values) });
      },
    };
  } catch (error) {
    if (!(error instanceof WgslProblem)) throw error;
    throw new FoveaError("refused_module", `The shader ${file} is refused: ${error.message}.`, { cause: error });
  }
}
