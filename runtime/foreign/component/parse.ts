/** A component taken apart as far as loading it needs: its core modules, what it imports, and how its functions are lifted. */
import { Reader, type Refuse } from "../binary/reader.ts";

export interface ComponentParts {
  /** Core modules, in order. */
  readonly modules: readonly Uint8Array[];
  /** Names of what it imports. */
  readonly imports: readonly string[];
  /** Names of what it exports. */
  readonly exports: readonly string[];
  /** True where all of its functions take and give texts in UTF-8. */
  readonly isUtf8: boolean;
}

const SECTION = { module: 1, canonical: 8, import: 10, export: 11 } as const;
const LAST_SECTION = 12;
/** Larger components are no kernels. */
const MOST_BYTES = 16 << 20;
const LIFT = 0;
const LOWER = 1;
const UTF8 = 0;
/** Options of a canonical function: encodings without an index, memory, realloc and post-return with one. */
const LAST_ENCODING = 2;
const LAST_OPTION = 5;

export const isComponent = (bytes: Uint8Array): boolean =>
  bytes.length >= 8 && [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0].every((b, i) => bytes[i] === b);

/** An import's or export's name, behind the byte that says its kind: plain, of an interface, or with a version's suffix. */
function externName(r: Reader): string {
  const kind = r.byte();
  const name = r.text();
  if (kind === 2) r.text();
  return name;
}

/** Skips a type of what is imported, whose last part may be a bound or an index. */
function skipType(r: Reader): void {
  const sort = r.byte();
  // A core module is two bytes, a value or a type begins with a bound that may have no index.
  if (sort === 0) r.byte();
  if (sort === 2 || sort === 3) {
    const bound = r.byte();
    if (sort === 3 && bound === 1) return;
  }
  r.signed(33);
}

/** Whether a canonical section's lifts and lowers all use UTF-8. Other functions, such as those of resources, have no texts. */
function utf8Alone(r: Reader): boolean {
  for (let left = r.u32(); left > 0; left--) {
    const kind = r.byte();
    if (kind !== LIFT && kind !== LOWER) {
      r.u32();
      // What is neither of resources nor known ends the look: another loader knows it.
      if (kind > 4) return false;
      continue;
    }
    r.byte();
    r.u32();
    for (let options = r.u32(); options > 0; options--) {
      const option = r.byte();
      if (option > LAST_OPTION || (option <= LAST_ENCODING && option !== UTF8)) return false;
      if (option > LAST_ENCODING) r.u32();
    }
    if (kind === LIFT) r.u32();
  }
  return true;
}

/** Takes a component apart. Refuses what it cannot read. */
export function parseComponent(bytes: Uint8Array, refuse: Refuse): ComponentParts {
  if (!isComponent(bytes)) refuse("it is no WebAssembly component.");
  if (bytes.length > MOST_BYTES) refuse(`it has ${bytes.length} bytes, more than the ${MOST_BYTES} of any kernel.`);
  const r = new Reader(bytes, refuse, 8);
  const modules: Uint8Array[] = [];
  const imports: string[] = [];
  const exports: string[] = [];
  let isUtf8 = true;
  while (!r.done) {
    const id = r.byte();
    const content = r.part(r.u32());
    if (id > LAST_SECTION) refuse(`it has a section ${id}, which components do not have.`);
    if (id === SECTION.module) modules.push(bytes.slice(content.at, content.end));
    if (id === SECTION.canonical) isUtf8 &&= utf8Alone(content);
    if (id === SECTION.import) {
      for (let left = content.u32(); left > 0; left--) {
        imports.push(externName(content));
        skipType(content);
      }
    }
    if (id === SECTION.export) {
      for (let left = content.u32(); left > 0; left--) {
        exports.push(externName(content));
        if (content.byte() === 0) content.byte();
        content.u32();
        // A type may be ascribed.
        if (content.byte() === 1) skipType(content);
      }
    }
  }
  return { modules, imports, exports, isUtf8 };
}
