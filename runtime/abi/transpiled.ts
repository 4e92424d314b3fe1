/**
 * Components as jco's glue links them: JavaScript that jco wrote, the component's core modules, counted, and of the host only
 * clocks and randomness. Everything else that a component asks for has nothing or is refused.
 */
import { digestBytes } from "../core/digest.ts";
import { COMPONENT_FUEL, endedBy, KERNELS } from "./component.ts";
import type { CompiledModule, GlueImports, GlueLinks, Instantiate } from "./glue.ts";

/** What jco makes of a component. */
export interface Transpiled {
  /** JavaScript that exports `instantiate`. */
  readonly glue: string;
  /** Core modules by the names that the glue asks for. */
  readonly cores: ReadonlyMap<string, Uint8Array>;
  /** Interfaces that it imports, without versions. */
  readonly imports: readonly string[];
}

/** Case of the variant `values` as jco has it. */
export interface TaggedValues {
  readonly tag: "f32" | "i32" | "u8";
  readonly val: Float32Array | Int32Array | Uint8Array;
}

export interface LoadedWeights {
  run(items: number, values: readonly TaggedValues[]): ArrayLike<number>;
}

/** The exported interface `kernels` in JavaScript. */
export interface TranspiledKernels {
  negotiate(host: { readonly abi: number; readonly features: readonly string[] }): number;
  /** Records as kernels/wit has them. */
  offers(): unknown;
  readonly Weights: {
    load(kernel: number, sizes: Uint32Array, attributes: Float32Array, values: readonly TaggedValues[]): LoadedWeights;
  };
}

/** Custom section of a code blob that holds glue and core modules. */
export const TRANSPILED_SECTION = "fovea.transpiled";
const EMPTY_MODULE = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

interface Head {
  readonly glue: string;
  readonly imports: readonly string[];
  /** Names of the core modules, and how many bytes each has, in the order in which they follow. */
  readonly cores: readonly (readonly [string, number])[];
}

function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...unsigned(Math.floor(value / 128))];
}

/** One code blob: a module that does nothing, whose custom section holds the glue and the core modules. */
export function transpiledCode({ glue, cores, imports }: Transpiled): Uint8Array {
  const encoder = new TextEncoder();
  const head: Head = { glue, imports, cores: [...cores].map(([name, bytes]) => [name, bytes.length]) };
  const text = encoder.encode(JSON.stringify(head));
  const name = encoder.encode(TRANSPILED_SECTION);
  const parts = [text, ...cores.values()];
  const prefix = [...unsigned(name.length), ...name, ...unsigned(text.length)];
  const size = parts.reduce((n, p) => n + p.length, prefix.length);
  const start = [...EMPTY_MODULE, 0, ...unsigned(size), ...prefix];
  const code = new Uint8Array(start.length + size - prefix.length);
  code.set(start);
  let at = start.length;
  for (const part of parts) {
    code.set(part, at);
    at += part.length;
  }
  return code;
}

/** The inverse of {@link transpiledCode}; nothing for other modules. */
export function transpiledParts(module: CompiledModule): Transpiled | undefined {
  const [section] = WebAssembly.Module.customSections(module, TRANSPILED_SECTION);
  if (section === undefined) return undefined;
  const bytes = new Uint8Array(section);
  let [at, length] = [0, 0];
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    length += (byte & 127) * 2 ** shift;
    if (byte < 128) break;
  }
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(at, at + length))) as Head;
  at += length;
  const cores = new Map<string, Uint8Array>();
  for (const [name, size] of head.cores) {
    cores.set(name, bytes.slice(at, at + size));
    at += size;
  }
  return { glue: head.glue, imports: head.imports, cores };
}

const NANOSECONDS = 1_000_000;

const now = (): bigint => BigInt(Math.round(performance.now() * NANOSECONDS));

function wallClock(): { readonly seconds: bigint; readonly nanoseconds: number } {
  const ms = Date.now();
  return { seconds: BigInt(Math.floor(ms / 1000)), nanoseconds: (ms % 1000) * NANOSECONDS };
}

/** Web crypto gives at most this many bytes at once. */
const RANDOM_BYTES = 65536;

function randomBytes(length: bigint | number): Uint8Array {
  const bytes = new Uint8Array(Number(length));
  for (let at = 0; at < bytes.length; at += RANDOM_BYTES) crypto.getRandomValues(bytes.subarray(at, at + RANDOM_BYTES));
  return bytes;
}

const randomWord = (): bigint => new DataView(randomBytes(8).buffer).getBigUint64(0);

type Functions = Readonly<Record<string, unknown>>;

/** What there is. */
const GIVEN: Readonly<Record<string, Functions>> = {
  "wasi:clocks/monotonic-clock": { now, resolution: () => 1n },
  "wasi:clocks/wall-clock": { now: wallClock, resolution: () => ({ seconds: 0n, nanoseconds: NANOSECONDS }) },
  "wasi:random/random": { getRandomBytes: randomBytes, getRandomU64: randomWord },
  "wasi:random/insecure": { getInsecureRandomBytes: randomBytes, getInsecureRandomU64: randomWord },
  "wasi:random/insecure-seed": { insecureSeed: () => [randomWord(), randomWord()] },
};

/** Questions whose honest answer is that there is nothing: no variables, arguments, folders, or a working directory. */
const NOTHING: Functions = {
  getEnvironment: () => [],
  getArguments: () => [],
  getDirectories: () => [],
  initialCwd: () => undefined,
};

/** An interface of which only what is given may be called; of the rest a class stands for a resource, a function refuses. */
function shim(name: string): Functions {
  const given = GIVEN[name] ?? {};
  return new Proxy(given, {
    get: (_, key) => {
      if (typeof key !== "string") return undefined;
      const known = given[key] ?? (name.startsWith("wasi:") ? NOTHING[key] : undefined);
      if (known !== undefined) return known;
      if (/^[A-Z]/.test(key)) return class {};
      return () => {
        throw new Error(`it asked for ${key} of ${name}; kernels have clocks and randomness, and nothing else`);
      };
    },
  });
}

export const glueDigest = (glue: string): string => digestBytes(new TextEncoder().encode(glue));

/** A component that jco's glue links, with what its code may do counted over all of its core modules. */
export class TranspiledComponent {
  readonly kernels: TranspiledKernels;
  readonly #fuels: WebAssembly.Global[] = [];
  #budget = 0;

  /** @throws Error where it does not link; EvalError where code may not be generated */
  constructor(instantiate: Instantiate, cores: (name: string) => CompiledModule, imports: readonly string[]) {
    const shims = Object.fromEntries(imports.map((name) => [name, shim(name)]));
    const link = (module: CompiledModule, given: GlueImports): WebAssembly.Instance => {
      const instance = new WebAssembly.Instance(module, given as WebAssembly.Imports);
      const fuel = instance.exports[COMPONENT_FUEL];
      if (fuel instanceof WebAssembly.Global) this.#fuels.push(fuel);
      return instance;
    };
    this.kernels = instantiate(cores, shims, link)[KERNELS] as TranspiledKernels;
  }

  /** Lets code do as much until the next call of this. */
  allow(budget: number): void {
    this.#budget = budget;
    for (const fuel of this.#fuels) fuel.value = budget;
  }

  /** Calls into it. @throws Error that says how it ended */
  call<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      // A result's failure comes as an error with a payload.
      const payload = (cause as { readonly payload?: unknown }).payload;
      if (typeof payload === "string") throw new Error(`it says: ${payload}`);
      const least = this.#fuels.reduce((n, fuel) => Math.min(n, fuel.value as number), 0);
      throw endedBy(cause, least, this.#budget);
    }
  }
}

/** `instantiate` of glue as text. @throws Error where code may not be generated */
function evaluated(glue: string): Instantiate {
  const body = glue
    .replace(/^export (?=function|const|let|var|class|async)/gm, "")
    .replace(/^export \{[^}]*\};?/gm, "");
  try {
    return new Function(`${body}\nreturn instantiate;`)() as Instantiate;
  } catch (cause) {
    if (!(cause instanceof EvalError)) throw cause;
    throw new Error(
      "its glue is JavaScript as text, and no code may be made of text here; build the plugin ahead with `fovea plugin build`, load it with `trustGlue: true` and compute with `threads: 0`",
      { cause },
    );
  }
}

/** The component in a code blob; nothing for other code. @throws Error where it does not link */
export function linkTranspiled(module: CompiledModule, links?: GlueLinks): TranspiledComponent | undefined {
  const parts = transpiledParts(module);
  if (parts === undefined) return undefined;
  const { glue, cores, imports } = parts;
  const core = (name: string): WebAssembly.Module =>
    new WebAssembly.Module((cores.get(name) ?? new Uint8Array()) as Uint8Array<ArrayBuffer>);
  return new TranspiledComponent(links?.get(glueDigest(glue)) ?? evaluated(glue), core, imports);
}
