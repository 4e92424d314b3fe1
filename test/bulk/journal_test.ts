/** The journal after a kill: whole frames stay, a broken end is cut off and written over. */
import assert from "node:assert/strict";
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openJournal, readJournal } from "../../runtime/bulk/journal.ts";
import { readVectors } from "../../runtime/bulk/mod.ts";
import { shardPath } from "../../runtime/bulk/shards.ts";
import { VectorSink } from "../../runtime/bulk/vector_sink.ts";
import { entriesOf, type VectorEntry } from "../../runtime/bulk/vectors.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { detectHost, type Host } from "../../runtime/host/mod.ts";
import { hasCode } from "../kit/assertions.ts";
import { withFolder } from "../kit/folder.ts";
import { HEAD, madeUpTable } from "./vectors.ts";

const names = (entries: readonly VectorEntry[]): readonly string[] => entries.map(({ row }) => row.path);

test("a journal that was cut at any byte gives what was whole before, and goes on from there", async () => {
  const host = await detectHost();
  await withFolder(async (folder) => {
    const path = join(folder, "x.journal");
    const entries = entriesOf(madeUpTable(4, 3));
    const journal = await openJournal(host, path, HEAD, 0);
    const ends: number[] = [];
    for (const entry of entries.slice(0, 3)) {
      await journal.append([entry]);
      ends.push(readFileSync(path).length);
    }
    await journal.close();
    const whole = readFileSync(path);
    for (let cut = 0; cut <= whole.length; cut += cut === whole.length ? 1 : Math.min(7, whole.length - cut)) {
      writeFileSync(path, whole.subarray(0, cut));
      const left = await readJournal(host, path);
      assert.equal(left?.entries.length, ends.filter((end) => end <= cut).length, `cut at ${cut}`);
      const next = await openJournal(host, path, HEAD, left?.bytes ?? 0);
      await next.append([entries[3]]);
      await next.close();
      assert.deepEqual(names((await readJournal(host, path))?.entries ?? []), [
        ...names(left?.entries ?? []),
        entries[3].row.path,
      ]);
    }
  });
});

test("a journal whose bits were turned ends where they were", async () => {
  const host = await detectHost();
  await withFolder(async (folder) => {
    const path = join(folder, "x.journal");
    const journal = await openJournal(host, path, HEAD, 0);
    const start = readFileSync(path).length;
    await journal.append(entriesOf(madeUpTable(2, 3)));
    await journal.close();
    const whole = readFileSync(path);
    for (const at of [start, start + 5, start + 9, whole.length - 1]) {
      const turned = Buffer.from(whole);
      turned[at] ^= 0x10;
      writeFileSync(path, turned);
      assert.equal((await readJournal(host, path))?.entries.length, at === whole.length - 1 ? 1 : 0, `byte ${at}`);
    }
  });
});

test("a sink's shards hold so many rows each; what one process left the next takes up", async () => {
  const host = await detectHost();
  await withFolder(async (folder) => {
    const out = join(folder, "x.safetensors");
    const pathOf = (number: number): string => shardPath(out, number);
    const entries = entriesOf(madeUpTable(11, 3));
    const options = { host, head: HEAD, pathOf, shardRows: 4 };
    const first = await VectorSink.open({ ...options, first: 0 });
    await Promise.all(entries.slice(0, 6).map(({ row, vector }) => first.append(row, vector)));
    await first.close();
    assert.deepEqual(readdirSync(folder).sort(), ["x-00000.safetensors", "x-00001.safetensors.journal"]);
    const second = await VectorSink.open({ ...options, first: 1 });
    assert.deepEqual(names(second.entries), names(entries.slice(4, 6)));
    await Promise.all(entries.slice(6).map(({ row, vector }) => second.append(row, vector)));
    await second.finish();
    assert.deepEqual(
      readdirSync(folder).sort(),
      [0, 1, 2].map((n) => `x-0000${n}.safetensors`),
    );
    const tables = await Promise.all([0, 1, 2].map((n) => readVectors(pathOf(n))));
    assert.deepEqual(
      tables.map(({ rows }) => rows.length),
      [4, 4, 3],
    );
    assert.deepEqual(
      tables.flatMap(({ rows }) => rows),
      entries.map(({ row }) => row),
    );
  });
});

test("rows that follow at once on each other's end are all written", async () => {
  const host = await detectHost();
  await withFolder(async (folder) => {
    const out = join(folder, "x.npy");
    const sink = await VectorSink.open({ host, head: HEAD, pathOf: () => out, first: 0 });
    for (const { row, vector } of entriesOf(madeUpTable(20, 3))) await sink.append(row, vector);
    await sink.finish();
    assert.equal((await readVectors(out)).rows.length, 20);
  });
});

test("a journal that a kill left full is a file of its own, of no more rows than others", async () => {
  const host = await detectHost();
  await withFolder(async (folder) => {
    const pathOf = (number: number): string => shardPath(join(folder, "x.parquet"), number);
    const entries = entriesOf(madeUpTable(5, 3));
    const killed = await VectorSink.open({ host, head: HEAD, pathOf, first: 0 });
    for (const { row, vector } of entries.slice(0, 2)) await killed.append(row, vector);
    await killed.close();
    const sink = await VectorSink.open({ host, head: HEAD, pathOf, first: 0, shardRows: 2 });
    for (const { row, vector } of entries.slice(2)) await sink.append(row, vector);
    await sink.finish();
    const tables = await Promise.all([0, 1, 2].map((n) => readVectors(pathOf(n))));
    assert.deepEqual(
      tables.map(({ rows }) => rows.length),
      [2, 2, 1],
    );
    assert.deepEqual(
      tables.flatMap(({ rows }) => rows),
      entries.map(({ row }) => row),
    );
  });
});

test("what cannot be written is told to everyone who waits, and stays so", async () => {
  const host = await detectHost();
  await withFolder(async (folder) => {
    const out = join(folder, "missing", "x.parquet");
    const sink = await VectorSink.open({ host, head: HEAD, pathOf: () => out, first: 0 });
    const [one, two] = entriesOf(madeUpTable(2, 3));
    const both = await Promise.allSettled([one, two].map(({ row, vector }) => sink.append(row, vector)));
    assert.deepEqual(
      both.map(({ status }) => status),
      ["rejected", "rejected"],
    );
    await assert.rejects(sink.append(one.row, one.vector), /there is no folder/);
    await assert.rejects(sink.finish(), /there is no folder/);
  });
});

test("a closed sink takes nothing more, so that what is in its journal stays", async () => {
  const host = await detectHost();
  await withFolder(async (folder) => {
    const out = join(folder, "x.parquet");
    const entries = entriesOf(madeUpTable(4, 3));
    const options = { host, head: HEAD, pathOf: () => out, first: 0 };
    const sink = await VectorSink.open(options);
    for (const { row, vector } of entries.slice(0, 3)) await sink.append(row, vector);
    await sink.close();
    // A file that was still being encoded when another one ended the run.
    const [late] = await Promise.allSettled([sink.append(entries[3].row, entries[3].vector)]);
    assert.equal(late.status, "rejected");
    assert.deepEqual(names((await VectorSink.open(options)).entries), names(entries.slice(0, 3)));
  });
});

test("a journal that cannot be begun leaves no open file", async () => {
  const host = await detectHost();
  let open = 0;
  const full: Host = Object.create(host, {
    openForWriting: {
      value: async () => {
        open++;
        return {
          write: async () => {
            throw new FoveaError("file.no_space", "The disk is full.");
          },
          sync: async () => {},
          close: async () => {
            open--;
          },
        };
      },
    },
  });
  await assert.rejects(openJournal(full, "x.journal", HEAD, 0), hasCode("file.no_space", /The disk is full/));
  assert.equal(open, 0);
});

test("of two runs with one output the later goes on, and the earlier stops and loses nothing", async () => {
  const host = await detectHost();
  for (const broken of [0, 500]) {
    await withFolder(async (folder) => {
      const out = join(folder, "x.parquet");
      const options = { host, head: HEAD, pathOf: () => out, first: 0 };
      const entries = entriesOf(madeUpTable(6, 3));
      const append = (sink: VectorSink, ...places: number[]): Promise<unknown> =>
        Promise.all(places.map((i) => sink.append(entries[i].row, entries[i].vector)));
      const before = await VectorSink.open(options);
      await append(before, 0);
      await before.close();
      // What a kill left of a row.
      appendFileSync(`${out}.journal`, new Uint8Array(broken).fill(7));
      const earlier = await VectorSink.open(options);
      await append(earlier, 1);
      const later = await VectorSink.open(options);
      await append(later, 2);
      const taken = hasCode("taken_over", /^Another run .*x\.parquet\.journal .* --resume\.$/);
      await assert.rejects(append(earlier, 3), taken);
      await assert.rejects(earlier.finish(), taken);
      await earlier.close();
      await append(later, 4);
      const latest = await VectorSink.open(options);
      await append(latest, 5);
      // Everything is encoded, and the file about to be written.
      await assert.rejects(later.finish(), taken);
      await later.close();
      await latest.finish();
      assert.deepEqual(readdirSync(folder), ["x.parquet"]);
      const { rows } = await readVectors(out);
      assert.deepEqual(
        rows,
        [0, 1, 2, 4, 5].map((i) => entries[i].row),
      );
    });
  }
});

for (const [what, ends] of [
  ["whose journal another one made a file of", "later"],
  ["whose journal is gone before its first row", "earlier"],
] as const) {
  test(`a run ${what} stops, and begins no new one`, async () => {
    const host = await detectHost();
    await withFolder(async (folder) => {
      const out = join(folder, "x.npy");
      const options = { host, head: HEAD, pathOf: () => out, first: 0 };
      const [one, two] = entriesOf(madeUpTable(2, 3));
      const earlier = await VectorSink.open(options);
      await earlier.append(one.row, one.vector);
      const later = await VectorSink.open(options);
      const [ended, left] = ends === "later" ? [later, earlier] : [earlier, later];
      await ended.finish();
      await assert.rejects(left.append(two.row, two.vector), hasCode("taken_over", /^Another run/));
      await left.close();
      assert.deepEqual(readdirSync(folder).sort(), ["x.npy", "x.npy.jsonl"]);
      assert.equal((await readVectors(out)).rows.length, 1);
    });
  });
}
