/**
 * A component of the world `fovea:kernel@1.0.0` (kernels/wit) that is one core module, linked: what the canonical ABI makes of
 * its functions, with every address that the code gives looked at. Its loops are counted and its memory is its own.
 */

/** The interface's name, with which its core exports begin. */
export const KERNELS: string = "fovea:kernel/kernels@1.0.0";

/** Name of the exported global, i32, that counts down. */
export const COMPONENT_FUEL: string = "fovea:fuel";

export type ComponentFunction = "negotiate" | "offers" | "load" | "run";

/** Functions of the world by what code calls them, each with its number of core parameters. All give an i32. */
export const COMPONENT_FUNCTIONS: Readonly<
  Record<ComponentFunction, { readonly name: string; readonly parameters: number }>
> = {
  negotiate: { name: `${KERNELS}#negotiate`, parameters: 3 },
  offers: { name: `${KERNELS}#offers`, parameters: 0 },
  load: { name: `${KERNELS}#[static]weights.load`, parameters: 7 },
  run: { name: `${KERNELS}#[method]weights.run`, parameters: 4 },
};

/** Module of the functions by which code makes handles of its resources. */
export const RESOURCES: string = `[export]${KERNELS}`;

/** What an operand is for a component: cases of `values`, in their order. */
export const VALUE_CASES: readonly ("f32" | "i32" | "u8")[] = ["f32", "i32", "u8"];

type Core = (...parameters: readonly number[]) => number;

/** Bytes of a variant `values`, and of a string or list. */
export const VALUES_BYTES = 12;
export const LIST_BYTES = 8;

/** Says how code ended that did not return. */
export function endedBy(cause: unknown, fuel: number, budget: number): Error {
  if (fuel < 0) {
    return new Error(
      `it was stopped after the ${budget} instructions that its declared work allows: a loop without an end, or \`flops\` says too little`,
    );
  }
  return new Error(`it trapped: ${cause instanceof Error ? cause.message : String(cause)}`);
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** One instance. What throws leaves it in no state to be used again. */
export class LinkedComponent {
  readonly #functions: Readonly<Record<ComponentFunction, Core>>;
  readonly #posts: Readonly<Record<ComponentFunction, Core | undefined>>;
  readonly #realloc: Core;
  readonly #fuel: WebAssembly.Global;
  readonly #memory: WebAssembly.Memory;
  #bytes: Uint8Array;
  #view: DataView;
  /** Representations by handle; 0 is none. */
  readonly #handles: (number | undefined)[] = [undefined];
  #budget = 0;

  constructor(module: WebAssembly.Module) {
    const imports = {
      [RESOURCES]: {
        "[resource-new]weights": (representation: number): number => this.#handles.push(representation) - 1,
        "[resource-rep]weights": (handle: number): number => this.#representation(handle),
        "[resource-drop]weights": (handle: number): void => {
          this.#representation(handle);
          this.#handles[handle] = undefined;
        },
      },
    };
    const { exports } = new WebAssembly.Instance(module, imports);
    const named = (prefix: string) =>
      Object.fromEntries(
        Object.entries(COMPONENT_FUNCTIONS).map(([key, { name }]) => [key, exports[`${prefix}${name}`]]),
      );
    this.#functions = named("") as Record<ComponentFunction, Core>;
    this.#posts = named("cabi_post_") as Record<ComponentFunction, Core | undefined>;
    this.#realloc = exports.cabi_realloc as Core;
    this.#fuel = exports[COMPONENT_FUEL] as WebAssembly.Global;
    this.#memory = exports.memory as WebAssembly.Memory;
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#view = new DataView(this.#memory.buffer);
  }

  /** Its memory; valid until its code runs again. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Lets code do as much until the next call of this. */
  allow(budget: number): void {
    this.#budget = budget;
    this.#fuel.value = budget;
  }

  /** Calls a function of the world; its i32. @throws Error that says how it ended */
  call(name: ComponentFunction, ...parameters: readonly number[]): number {
    return this.#counted(this.#functions[name], parameters);
  }

  /** Tells the code that what a call gave was read. */
  done(name: ComponentFunction, given: number): void {
    const post = this.#posts[name];
    if (post !== undefined) this.#counted(post, [given]);
  }

  /** Room in its memory. @throws Error where what its allocator gives is none */
  allocate(bytes: number, alignment: number): number {
    const at = this.#counted(this.#realloc, [0, 0, alignment, bytes]) >>> 0;
    return this.at(at, bytes, alignment, "the memory that it allocates");
  }

  /** An address that code gave, checked. */
  at(address: number, bytes: number, alignment: number, what: string): number {
    if (address % alignment !== 0 || address + bytes > this.#bytes.length) {
      throw new Error(`${what} lies at byte ${address}, which is not aligned to ${alignment} or not in its memory`);
    }
    return address;
  }

  word(address: number): number {
    return this.#view.getUint32(this.at(address, 4, 4, "what it gives"), true);
  }

  byte(address: number): number {
    return this.#bytes[this.at(address, 1, 1, "what it gives")];
  }

  setWord(address: number, value: number): void {
    this.#view.setUint32(address, value, true);
  }

  setByte(address: number, value: number): void {
    this.#bytes[address] = value;
  }

  /** The string whose address and length stand at an address. */
  text(address: number): string {
    const length = this.word(address + 4);
    const from = this.at(this.word(address), length, 1, "a text of it");
    try {
      return decoder.decode(this.#bytes.slice(from, from + length));
    } catch {
      throw new Error(`a text of it, at byte ${from}, is not UTF-8`);
    }
  }

  /** The list whose address and length stand at an address. */
  list(address: number, itemBytes: number, alignment: number): { readonly at: number; readonly length: number } {
    const length = this.word(address + 4);
    return { at: this.at(this.word(address), length * itemBytes, alignment, "a list of it"), length };
  }

  /** What a `result` of words holds: the address behind its case. @throws Error with the sentence of a failure */
  succeeded(result: number): number {
    const address = result >>> 0;
    if (this.byte(address) !== 0) throw new Error(`it says: ${this.text(address + 4)}`);
    return address + 4;
  }

  /** Representation of a handle that the host holds. */
  representation(handle: number): number {
    return this.#representation(handle);
  }

  #representation(handle: number): number {
    const found = this.#handles[handle];
    if (found === undefined) throw new Error(`it names the resource ${handle}, which there is not`);
    return found;
  }

  #counted(code: Core, parameters: readonly number[]): number {
    let given: number;
    try {
      given = code(...parameters);
    } catch (cause) {
      throw endedBy(cause, this.#fuel.value as number, this.#budget);
    }
    // Memory that grew has another buffer.
    if (this.#memory.buffer !== this.#bytes.buffer) {
      this.#bytes = new Uint8Array(this.#memory.buffer);
      this.#view = new DataView(this.#memory.buffer);
    }
    return given;
  }
}
