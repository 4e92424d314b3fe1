/** Where vectors go as they come: a journal first, from which files of vectors are made. */
import { FoveaError } from "../core/diagnostics.ts";
import type { Host } from "../host/mod.ts";
import { isThere } from "./durable.ts";
import { writeVectors } from "./formats/format.ts";
import { type JournalWriter, journalOf, openJournal, readJournal } from "./journal.ts";
import {
  checkSameVectors,
  entriesOf,
  type FileRow,
  tableOf,
  type VectorEntry,
  type VectorHead,
  type VectorTable,
} from "./vectors.ts";

export interface VectorSinkOptions {
  readonly host: Host;
  readonly head: VectorHead;
  /** Path of the file with this number, counted from 0. */
  readonly pathOf: (number: number) => string;
  /** Number of the first file that is not there yet. */
  readonly first: number;
  /** Rows of a file, after which the next begins; one file holds all unless given. */
  readonly shardRows?: number;
  /** What the file holds already, where there is one file. */
  readonly base?: VectorTable;
  /** Order of new rows within a file; as they came unless given. */
  readonly rank?: (row: FileRow) => number;
}

interface Pending {
  readonly entry: VectorEntry;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One writer of one journal. What {@link append} resolved for is on the disk and is found there after a kill at any moment; a
 * file of vectors is renamed to its place when it is whole, and only then its journal deleted.
 */
export class VectorSink {
  readonly #options: VectorSinkOptions;
  readonly #pending: Pending[] = [];
  #entries: VectorEntry[];
  #number: number;
  #journalBytes: number;
  #journal: JournalWriter | undefined;
  #working: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #closed = false;
  readonly #written: string[] = [];

  private constructor(options: VectorSinkOptions, entries: readonly VectorEntry[], journalBytes: number) {
    this.#options = options;
    this.#entries = [...entries];
    this.#journalBytes = journalBytes;
    this.#number = options.first;
  }

  /** Takes up the journal of the first file, if there is one. @throws FoveaError `other_model` */
  static async open(options: VectorSinkOptions): Promise<VectorSink> {
    const { host, head, pathOf, first } = options;
    const path = journalOf(pathOf(first));
    const left = await readJournal(host, path);
    if (left?.head === undefined) return new VectorSink(options, [], 0);
    checkSameVectors(left.head, head, path);
    return new VectorSink(options, left.entries, left.bytes);
  }

  /** What is in the journal and in no file yet. */
  get entries(): readonly VectorEntry[] {
    return this.#entries;
  }

  /** Files that were written. */
  get written(): readonly string[] {
    return this.#written;
  }

  /**
   * Resolves when the vector would survive a power cut.
   * @throws FoveaError `file.no_space` and others of files; `taken_over` by another run; `closed` after {@link finish} and {@link close}
   */
  append(row: FileRow, vector: Float32Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure.error);
      // Its journal would be begun anew, over what lies in it.
      if (this.#closed) return reject(new FoveaError("closed", `${row.path} was encoded after its run had ended.`));
      this.#pending.push({ entry: { row, vector }, resolve, reject });
      this.#working ??= this.#work();
    });
  }

  /** Writes what waits, together: one wait for the disk serves all that came during the last one. */
  async #work(): Promise<void> {
    const { shardRows = Number.POSITIVE_INFINITY } = this.#options;
    // Those that come in the same turn go together.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      let now: readonly Pending[] = [];
      try {
        // A run that was killed may have left a journal that is full.
        if (this.#entries.length >= shardRows) await this.#finishFile();
        now = this.#pending.splice(0, shardRows - this.#entries.length);
        await this.#write(now.map(({ entry }) => entry));
        for (const { resolve } of now) resolve();
        if (this.#entries.length >= shardRows) await this.#finishFile();
      } catch (error) {
        this.#failure = { error };
        for (const { reject } of [...now, ...this.#pending.splice(0)]) reject(error);
      }
    }
    // In the turn that found nothing waiting: what comes next begins anew.
    this.#working = undefined;
  }

  async #write(entries: readonly VectorEntry[]): Promise<void> {
    const { host, head, pathOf } = this.#options;
    this.#journal ??= await openJournal(host, journalOf(pathOf(this.#number)), head, this.#journalBytes);
    await this.#journal.append(entries);
    this.#entries.push(...entries);
  }

  async #finishFile(): Promise<void> {
    const { host, head, pathOf, base, rank } = this.#options;
    const path = pathOf(this.#number);
    await this.#journal?.check();
    const latest = new Map(this.#entries.map((entry) => [entry.row.path, entry]));
    const fresh =
      rank === undefined ? [...latest.values()] : [...latest.values()].sort((a, b) => rank(a.row) - rank(b.row));
    const kept = base === undefined ? [] : entriesOf(base).filter(({ row }) => !latest.has(row.path));
    await writeVectors(host, path, tableOf(head, [...kept, ...fresh]));
    this.#written.push(path);
    await this.#journal?.close();
    await host.remove(journalOf(path));
    this.#journal = undefined;
    this.#journalBytes = 0;
    this.#entries = [];
    this.#number++;
  }

  /** Makes the last file. Nothing may be appended afterwards. */
  async finish(): Promise<void> {
    this.#closed = true;
    await this.#working;
    if (this.#failure !== undefined) throw this.#failure.error;
    const { host, pathOf } = this.#options;
    if (this.#entries.length > 0) await this.#finishFile();
    else if (await isThere(host, journalOf(pathOf(this.#number)))) await this.close(true);
  }

  /** Leaves the journal for the next run, or deletes an empty one. */
  async close(empty = false): Promise<void> {
    this.#closed = true;
    await this.#working;
    await this.#journal?.close();
    this.#journal = undefined;
    if (empty) await this.#options.host.remove(journalOf(this.#options.pathOf(this.#number)));
  }
}
