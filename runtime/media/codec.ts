/** WASM image codecs: loaded on demand, one instance at a time, a fresh one after every failure. */

/**
 * Finds and compiles a codec's WASM file. Hosts provide it, since reading a file is theirs to do; edges map the specifier to
 * a statically imported module.
 * @param specifier package path, such as `@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm`
 */
export type CodecLoader = (specifier: string) => Promise<WebAssembly.Module>;

/** Pixels as the codecs return them: RGBA, 8 bits. */
export interface CodecPixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

interface CodecInstance {
  decode(data: Uint8Array, ...flags: readonly boolean[]): CodecPixels | null;
}

/** What a codec's glue code takes; `instantiateWasm` keeps it from fetching its own file. */
export interface CodecOptions {
  noInitialRun: boolean;
  instantiateWasm(imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void): WebAssembly.Exports;
  print(text: string): void;
  printErr(text: string): void;
}

export type CodecFactory = (options: CodecOptions) => Promise<unknown>;

/** A codec package's decoder. */
export interface CodecSpec {
  readonly wasm: string;
  readonly glue: () => Promise<{ readonly default: unknown }>;
  /** What its `decode` takes after the bytes: exactly as many as it was built for. */
  readonly flags: readonly boolean[];
}

/** Result of one decode: pixels or what was thrown, and what the codec complained about. */
export interface CodecResult {
  readonly pixels?: CodecPixels;
  readonly thrown?: unknown;
  readonly complaints: readonly string[];
}

interface LoadedCodec {
  readonly factory: CodecFactory;
  readonly module: WebAssembly.Module;
}

/** Above this many RGBA bytes an instance is dropped after use, because WASM memory never shrinks. */
const KEEP_BYTES = 1 << 26;

/** One codec of one loader. Calls run one after another so that complaints and failures belong to one image. */
class Codec {
  readonly #spec: CodecSpec;
  readonly #loader: CodecLoader;
  #loaded: Promise<LoadedCodec> | undefined;
  #instance: CodecInstance | undefined;
  #complaints: string[] = [];
  #tail: Promise<unknown> = Promise.resolve();

  constructor(spec: CodecSpec, loader: CodecLoader) {
    this.#spec = spec;
    this.#loader = loader;
  }

  run(bytes: Uint8Array): Promise<CodecResult> {
    const result = this.#tail.then(() => this.#decode(bytes));
    this.#tail = result.catch(() => undefined);
    return result;
  }

  async #decode(bytes: Uint8Array): Promise<CodecResult> {
    this.#instance ??= await this.#create();
    const instance = this.#instance;
    this.#complaints = [];
    try {
      const pixels = instance.decode(bytes, ...this.#spec.flags) ?? undefined;
      if (pixels === undefined || pixels.data.length > KEEP_BYTES) this.#instance = undefined;
      return { pixels, complaints: this.#complaints };
    } catch (thrown) {
      // A throw skips the codec's clean-up; its stack would run out after some tens of them and the next call hang.
      this.#instance = undefined;
      return { thrown, complaints: this.#complaints };
    }
  }

  async #create(): Promise<CodecInstance> {
    this.#loaded ??= this.#load();
    let loaded: LoadedCodec;
    try {
      loaded = await this.#loaded;
    } catch (error) {
      this.#loaded = undefined;
      throw error;
    }
    const options: CodecOptions = {
      noInitialRun: true,
      instantiateWasm(imports, done): WebAssembly.Exports {
        const instance = new WebAssembly.Instance(loaded.module, imports);
        done(instance);
        return instance.exports;
      },
      print: () => undefined,
      printErr: (text) => {
        this.#complaints.push(String(text));
      },
    };
    return (await loaded.factory(options)) as CodecInstance;
  }

  async #load(): Promise<LoadedCodec> {
    const [glue, module] = await Promise.all([this.#spec.glue(), this.#loader(this.#spec.wasm)]);
    return { factory: glue.default as CodecFactory, module };
  }
}

const codecs: WeakMap<CodecLoader, Map<string, Codec>> = new WeakMap();

/** Decodes with the codec that `spec` names; compiled once for each loader, which owns its lifetime. */
export function runCodec(spec: CodecSpec, loader: CodecLoader, bytes: Uint8Array): Promise<CodecResult> {
  const known = codecs.get(loader) ?? new Map<string, Codec>();
  codecs.set(loader, known);
  const codec = known.get(spec.wasm) ?? new Codec(spec, loader);
  known.set(spec.wasm, codec);
  return codec.run(bytes);
}
