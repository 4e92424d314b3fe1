/** Dynamic batching: items of many requests that have one form share a call, oldest first. */
import type { Tensors } from "../../abi/encoder.ts";
import { internal } from "../../core/diagnostics.ts";
import { type CostCurve, createCostCurve } from "./cost_curve.ts";
import type { EncodeItem } from "./items.ts";

/** Encodes items of one form; results of each. */
export type RunItems = (items: readonly EncodeItem[], signal: AbortSignal) => Promise<readonly Tensors[]>;

export interface BatchRequest {
  readonly item: EncodeItem;
  /** Items of equal lanes and forms share a call: one model as it is loaded now, one choice of results. */
  readonly lane: string;
  readonly run: RunItems;
  /** Ends the item alone: what waits is taken out, what runs goes on as long as others need it. */
  readonly signal: AbortSignal;
}

/** A call that ended. */
export interface BatchReport {
  readonly lane: string;
  readonly items: number;
  readonly rows: number;
  readonly ms: number;
  /** Milliseconds that its oldest item waited. */
  readonly waitedMs: number;
}

export interface BatcherOptions {
  /** Milliseconds that an item waits for others of its form while nothing runs. */
  readonly maxWait: number;
  /** Predicted milliseconds of a call that no further item is added to. One item may take longer. */
  readonly batchMs: number;
  readonly now: () => number;
  readonly onBatch?: (report: BatchReport) => void;
}

/** Forms whose times are remembered. */
const MOST_CURVES = 4096;

interface Waiting extends BatchRequest {
  readonly key: string;
  readonly arrived: number;
  readonly resolve: (results: Tensors) => void;
  readonly reject: (reason: unknown) => void;
  settled: boolean;
}

/**
 * One call runs at a time, for the device is one. While it runs, items gather; the next call takes the oldest item and all that
 * fit beside it: of its form, so that nothing is padded, in the order in which they came, until the curve of measured times
 * says that the call is long enough. What was never measured grows by doubling, so that no prediction is far from what is known.
 */
export class Batcher {
  readonly #options: BatcherOptions;
  readonly #waiting: Waiting[] = [];
  readonly #curves = new Map<string, CostCurve>();
  /** Inputs by their signal, which has one listener however many they are. */
  readonly #bySignal = new Map<AbortSignal, { readonly inputs: Set<Waiting>; readonly onAbort: () => void }>();
  /** Called when any input of the running call is given up. */
  #onGivenUp: (() => void) | undefined;
  #running = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: BatcherOptions) {
    this.#options = options;
  }

  /** Items that wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Bytes that waiting items hold. */
  get waitingBytes(): number {
    return this.#waiting.reduce((sum, { item }) => sum + item.bytes, 0);
  }

  /** Milliseconds until all that waits is done, as far as it can be predicted. */
  predictMs(): number {
    const rows = new Map<string, number>();
    for (const { key, item } of this.#waiting) rows.set(key, (rows.get(key) ?? 0) + item.rows);
    return [...rows].reduce((sum, [key, n]) => sum + (this.#curves.get(key)?.predict(n) ?? this.#options.batchMs), 0);
  }

  /** Waits for the item's turn and result. @throws what encoding throws; the signal's reason on abort */
  submit(request: BatchRequest): Promise<Tensors> {
    const { signal, lane, item } = request;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const key = `${lane} ${item.form}`;
      const waiting: Waiting = { ...request, key, arrived: this.#options.now(), resolve, reject, settled: false };
      this.#follow(waiting);
      this.#waiting.push(waiting);
      this.#look();
    });
  }

  #follow(waiting: Waiting): void {
    const { signal } = waiting;
    const known = this.#bySignal.get(signal);
    if (known !== undefined) {
      known.inputs.add(waiting);
      return;
    }
    const inputs = new Set([waiting]);
    const onAbort = (): void => {
      for (const one of [...inputs]) {
        const at = this.#waiting.indexOf(one);
        if (at >= 0) this.#waiting.splice(at, 1);
        this.#settle(one, () => one.reject(signal.reason));
      }
      this.#onGivenUp?.();
      // The clock was set for what was the oldest.
      this.#look();
    };
    this.#bySignal.set(signal, { inputs, onAbort });
    signal.addEventListener("abort", onAbort, { once: true });
  }

  #settle(waiting: Waiting, say: () => void): void {
    if (waiting.settled) return;
    waiting.settled = true;
    const { signal } = waiting;
    const known = this.#bySignal.get(signal);
    known?.inputs.delete(waiting);
    if (known?.inputs.size === 0) {
      this.#bySignal.delete(signal);
      signal.removeEventListener("abort", known.onAbort);
    }
    say();
  }

  /** Starts a call when there is one to start, or sets the clock for the oldest item. */
  #look(): void {
    clearTimeout(this.#timer);
    if (this.#running || this.#waiting.length === 0) return;
    const { full, pack } = this.#choose();
    const rest = this.#waiting[0].arrived + this.#options.maxWait - this.#options.now();
    if (!full && rest > 0) {
      this.#timer = setTimeout(() => this.#look(), rest);
      return;
    }
    for (const one of pack) this.#waiting.splice(this.#waiting.indexOf(one), 1);
    this.#running = true;
    void this.#run(pack).then((deliver) => {
      this.#running = false;
      // The device works on while results are written.
      this.#look();
      deliver();
    });
  }

  /** The oldest item and what goes with it. */
  #choose(): { readonly pack: readonly Waiting[]; readonly full: boolean } {
    const [oldest] = this.#waiting;
    const curve = this.#curves.get(oldest.key);
    const pack: Waiting[] = [];
    let rows = 0;
    for (const one of this.#waiting) {
      if (one.key !== oldest.key) continue;
      const next = rows + one.item.rows;
      if (pack.length > 0 && !this.#fits(curve, next)) return { pack, full: true };
      pack.push(one);
      rows = next;
    }
    return { pack, full: !this.#fits(curve, rows + oldest.item.rows) };
  }

  #fits(curve: CostCurve | undefined, rows: number): boolean {
    if (curve === undefined || rows > 2 * curve.largest) return false;
    return (curve.predict(rows) ?? internal("a curve without a measurement")) <= this.#options.batchMs;
  }

  /** Runs a call; what it returns tells those who wait. */
  async #run(pack: readonly Waiting[]): Promise<() => void> {
    const { now, onBatch } = this.#options;
    const [{ key, lane, arrived }] = pack;
    const begin = now();
    const rows = pack.reduce((sum, { item }) => sum + item.rows, 0);
    try {
      const results = await this.#encode(pack);
      const ms = now() - begin;
      const curve = this.#curves.get(key) ?? createCostCurve();
      this.#keep(key, curve);
      curve.add(rows, ms);
      onBatch?.({ lane, items: pack.length, rows, ms, waitedMs: begin - arrived });
      return () => {
        for (const [i, one] of pack.entries()) this.#settle(one, () => one.resolve(results[i]));
      };
    } catch (error) {
      if (pack.length === 1) return () => this.#settle(pack[0], () => pack[0].reject(error));
      // What one item breaks is not the others' fault: each runs by itself.
      const told: (() => void)[] = [];
      for (const one of pack) if (!one.settled) told.push(await this.#run([one]));
      return () => {
        for (const tell of told) tell();
      };
    }
  }

  /** Keeps a curve as the one used last; of many forms those unused for longest go. */
  #keep(key: string, curve: CostCurve): void {
    this.#curves.delete(key);
    this.#curves.set(key, curve);
    if (this.#curves.size > MOST_CURVES) this.#curves.delete(this.#curves.keys().next().value as string);
  }

  /** Encodes until nobody wants the results any more. */
  async #encode(pack: readonly Waiting[]): Promise<readonly Tensors[]> {
    const controller = new AbortController();
    const look = (): void => {
      if (pack.every(({ signal }) => signal.aborted)) controller.abort(pack[0].signal.reason);
    };
    this.#onGivenUp = look;
    try {
      look();
      return await pack[0].run(
        pack.map(({ item }) => item),
        controller.signal,
      );
    } finally {
      this.#onGivenUp = undefined;
    }
  }
}
