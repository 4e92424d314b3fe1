/** What of the browsers' host needs no browser; tools/check_browser.mjs tries the rest in one. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { createDirectoryStore } from "../../runtime/exec/store/directory_store.ts";
import { createBrowserFiles, type EntryCache, openCacheStorage } from "../../runtime/host/browser_files.ts";
import { browserName } from "../../runtime/host/browser_name.ts";
import { createSha1 } from "../../runtime/host/sha1.ts";
import { hasCode } from "../kit/assertions.ts";

/** A cache in memory that keeps what was put, as the Web's does. */
function memoryCache(): EntryCache & {
  readonly kept: Map<string, { bytes: Uint8Array; headers: [string, string][] }>;
} {
  const kept = new Map<string, { bytes: Uint8Array; headers: [string, string][] }>();
  return {
    kept,
    match: async (url) => {
      const found = kept.get(url);
      return found && new Response(found.bytes.slice(), { headers: found.headers });
    },
    put: async (url, response) => {
      const bytes = new Uint8Array(await response.arrayBuffer());
      kept.set(new URL(url).href, { bytes, headers: [...response.headers] });
    },
    delete: async (url) => kept.delete(url),
    keys: async () => [...kept.keys()].map((url) => ({ url })),
  };
}

const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i * 7);

test("browser files are written whole, read at positions, listed in order, renamed and removed", async () => {
  const files = createBrowserFiles(async () => memoryCache());
  await files.writeFileAtomic("fovea/deep/b.bin", new Uint8Array(3));
  await files.writeFileAtomic("fovea/deep/b.bin", bytes);
  await files.writeFileAtomic("fovea/deep/a name? 50%#.bin", bytes.subarray(0, 5));
  await files.writeFileAtomic("./fovea//top", new Uint8Array(0));
  assert.deepEqual(await files.readFile("fovea/deep/b.bin"), bytes);
  assert.deepEqual(await files.listDir("fovea/deep/"), [
    { name: "a name? 50%#.bin", kind: "file" },
    { name: "b.bin", kind: "file" },
  ]);
  assert.deepEqual(await files.listDir("fovea"), [
    { name: "deep", kind: "directory" },
    { name: "top", kind: "file" },
  ]);
  assert.deepEqual(await files.listDir(""), [{ name: "fovea", kind: "directory" }]);
  const { kind, size, modified } = await files.stat("fovea/deep/b.bin");
  assert.deepEqual({ kind, size }, { kind: "file", size: 1000 });
  assert.ok(Math.abs(Date.now() - modified) < 60_000);
  assert.equal((await files.stat("fovea/deep")).kind, "directory");
  const file = await files.openFile("fovea/deep/b.bin");
  const into = new Uint8Array(20);
  assert.equal(file.size, 1000);
  assert.equal(await file.read(into, 990), 10);
  assert.deepEqual(into.subarray(0, 10), bytes.subarray(990));
  await file.close();
  await files.rename("fovea/deep/b.bin", "fovea/c");
  assert.deepEqual(await files.readFile("fovea/c"), bytes);
  await files.remove("fovea/c");
  await files.remove("fovea/c");
  for (const gone of ["fovea/c", "fovea/deep/b.bin", "fovea/de"]) {
    await assert.rejects(files.readFile(gone), hasCode("file.not_found", /^Cannot read fovea\/\S+: it does not exist/));
    await assert.rejects(files.stat(gone), hasCode("file.not_found", /does not exist/));
  }
});

test("browser files serve as a runtime's cache, under one address for each key", async () => {
  const cache = memoryCache();
  const problems: string[] = [];
  const store = createDirectoryStore(
    { ...createBrowserFiles(async () => cache), mkdir: async () => undefined },
    "fovea",
    {
      onProblem: (sentence) => problems.push(sentence),
    },
  );
  assert.equal(await store.get("blobs/aa"), undefined);
  await store.put("blobs/aa", bytes);
  await store.put("requests/bb", bytes.subarray(1));
  assert.deepEqual(await store.get("blobs/aa"), bytes);
  assert.deepEqual(await store.list?.("blobs/"), ["blobs/aa"]);
  assert.deepEqual([...cache.kept.keys()].sort(), [
    "https://files.fovea.invalid/fovea/blobs/aa",
    "https://files.fovea.invalid/fovea/requests/bb",
  ]);
  await store.delete("blobs/aa");
  assert.equal(await store.get("blobs/aa"), undefined);
  assert.deepEqual(problems, []);
});

test("browser files that have no place are told once, and the runtime goes on", async () => {
  const none = createBrowserFiles(() =>
    Promise.reject(Object.assign(new Error("The operation is insecure."), { name: "SecurityError" })),
  );
  const problems: string[] = [];
  const store = createDirectoryStore({ ...none, mkdir: async () => undefined }, "fovea", {
    onProblem: (sentence) => problems.push(sentence),
  });
  await store.put("blobs/aa", bytes);
  assert.equal(await store.get("blobs/aa"), undefined);
  assert.equal(problems.length, 1);
  assert.match(problems[0], /^The cache folder fovea does not work: .*access is denied/);
  const full = createBrowserFiles(async () => ({
    ...memoryCache(),
    put: () => Promise.reject(Object.assign(new Error("quota"), { name: "QuotaExceededError" })),
  }));
  await assert.rejects(full.writeFileAtomic("a", bytes), hasCode("file.no_space", /no space is left/));
});

test("a page that is not secure has no place for files", async () => {
  await assert.rejects(openCacheStorage({}), hasCode("file.denied", /keeps files for secure pages alone/));
  const cache = memoryCache();
  assert.equal(await openCacheStorage({ caches: { open: async () => cache } }), cache);
});
test("browsers are told apart by what they say of themselves", () => {
  const chromium = "AppleWebKit/537.36 (KHTML, like Gecko)";
  const names: readonly (readonly [string, string, string])[] = [
    [`Mozilla/5.0 (X11; Linux x86_64) ${chromium} HeadlessChrome/150.0.0.0 Safari/537.36`, "Chrome 150", "V8 150"],
    [`Mozilla/5.0 (Windows NT 10.0) ${chromium} Chrome/149.0.0.0 Safari/537.36 Edg/149.0.0.0`, "Edge 149", "V8 149"],
    ["Mozilla/5.0 (X11; Linux x86_64; rv:152.0) Gecko/20100101 Firefox/152.0", "Firefox 152", "SpiderMonkey"],
    [
      "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15",
      "Safari 26",
      "JavaScriptCore",
    ],
    [
      "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/150.0 Mobile/15E148 Safari/604.1",
      "Safari 150",
      "JavaScriptCore",
    ],
    ["curl/8.9", "unknown", "unknown"],
  ];
  for (const [agent, version, engine] of names) assert.deepEqual(browserName(agent), { version, engine });
});

test("SHA-1 of bytes that come in pieces is the platform's", () => {
  for (let length = 0; length < 300; length += length < 140 ? 1 : 37) {
    const digest = createSha1();
    digest.update(bytes.subarray(0, length >> 1));
    digest.update(bytes.subarray(length >> 1, length));
    assert.equal(digest.hex(), createHash("sha1").update(bytes.subarray(0, length)).digest("hex"), `${length} bytes`);
  }
});
