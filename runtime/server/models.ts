/** The models that are served: loaded, lent to requests, replaced while requests run. */
import { FoveaError } from "../core/diagnostics.ts";
import { didYouMean } from "../session/check.ts";
import type { Encoder, LoadOptions, ModelSource } from "../session.ts";
import { HttpError, short } from "./http_error.ts";
import type { ServedRuntime } from "./options.ts";

/** A model to serve: where it comes from, which can be loaded again, or one that is loaded already. */
export type ServedModel = { readonly source: ModelSource; readonly load?: LoadOptions } | { readonly encoder: Encoder };

/** A model that is loaded. */
export interface ListedModel {
  readonly name: string;
  readonly encoder: Encoder;
  /** Seconds since 1970 when it was loaded. */
  readonly created: number;
}

/** A model as a request has it: it stays open until it is given back. */
export interface Lease {
  readonly name: string;
  /** Tells this load of the model from later ones. */
  readonly generation: number;
  readonly encoder: Encoder;
  release(): void;
}

interface Loaded {
  readonly encoder: Encoder;
  readonly generation: number;
  /** Seconds since 1970 when it was loaded. */
  readonly created: number;
  /** Closed with its last lease, once another took its place. */
  readonly own: boolean;
  leases: number;
  replaced: boolean;
}

const seconds = (): number => Math.floor(Date.now() / 1000);

export class Models {
  readonly #runtime: ServedRuntime;
  readonly #specs: ReadonlyMap<string, ServedModel>;
  /** Stronger than what each model's options of `load` say. */
  readonly #over: LoadOptions;
  readonly #loaded = new Map<string, Loaded>();
  #generation = 0;
  /** Ends loads that are under way. */
  readonly #closing = new AbortController();

  /** @param over options of `load` for all of them, stronger than each one's own */
  constructor(runtime: ServedRuntime, specs: Readonly<Record<string, ServedModel>>, over: LoadOptions = {}) {
    this.#runtime = runtime;
    this.#over = over;
    this.#specs = new Map(Object.entries(specs));
  }

  get names(): readonly string[] {
    return [...this.#specs.keys()];
  }

  /** Whether all of them are. */
  get areLoaded(): boolean {
    return this.names.every((name) => this.#loaded.has(name));
  }

  /** Loaded models in the order in which they were named. */
  list(): readonly ListedModel[] {
    return this.names.flatMap((name) => {
      const loaded = this.#loaded.get(name);
      return loaded === undefined ? [] : [{ name, encoder: loaded.encoder, created: loaded.created }];
    });
  }

  /** @throws HttpError `model_not_found`, `not_ready` */
  find(name: string): ListedModel {
    this.#spec(name);
    const found = this.list().find((model) => model.name === name);
    if (found === undefined) throw notReady();
    return found;
  }

  /** Loads every model. @throws what loading throws; FoveaError `closed` where they were closed meanwhile */
  async load(): Promise<void> {
    for (const name of this.names) await this.#open(name);
  }

  /**
   * Loads a model again, or all that have a source, and puts it in the place of the old one, which serves until then and is closed
   * when the last request that uses it is done. When loading fails the old one stays.
   * @throws HttpError `model_not_found`, and what loading throws
   */
  async reload(name?: string): Promise<void> {
    if (name !== undefined) this.#spec(name);
    for (const one of name === undefined ? this.names : [name]) {
      if ("source" in this.#spec(one)) await this.#open(one);
    }
  }

  #spec(name: string): ServedModel {
    const spec = this.#specs.get(name);
    if (spec !== undefined) return spec;
    throw new HttpError(
      404,
      "model_not_found",
      `No model is called "${short(name)}" here; served are ${this.names.join(", ")}.${didYouMean(short(name), this.names)}`,
      { param: "model" },
    );
  }

  async #open(name: string): Promise<void> {
    const spec = this.#spec(name);
    this.#checkOpen();
    const encoder = "encoder" in spec ? spec.encoder : await this.#load(spec);
    const before = this.#loaded.get(name);
    this.#loaded.set(name, {
      encoder,
      generation: ++this.#generation,
      created: seconds(),
      own: "source" in spec,
      leases: 0,
      replaced: false,
    });
    if (before === undefined) return;
    before.replaced = true;
    if (before.leases === 0 && before.own) before.encoder.close();
  }

  async #load({ source, load }: Extract<ServedModel, { readonly source: ModelSource }>): Promise<Encoder> {
    const closing = this.#closing.signal;
    const signal = load?.signal === undefined ? closing : AbortSignal.any([load.signal, closing]);
    const encoder = await this.#runtime.load(source, { ...load, ...this.#over, signal });
    if (closing.aborted) encoder.close();
    this.#checkOpen();
    return encoder;
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw this.#closing.signal.reason;
  }

  /**
   * Lends the named model, or the only one where none is named.
   * @throws HttpError `model_not_found`, `model_required`, `not_ready`
   */
  lend(name: string | undefined): Lease {
    if (name === undefined && this.names.length > 1) {
      throw new HttpError(
        400,
        "model_required",
        `Several models are served here; name one of ${this.names.join(", ")} as \`model\`.`,
        { param: "model" },
      );
    }
    const wanted = name ?? this.names[0];
    this.#spec(wanted);
    const loaded = this.#loaded.get(wanted);
    if (loaded === undefined) throw notReady();
    loaded.leases++;
    let given = true;
    const release = (): void => {
      if (!given) return;
      given = false;
      loaded.leases--;
      if (loaded.replaced && loaded.leases === 0 && loaded.own) loaded.encoder.close();
    };
    return { name: wanted, generation: loaded.generation, encoder: loaded.encoder, release };
  }

  /** Closes the models that were loaded here, and those that are being loaded. */
  close(): void {
    this.#closing.abort(new FoveaError("closed", "The server was closed while its models were loaded."));
    for (const { encoder, own } of this.#loaded.values()) if (own) encoder.close();
    this.#loaded.clear();
  }
}

export function notReady(): HttpError {
  return new HttpError(503, "not_ready", "The models are still being loaded; ask again in a moment.", {
    retryAfter: 1,
  });
}
