/** Files of vectors: what is written is read, and what is no such file is said. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { FoveaError } from "../../mod.ts";
import { findHead, readVectors, writeVectors } from "../../runtime/bulk/mod.ts";
import { withFolder } from "../kit/folder.ts";
import { readSafetensors } from "../kit/read_safetensors.ts";
import { HEAD, madeUpTable } from "./vectors.ts";

for (const end of [".parquet", ".safetensors", ".npy"]) {
  test(`${end}: rows and the bits of vectors come back, over a row group's end and for one row`, async () => {
    await withFolder(async (folder) => {
      for (const [count, width] of [
        [2051, 3],
        [1, 64],
      ]) {
        const table = madeUpTable(count, width);
        const path = join(folder, `x${end}`);
        await writeVectors(path, table);
        const found = await readVectors(path);
        assert.deepEqual(found.head, HEAD);
        assert.deepEqual(found.rows, table.rows);
        assert.equal(found.width, width);
        assert.deepEqual(new Uint32Array(found.vectors.buffer), new Uint32Array(table.vectors.buffer));
        assert.deepEqual(await findHead(path), HEAD);
      }
      assert.ok(readdirSync(folder).every((name) => name.startsWith(`x${end}`) && !name.endsWith(".unfinished")));
    });
  });
}

test("safetensors and NumPy files have the layout that others read", async () => {
  await withFolder(async (folder) => {
    const table = madeUpTable(3, 2);
    await writeVectors(join(folder, "x.safetensors"), table);
    const vectors = readSafetensors(join(folder, "x.safetensors")).get("vectors");
    assert.deepEqual(vectors?.shape, [3, 2]);
    await writeVectors(join(folder, "x.npy"), table);
    const npy = readFileSync(join(folder, "x.npy"));
    const start = npy.length - table.vectors.byteLength;
    assert.match(
      npy.subarray(0, start).toString("latin1"),
      /^.NUMPY.{4}\{'descr': '<f4', 'fortran_order': False, 'shape': \(3, 2\), \} *\n$/s,
    );
    assert.deepEqual(new Uint8Array(npy.subarray(start)), new Uint8Array(table.vectors.buffer));
    const lines = readFileSync(join(folder, "x.npy.jsonl"), "utf8").trimEnd().split("\n");
    assert.deepEqual(
      lines.slice(1).map((line) => JSON.parse(line)),
      table.rows,
    );
  });
});

test("a Parquet file ends as the format says, with the model in its metadata", async () => {
  await withFolder(async (folder) => {
    await writeVectors(join(folder, "x.parquet"), madeUpTable(5, 4));
    const bytes = readFileSync(join(folder, "x.parquet"));
    assert.equal(bytes.subarray(0, 4).toString(), "PAR1");
    assert.equal(bytes.subarray(-4).toString(), "PAR1");
    const footer = bytes.subarray(-8 - bytes.readUInt32LE(bytes.length - 8)).toString("latin1");
    for (const word of ["path", "digest", "size", "vector", "list", "element", HEAD.modelDigest]) {
      assert.ok(footer.includes(word), `the footer has no ${word}`);
    }
  });
});

const refusal = (code: string, words: RegExp) => (error: unknown) =>
  error instanceof FoveaError && error.code === code && words.test(error.message);

test("what is no file of vectors is refused with a sentence", async () => {
  await withFolder(async (folder) => {
    const at = (name: string): string => join(folder, name);
    await assert.rejects(
      readVectors(at("x.csv")),
      refusal("bad_usage", /x\.csv is no file of vectors by its name; use one of \.parquet/),
    );
    writeFileSync(at("x.parquet"), "not one");
    await assert.rejects(
      readVectors(at("x.parquet")),
      refusal("invalid_vectors", /x\.parquet is no Parquet file of vectors/),
    );
    const table = madeUpTable(4, 2);
    await writeVectors(at("x.npy"), table);
    await writeVectors(at("y.npy"), madeUpTable(5, 2));
    writeFileSync(at("x.npy.jsonl"), readFileSync(at("y.npy.jsonl")));
    await assert.rejects(readVectors(at("x.npy")), refusal("invalid_vectors", /do not belong together; delete both/));
    const strangers = ["", "{", "null", "[]", '{"npy": 5}\n{"path"'];
    for (const text of strangers) {
      writeFileSync(at("x.npy.jsonl"), text);
      await assert.rejects(
        readVectors(at("x.npy")),
        refusal("invalid_vectors", /x\.npy\.jsonl do not belong together/),
      );
    }
    writeFileSync(at("empty.npy"), "");
    writeFileSync(at("empty.npy.jsonl"), readFileSync(at("y.npy.jsonl")));
    await assert.rejects(readVectors(at("empty.npy")), refusal("invalid_vectors", /do not belong together/));
    rmSync(at("x.npy.jsonl"));
    await assert.rejects(
      readVectors(at("x.npy")),
      refusal(
        "invalid_vectors",
        /x\.npy does not say which model .*, for .*x\.npy\.jsonl is not there; give a file that/,
      ),
    );
    const bare = { vectors: { dtype: "F32", shape: [1, 1], data_offsets: [0, 4] } };
    const header = Buffer.from(JSON.stringify(bare).padEnd(80));
    const length = Buffer.alloc(8);
    length.writeUInt32LE(header.length);
    writeFileSync(at("x.safetensors"), Buffer.concat([length, header, Buffer.alloc(4)]));
    await assert.rejects(
      readVectors(at("x.safetensors")),
      refusal("invalid_vectors", /does not say which model its vectors are of/),
    );
    assert.equal(await findHead(at("none.parquet")), undefined);
    assert.equal(existsSync(at("none.parquet")), false);
  });
});
