/** Dynamic batching: items of many requests that have one form share a call, oldest first. */
import type { Tensors } from "../../abi/encoder.ts";
import { internal } from "../../core/diagnostics.ts";
import { type Arrivals, createArrivals, waitsUntil } from "./company.ts";
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
  /** Milliseconds that an item waits at most for others of its form while nothing runs; less where that is not worth it. */
  readonly maxWait: number;
  /** Predicted milliseconds of a call that no further item is added to. One item may take longer. */
  readonly batchMs: number;
  readonly now: () => number;
  readonly onBatch?: (report: BatchReport) => void;
}

/** Forms of which something is remembered. */
const MOST_FORMS = 4096;

/** What is known of a form's items: the times of their calls, and how often they come. */
interface Form {
  readonly curve: CostCurve;
  readonly arrivals: Arrivals;
}

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
  readonly #forms = new Map<string, Form>();
  /** Inputs by their signal, which has one listener however many they are. */
  readonly #bySignal = new Map<AbortSignal, { readonly inputs: Set<Waiting>; readonly onAbort: () => void }>();
  /** Called when any input of the running call is given up. */
  #onGivenUp: (() => void) | undefined;
  #running = false;
  #looksSoon = false;
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
    return [...rows].reduce(
      (sum, [key, n]) => sum + (this.#forms.get(key)?.curve.predict(n) ?? this.#options.batchMs),
      0,
    );
  }

  /** Waits for the item's turn and result. @throws what encoding throws; the signal's reason on abort */
  submit(request: BatchRequest): Promise<Tensors> {
    const { signal, lane, item } = request;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const key = `${lane} ${item.form}`;
      const arrived = this.#options.now();
      this.#formOf(key).arrivals.note(arrived);
      const waiting: Waiting = { ...request, key, arrived, resolve, reject, settled: false };
      this.#follow(waiting);
      this.#waiting.push(waiting);
      this.#lookSoon();
    });
  }

  /** Once for all items that come in one turn of the event loop. */
  #lookSoon(): void {
    if (this.#looksSoon) return;
    this.#looksSoon = true;
    queueMicrotask(() => {
      this.#looksSoon = false;
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
    const rest = full ? 0 : this.#waitsUntil(pack) - this.#options.now();
    if (rest > 0) {
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

  /** When a pack that is not full goes. */
  #waitsUntil(pack: readonly Waiting[]): number {
    const [{ key, item, arrived }] = pack;
    const { curve, arrivals } = this.#formOf(key);
    const rows = pack.reduce((sum, one) => sum + one.item.rows, 0);
    const worth = waitsUntil({ inputs: pack.length, rows, nextRows: item.rows }, curve, arrivals);
    return Math.min(arrived + this.#options.maxWait, worth);
  }

  /** The oldest item and what goes with it. */
  #choose(): { readonly pack: readonly Waiting[]; readonly full: boolean } {
    const [oldest] = this.#waiting;
    const { curve } = this.#formOf(oldest.key);
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

  #fits(curve: CostCurve, rows: number): boolean {
    if (rows > 2 * curve.largest) return false;
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
      this.#formOf(key).curve.add(rows, ms);
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

  /** What is known of a form, which is then the one used last; of many those unused for longest go. */
  #formOf(key: string): Form {
    const form = this.#forms.get(key) ?? { curve: createCostCurve(), arrivals: createArrivals() };
    this.#forms.delete(key);
    this.#forms.set(key, form);
    if (this.#forms.size > MOST_FORMS) this.#forms.delete(this.#forms.keys().next().value as string);
    return form;
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
