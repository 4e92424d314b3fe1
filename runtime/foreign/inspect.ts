/** What is checked about a foreign module before anything of it is linked. Each refusal says what was found and what may be. */

import { type Import, type Module, parseModule, SECTION } from "./binary/module.ts";
import type { Feature } from "./binary/opcodes.ts";
import { type Refuse, refuserOf } from "./binary/reader.ts";

/** What a description promises about a module. */
export interface Promised {
  /** Bytes at the bottom of its memory that are the module's own. */
  readonly reserved: number;
  readonly features: readonly Feature[];
  readonly entries: readonly string[];
}

const I32 = 0x7f;
const GLOBAL_SET = 0x24;
const PAGE = 65536;
/** Larger modules are no kernels. */
const MOST_BYTES = 4 << 20;

/** Exports that compilers add by themselves; none of them is linked. */
const HARMLESS = new Set(["__heap_base", "__data_end", "__stack_pointer", "__indirect_function_table", "memory"]);

/** What compilers import for stacks and tables; each becomes a global of the module's own. */
const GLOBALS = new Set(["__stack_pointer", "__table_base"]);

const ALLOWED =
  'allowed are the memory "env.memory", the globals "env.__stack_pointer" and "env.__table_base", and the table "env.__indirect_function_table"';

function checkImport(one: Import, promised: Promised, refuse: Refuse): void {
  const name = `"${one.module}.${one.name}"`;
  const isOurs = one.module === "env";
  switch (one.kind) {
    case "function":
      refuse(
        one.module.startsWith("wasi")
          ? `it imports the function ${name} of WASI; kernels have no files, clock or network. ${sentence(ALLOWED)}`
          : `it imports the function ${name}; kernels call nothing outside. ${sentence(ALLOWED)}`,
      );
      break;
    case "table":
      if (!isOurs || one.name !== "__indirect_function_table") refuse(`it imports the table ${name}; ${ALLOWED}.`);
      return;
    case "global":
      if (!isOurs || !GLOBALS.has(one.name) || one.global?.type !== I32)
        refuse(`it imports the global ${name}; ${ALLOWED}.`);
      return;
    case "memory": {
      if (!isOurs || one.name !== "memory") refuse(`it imports the memory ${name}; ${ALLOWED}.`);
      if (one.limits?.shared) {
        refuse("it imports shared memory; the host divides the work, so that a kernel needs no threads of its own.");
      }
      const bytes = (one.limits?.min ?? 0) * PAGE;
      if (bytes > Math.max(PAGE, Math.ceil(promised.reserved / PAGE) * PAGE + PAGE)) {
        refuse(
          `it asks for a memory of ${bytes} bytes, but its description reserves ${promised.reserved}; set \`memory.reserved\` to what its data and stack take.`,
        );
      }
    }
  }
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

function checkMemory({ data, globals, functions }: Module, { reserved }: Promised, refuse: Refuse): void {
  for (const [i, { offset, size }] of data.entries()) {
    if (offset === undefined) continue;
    const start =
      (offset.value ??
        refuse(
          `the place of its data segment ${i} is computed; link it at fixed addresses (without -pie and -shared).`,
        )) >>> 0;
    if (start + size > reserved) {
      refuse(
        `its data segment ${i} lies at bytes ${start} to ${start + size}, but its description reserves the first ${reserved} bytes for it (\`memory.reserved\`).`,
      );
    }
  }
  // Linkers write a stack pointer even where nothing moves it.
  const movesStack = functions.some((f) => f.instructions.some((i) => i.op === GLOBAL_SET));
  const stack = movesStack ? globals.find((g) => g.mutable && g.type === I32) : undefined;
  const top = stack?.initial.value;
  if (top !== undefined && top >>> 0 > reserved) {
    refuse(
      `its stack begins at byte ${top >>> 0}, but its description reserves the first ${reserved} bytes for data and stack (\`memory.reserved\`).`,
    );
  }
}

function checkExports({ exports, functions, types }: Module, promised: Promised, refuse: Refuse): void {
  for (const { name, kind } of exports) {
    if (promised.entries.includes(name) || (kind !== "function" && HARMLESS.has(name))) continue;
    refuse(
      `it exports the ${kind} "${name}", which its description does not name; entries are ${promised.entries.map((e) => `"${e}"`).join(", ")}.`,
    );
  }
  for (const entry of promised.entries) {
    const found = exports.find((e) => e.name === entry);
    if (found === undefined) refuse(`it exports no function "${entry}", which its description names as an entry.`);
    const type = types[functions[found.index]?.type];
    const fits = found.kind === "function" && type?.parameters.join() === `${I32}` && type.results.join() === `${I32}`;
    if (!fits)
      refuse(`its entry "${entry}" is no function of one i32, the address of its arguments, to an i32, its status.`);
  }
}

/**
 * Checks a module: well-formed, known instructions, imports, exports, no start function, no growing, data and stack inside of
 * what is reserved, no features beyond those declared.
 * @param file its name, for refusals
 * @throws FoveaError `refused_module`
 */
export function inspectModule(bytes: Uint8Array, file: string, promised: Promised): Module {
  const refuse: Refuse = refuserOf(file);
  if (bytes.length > MOST_BYTES) refuse(`it has ${bytes.length} bytes, more than the ${MOST_BYTES} of any kernel.`);
  const module = parseModule(bytes, refuse);
  checkFeatures(module, promised.features, refuse);
  for (const one of module.imports) checkImport(one, promised, refuse);
  if (module.memories.length > 0)
    refuse('it brings a memory of its own; link it so that it imports "env.memory" (wasm-ld --import-memory).');
  if (module.starts)
    refuse("it has a start function, which would run before anything is checked; link it without one.");
  if (module.imports.some((i) => i.name === "__table_base") && module.sections.has(SECTION.element)) {
    refuse("the place of its function table is computed; link it at fixed addresses (without -pie and -shared).");
  }
  checkExports(module, promised, refuse);
  checkMemory(module, promised, refuse);
  checkValid(bytes, promised.features, refuse);
  return module;
}

/** Refuses instructions beyond the features that a description lists. */
export function checkFeatures(module: Module, features: readonly Feature[], refuse: Refuse): void {
  const missing = [...module.features].find((f) => !features.includes(f));
  if (missing === undefined) return;
  refuse(
    `it uses ${missing}, which its description does not list; a build for ${features.join(" and ") || "plain WebAssembly"} may not need more.`,
  );
}

/** Refuses what the engine refuses. Comes last, since engines without a declared feature refuse what others take. */
export function checkValid(bytes: Uint8Array, features: readonly Feature[], refuse: Refuse): void {
  const isOld = features.includes("relaxed-simd") && !hasRelaxed();
  if (!isOld && !WebAssembly.validate(Uint8Array.from(bytes))) {
    refuse("this engine finds it invalid: its code or its types do not fit together.");
  }
}

/** Whether the engine takes `i8x16.relaxed_swizzle`. */
function hasRelaxed(): boolean {
  const zero = [0xfd, 12, ...Array<number>(16).fill(0)];
  const code = [0, ...zero, ...zero, 0xfd, 0x80, 0x02, 0x1a, 0x0b];
  return WebAssembly.validate(
    Uint8Array.from([
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0],
      ...[10, code.length + 2, 1, code.length, ...code],
    ]),
  );
}
