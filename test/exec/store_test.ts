import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { digestBytes } from "../../runtime/core/digest.ts";
import { getVerified, putContent } from "../../runtime/exec/store/content.ts";
import { createDirectoryStore, type StoreFiles } from "../../runtime/exec/store/directory_store.ts";
import { createMemoryStore } from "../../runtime/exec/store/memory_store.ts";
import { createOwnStore } from "../../runtime/exec/store/own_store.ts";
import type { Store } from "../../runtime/exec/store/store.ts";
import { detectHost } from "../../runtime/host/mod.ts";

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

async function withFolder(run: (folder: string, files: StoreFiles) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "fovea-store-"));
  try {
    await run(folder, await detectHost());
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A directory store and what it told. */
function watched(files: StoreFiles, dir: string): { readonly store: Store; readonly problems: string[] } {
  const problems: string[] = [];
  return { store: createDirectoryStore(files, dir, { onProblem: (sentence) => problems.push(sentence) }), problems };
}

async function checkStore(store: Store): Promise<void> {
  assert.equal(await store.get("blobs/aa"), undefined);
  assert.deepEqual(await store.list?.(""), []);
  const value = bytes(1, 2, 3);
  await store.put("blobs/aa", value);
  value[0] = 9;
  await store.put("blobs/ab", bytes());
  await store.put("requests/aa", bytes(4));
  const read = await store.get("blobs/aa");
  assert.deepEqual(new Uint8Array(read ?? []), bytes(1, 2, 3));
  if (read !== undefined) read[0] = 7;
  assert.deepEqual(new Uint8Array((await store.get("blobs/aa")) ?? []), bytes(1, 2, 3));
  assert.equal((await store.get("blobs/ab"))?.length, 0);
  await store.put("blobs/aa", bytes(5));
  assert.deepEqual(new Uint8Array((await store.get("blobs/aa")) ?? []), bytes(5));
  assert.deepEqual(await store.list?.(""), ["blobs/aa", "blobs/ab", "requests/aa"]);
  assert.deepEqual(await store.list?.("blobs/"), ["blobs/aa", "blobs/ab"]);
  assert.deepEqual(await store.list?.("blobs/ab"), ["blobs/ab"]);
  assert.deepEqual(await store.list?.("blob"), ["blobs/aa", "blobs/ab"]);
  await store.delete("blobs/aa");
  await store.delete("blobs/aa");
  assert.equal(await store.get("blobs/aa"), undefined);
  for (const key of ["", "/a", "a/", "a//b", "../a", "a/../b", "a/.", "A", "a b", "a\\b", "a.tmp", "a".repeat(201)]) {
    await assert.rejects(async () => store.get(key), /^Error: internal: ".*" is no store key$/, key);
    await assert.rejects(async () => store.put(key, bytes()), /no store key/, key);
    await assert.rejects(async () => store.delete(key), /no store key/, key);
  }
}

test("stores: memory", () => checkStore(createMemoryStore()));

test("stores: a folder, created when it is needed", () =>
  withFolder(async (folder, files) => {
    const { store, problems } = watched(files, `${folder}/deep/cache/`);
    await checkStore(store);
    assert.deepEqual(problems, []);
    const later = createDirectoryStore(files, `${folder}/deep/cache`);
    assert.deepEqual(new Uint8Array((await later.get("requests/aa")) ?? []), bytes(4));
    await writeFile(join(folder, "deep/cache/blobs/ab.1.tmp"), "left by a killed process");
    assert.deepEqual(await later.list?.("blobs/"), ["blobs/ab"]);
    assert.equal(later.description, `folder ${folder}/deep/cache`);
  }));

test("stores: values of a folder are read piece by piece; what is absent or breaks off is told apart from nothing", () =>
  withFolder(async (folder, files) => {
    const { store, problems } = watched(files, folder);
    assert.equal(await store.open?.("blobs/aa"), undefined);
    await store.put("blobs/aa", bytes(1, 2, 3, 4, 5));
    const value = await store.open?.("blobs/aa");
    assert.equal(value?.size, 5);
    const piece = new Uint8Array(3);
    assert.equal(await value?.read(piece, 1), 3);
    assert.deepEqual(piece, bytes(2, 3, 4));
    assert.equal(await value?.read(piece, 3), 2);
    await value?.close();
    await assert.rejects(async () => store.open?.("../a"), /no store key/);
    assert.deepEqual(problems, []);
    const breaking: StoreFiles = {
      ...files,
      openFile: async () => ({
        ...{ size: 5, close: async () => undefined },
        read: () => Promise.reject(new FoveaError("file.failed", "Cannot read it: so it is.")),
      }),
    };
    const broken = watched(breaking, folder);
    assert.equal(await (await broken.store.open?.("blobs/aa"))?.read(piece, 0), 0);
    assert.equal(broken.problems.length, 1);
  }));

test("stores: one of a caller's own that opens values is used so, and what it throws is told once", async () => {
  const problems: string[] = [];
  const inner = createMemoryStore();
  const own = createOwnStore(
    {
      ...inner,
      open: async (key) => {
        if (key === "blobs/ab") throw new Error("no way in");
        return { size: 1, read: () => Promise.reject(new Error("no way on")), close: async () => undefined };
      },
    },
    (sentence) => problems.push(sentence),
  );
  assert.equal(createOwnStore(inner, () => undefined).open, undefined);
  const value = await own.open?.("blobs/aa");
  assert.equal(await value?.read(new Uint8Array(1), 0), 0);
  await value?.close();
  assert.equal(await own.open?.("blobs/ab"), undefined);
  assert.equal(problems.length, 1);
  assert.match(problems[0], /no way on/);
});

test("stores: a damaged entry is deleted and counts as absent", () =>
  withFolder(async (folder, files) => {
    for (const store of [createMemoryStore(), createDirectoryStore(files, folder)]) {
      const digest = await putContent(store, "blobs", bytes(1, 2, 3));
      assert.equal(digest, digestBytes(bytes(1, 2, 3)));
      assert.deepEqual(new Uint8Array((await getVerified(store, `blobs/${digest}`, digest)) ?? []), bytes(1, 2, 3));
      for (const damaged of [bytes(1, 2, 4), bytes(1, 2), bytes()]) {
        await store.put(`blobs/${digest}`, damaged);
        assert.equal(await getVerified(store, `blobs/${digest}`, digest), undefined);
        assert.equal(await store.get(`blobs/${digest}`), undefined);
        await putContent(store, "blobs", bytes(1, 2, 3));
        assert.ok(await getVerified(store, `blobs/${digest}`, digest));
      }
      assert.equal(await getVerified(store, "blobs/none", digest), undefined);
    }
  }));

/** Uses a store that must not work, in every way. */
async function useBroken(store: Store): Promise<void> {
  const digest = await putContent(store, "blobs", bytes(1));
  await putContent(store, "blobs", bytes(2));
  assert.equal(await getVerified(store, `blobs/${digest}`, digest), undefined);
  assert.equal(await store.get("requests/aa"), undefined);
  await store.delete("requests/aa");
  assert.deepEqual(await store.list?.(""), []);
}

test("stores: a file in place of the folder, or above it, is told once", () =>
  withFolder(async (folder, files) => {
    await writeFile(join(folder, "plain"), "x");
    for (const dir of [`${folder}/plain`, `${folder}/plain/cache`]) {
      const { store, problems } = watched(files, dir);
      await useBroken(store);
      assert.equal(problems.length, 1);
      assert.match(
        problems[0],
        new RegExp(`^The cache folder ${dir} does not work: Cannot \\w+ ${folder}/plain.*file.*folder`),
      );
      assert.match(problems[0], /goes on without it .* --cache or FOVEA_CACHE_DIR\.$/);
    }
    assert.equal(await readFile(join(folder, "plain"), "utf8"), "x");
  }));

test("stores: a folder in place of an entry is told once", () =>
  withFolder(async (folder, files) => {
    await mkdir(join(folder, "blobs/aa"), { recursive: true });
    const { store, problems } = watched(files, folder);
    assert.equal(await store.get("blobs/aa"), undefined);
    await store.put("blobs/aa", bytes(1));
    await store.delete("blobs/aa");
    assert.equal(problems.length, 1);
    await store.put("blobs/ab", bytes(1));
    assert.equal((await store.get("blobs/ab"))?.length, 1);
  }));

test("stores: a folder that vanishes is made again", () =>
  withFolder(async (folder, files) => {
    const { store, problems } = watched(files, `${folder}/cache`);
    await store.put("blobs/aa", bytes(1));
    await rm(join(folder, "cache"), { recursive: true });
    assert.equal(await store.get("blobs/aa"), undefined);
    assert.deepEqual(await store.list?.(""), []);
    await store.put("blobs/aa", bytes(2));
    assert.deepEqual(new Uint8Array((await store.get("blobs/aa")) ?? []), bytes(2));
    assert.deepEqual(problems, []);
  }));

test("stores: a folder that cannot be written is told once, and is read from", () =>
  withFolder(async (folder, files) => {
    // Permissions do not bind root; no one writes below /proc.
    const locked = process.getuid?.() === 0 ? "/proc/self" : folder;
    await writeFile(join(folder, "status"), "x");
    await chmod(folder, 0o500);
    const { store, problems } = watched(files, locked);
    assert.ok(((await store.get("status"))?.length ?? 0) > 0);
    await store.put("blobs/ab", bytes(1));
    await store.put("blobs/ac", bytes(1));
    assert.equal(await store.get("blobs/ab"), undefined);
    assert.equal(problems.length, 1);
    assert.match(problems[0], new RegExp(`^The cache folder ${locked} does not work: Cannot \\w+ ${locked}`));
    await chmod(folder, 0o700);
  }));

/** Files that can be read, and fail with `code` when they are changed. */
function failing(files: StoreFiles, code: string, sentence: string): StoreFiles {
  const fail = async (): Promise<never> => {
    throw new FoveaError(code, sentence);
  };
  return {
    readFile: (path) => files.readFile(path),
    openFile: (path) => files.openFile(path),
    listDir: (path) => files.listDir(path),
    writeFileAtomic: fail,
    mkdir: fail,
    remove: fail,
  };
}

test("stores: a full, unwritable or broken disk is told once, and what is there is read", () =>
  withFolder(async (folder, files) => {
    await createDirectoryStore(files, folder).put("blobs/aa", bytes(1));
    for (const code of ["file.no_space", "file.read_only", "file.denied", "file.failed"]) {
      const { store, problems } = watched(failing(files, code, "Cannot write there: so it is."), folder);
      assert.equal((await store.get("blobs/aa"))?.length, 1);
      assert.deepEqual(problems, []);
      await store.put("blobs/ab", bytes(1));
      await store.put("blobs/ac", bytes(1));
      await store.delete("blobs/aa");
      assert.equal(problems.length, 1, code);
      assert.match(
        problems[0],
        /does not work: Cannot write there: so it is\. fovea goes on .* another folder with `cache`, on the command line with --cache or /,
      );
      assert.equal((await store.get("blobs/aa"))?.length, 1);
    }
    const unreadable: StoreFiles = {
      ...failing(files, "file.failed", "x"),
      readFile: () => Promise.reject(new Error("input/output error")),
      openFile: () => Promise.reject(new Error("input/output error")),
      listDir: () => Promise.reject(new FoveaError("file.denied", "Cannot list it: access is denied.")),
    };
    const { store, problems } = watched(unreadable, folder);
    await useBroken(store);
    assert.equal(problems.length, 1);
    await createDirectoryStore(unreadable, folder).get("blobs/aa");
  }));

test("stores: a strict one throws what is wrong, and takes absent entries as absent", () =>
  withFolder(async (folder, files) => {
    await createDirectoryStore(files, folder).put("blobs/aa", bytes(1));
    const broken = failing(files, "file.denied", "Cannot change it: access is denied.");
    const store = createDirectoryStore(broken, folder, { strict: true });
    assert.deepEqual(await store.list?.(""), ["blobs/aa"]);
    assert.equal((await store.get("blobs/aa"))?.length, 1);
    assert.equal(await store.get("blobs/ab"), undefined);
    const denied = { code: "file.denied", message: "Cannot change it: access is denied." };
    await assert.rejects(store.delete("blobs/aa"), denied);
    await assert.rejects(store.put("blobs/ab", bytes(1)), denied);
    await createDirectoryStore(files, folder, { strict: true }).delete("blobs/ab");
  }));

test("stores: two of them fill one folder at once, and readers see whole entries", () =>
  withFolder(async (folder, files) => {
    const first = watched(files, `${folder}/cache`);
    const second = watched(files, `${folder}/cache`);
    const contents = Array.from({ length: 40 }, (_, i) => new Uint8Array(20_000).fill(i));
    const fill = async ({ store }: { readonly store: Store }, from: number): Promise<void> => {
      for (let i = 0; i < contents.length; i++) {
        const digest = await putContent(store, "blobs", contents[(from + i) % contents.length]);
        const read = await store.get(`blobs/${digest}`);
        assert.equal(digestBytes(read ?? bytes()), digest);
        await store.put("requests/shared", new Uint8Array(50_000).fill(i));
      }
    };
    const watch = async (): Promise<void> => {
      for (let i = 0; i < 60; i++) {
        const read = await first.store.get("requests/shared");
        if (read === undefined) continue;
        assert.equal(read.length, 50_000);
        assert.ok(read.every((v) => v === read[0]));
      }
    };
    await Promise.all([fill(first, 0), fill(second, 0), fill(second, 20), watch()]);
    assert.deepEqual([...first.problems, ...second.problems], []);
    assert.equal((await first.store.list?.("blobs/"))?.length, contents.length);
    assert.deepEqual(
      (await readdir(join(folder, "cache/blobs"))).filter((n) => n.includes(".")),
      [],
    );
  }));
