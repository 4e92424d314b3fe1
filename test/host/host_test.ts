import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import type { WorkerHandle } from "../../runtime/abi/device.ts";
import { digestBytes, Sha256 } from "../../runtime/core/digest.ts";
import { cacheDirectory } from "../../runtime/host/cache_dir.ts";
import { fileError } from "../../runtime/host/file_error.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { queuePeerError } from "../../runtime/host/queue_peer.ts";

const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
const ECHO = new URL(`./echo_worker${EXTENSION}`, import.meta.url);

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "fovea-host-"));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Messages of a worker in the order of their arrival. */
function inbox(worker: WorkerHandle): () => Promise<unknown> {
  const messages: unknown[] = [];
  let wake = (): void => undefined;
  worker.onMessage((message) => {
    messages.push(message);
    wake();
  });
  return async () => {
    while (messages.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return messages.shift();
  };
}

test("the host names the runtime it runs in", async () => {
  const host = await detectHost();
  const expected = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node";
  assert.equal(host.name, expected);
  assert.match(host.version, /^\d+\.\d+/);
  assert.match(host.engine, expected === "bun" ? /JavaScriptCore/ : /^V8 \d/);
  assert.ok(host.cores >= 1);
  assert.ok(host.rss() > 1 << 20);
  const before = host.now();
  assert.ok(host.now() >= before);
  assert.equal(typeof host.isTerminal("stdout"), "boolean");
});

test("host: memory that may hold anything has exactly the bytes asked for, can be moved and is nobody else's", async () => {
  const { uncleared } = await detectHost();
  if (uncleared === undefined) return;
  for (const bytes of [0, 16, 65_536, 1_000_001]) {
    const one: ArrayBuffer = uncleared(bytes);
    const other: ArrayBuffer = uncleared(bytes);
    assert.deepEqual([one.byteLength, other.byteLength], [bytes, bytes]);
    new Uint8Array(one).fill(1);
    new Uint8Array(other).fill(2);
    assert.ok(new Uint8Array(one).every((v) => v === 1));
    const moved = structuredClone(one, { transfer: [one] });
    assert.deepEqual([moved.byteLength, one.byteLength], [bytes, 0]);
  }
});

test("files are written whole, read at positions, listed in order and removed", () =>
  withFolder(async (folder) => {
    const host = await detectHost();
    const path = `${folder}/deep/er/data.bin`;
    await host.mkdir(`${folder}/deep/er`);
    await host.mkdir(`${folder}/deep/er`);
    const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i * 7);
    await host.writeFileAtomic(path, new Uint8Array(3));
    await host.writeFileAtomic(path, bytes);
    assert.deepEqual(new Uint8Array(await host.readFile(path)), bytes);
    await host.writeFileAtomic(`${folder}/deep/er/B`, bytes);
    assert.deepEqual(await host.listDir(`${folder}/deep/er`), [
      { name: "B", kind: "file" },
      { name: "data.bin", kind: "file" },
    ]);
    assert.deepEqual(await host.listDir(folder), [{ name: "deep", kind: "directory" }]);
    const found = await host.stat(path);
    assert.equal(found.kind, "file");
    assert.equal(found.size, 1000);
    assert.ok(Math.abs(found.modified - Date.now()) < 600_000);

    const file = await host.openFile(path);
    assert.equal(file.size, 1000);
    const shared = new Uint8Array(new SharedArrayBuffer(64), 8, 16);
    assert.equal(await file.read(shared, 500), 16);
    assert.deepEqual(Array.from(shared), Array.from(bytes.subarray(500, 516)));
    const many = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const into = new Uint8Array(30);
        await file.read(into, i * 30);
        return into;
      }),
    );
    many.forEach((part, i) => {
      assert.deepEqual(part, bytes.subarray(i * 30, i * 30 + 30));
    });
    assert.equal(await file.read(new Uint8Array(100), 950), 50);
    assert.equal(await file.read(new Uint8Array(100), 2000), 0);
    await file.close();

    await host.remove(path);
    await host.remove(path);
    assert.equal((await host.listDir(`${folder}/deep/er`)).length, 1);
  }));

test("a read longer than a slice of the host arrives complete", () =>
  withFolder(async (folder) => {
    const host = await detectHost();
    const words = Uint32Array.from({ length: 5 << 20 }, (_, i) => Math.imul(i, 2654435761));
    await writeFile(`${folder}/big`, new Uint8Array(words.buffer));
    const file = await host.openFile(`${folder}/big`);
    const into = new Uint8Array(words.byteLength - 4);
    assert.equal(await file.read(into, 4), into.length);
    await file.close();
    const read = new Uint32Array(into.buffer);
    for (let i = 0; i < read.length; i++) if (read[i] !== words[i + 1]) assert.fail(`word ${i} differs`);
  }));

test("file errors are sentences with a code and the path", () =>
  withFolder(async (folder) => {
    const host = await detectHost();
    const missing = `${folder}/no-such-file`;
    const notFound = { name: "FoveaError", code: "file.not_found", message: new RegExp(`${missing}.*does not exist`) };
    await assert.rejects(host.readFile(missing), notFound);
    await assert.rejects(host.openFile(missing), notFound);
    await assert.rejects(host.stat(missing), notFound);
    await assert.rejects(host.listDir(missing), notFound);
    await assert.rejects(host.writeFileAtomic(`${missing}/x`, new Uint8Array(1)), { code: "file.not_found" });
    await assert.rejects(host.openFile(folder), { code: "file.kind" });
    await assert.rejects(host.readFile(folder), { code: "file.kind" });
    await host.writeFileAtomic(`${folder}/plain`, new Uint8Array(1));
    await assert.rejects(host.listDir(`${folder}/plain`), {
      code: "file.kind",
      message: /: a part of that path is a file, where a folder was expected\. Check the path\.$/,
    });
    await assert.rejects(host.writeFileAtomic(`${folder}/plain/x`, new Uint8Array(1)), { code: "file.kind" });
    await assert.rejects(host.mkdir(`${folder}/plain`), { code: "file.kind" });
    await assert.rejects(host.mkdir(`${folder}/plain/x`), { code: "file.kind" });
    assert.deepEqual(await host.listDir(folder), [{ name: "plain", kind: "file" }]);
  }));

const noProc = process.platform === "linux" ? false : "only Linux has /proc, where nobody can make folders";

test("a folder that cannot be made is an error and no endless search", { skip: noProc }, async () => {
  const host = await detectHost();
  await assert.rejects(host.mkdir("/proc/self/deep/er"), {
    name: "FoveaError",
    message: /^Cannot create \/proc\/self/,
  });
});

test("a failed write leaves no temporary file", () =>
  withFolder(async (folder) => {
    const host = await detectHost();
    await host.mkdir(`${folder}/taken/inner`);
    await assert.rejects(host.writeFileAtomic(`${folder}/taken`, new Uint8Array(1)), { name: "FoveaError" });
    assert.deepEqual(await host.listDir(folder), [{ name: "taken", kind: "directory" }]);
  }));

test("errors of all three runtimes become the same codes", () => {
  const named = (name: string): Error => Object.assign(new Error("x"), { name });
  const coded = (code: string): Error => Object.assign(new Error("x"), { code });
  assert.equal(fileError("read", "p", coded("EACCES")).code, "file.denied");
  assert.equal(fileError("read", "p", named("NotCapable")).code, "file.denied");
  assert.equal(fileError("write", "p", coded("ENOSPC")).code, "file.no_space");
  assert.equal(fileError("write", "p", coded("EROFS")).code, "file.read_only");
  const other = fileError("write", "p", coded("EIO"));
  assert.equal(other.code, "file.failed");
  assert.equal(other.message, 'Cannot write p: the system says "x".');
  const messageOf = (action: string, path: string, cause: Error): string => fileError(action, path, cause).message;
  assert.equal(messageOf("write", "a/b", coded("ENOENT")), "Cannot write a/b: there is no folder a. Create it first.");
  assert.equal(messageOf("read", "a/b", coded("ENOENT")), "Cannot read a/b: it does not exist. Check the path.");
  const asked = Object.assign(new Error('Requires read access to "p", run again with the --allow-read flag'), {
    name: "NotCapable",
  });
  assert.equal(messageOf("read", "p", asked), "Cannot read p: that is not permitted. Deno needs --allow-read.");
});

test("packages for queues that are missing, or that Deno may not load, are named with what to do", () => {
  const missing = queuePeerError(new Error("Cannot find package 'bullmq' imported from /a/b.js\nRequire stack: …"));
  assert.equal(missing.code, "missing_package");
  assert.match(
    missing.message,
    /do not load here: Cannot find package 'bullmq'\. Install them beside fovea with `npm /,
  );
  const denied = queuePeerError(new Error('Requires env access to "X", run again with the --allow-env flag'));
  assert.match(denied.message, /ioredis, which were not permitted to load\. Deno needs --allow-env\.$/);
});

test("the cache folder follows FOVEA_CACHE_DIR, then the platform", () => {
  const from = (values: Record<string, string>) => (name: string) => values[name];
  assert.equal(cacheDirectory("linux", from({ FOVEA_CACHE_DIR: "/c", HOME: "/h" })), "/c");
  assert.equal(cacheDirectory("linux", from({ HOME: "/h" })), "/h/.cache/fovea");
  assert.equal(cacheDirectory("linux", from({ HOME: "/h", XDG_CACHE_HOME: "/x" })), "/x/fovea");
  assert.equal(cacheDirectory("darwin", from({ HOME: "/h" })), "/h/Library/Caches/fovea");
  assert.equal(cacheDirectory("win32", from({ LOCALAPPDATA: "C:\\l" })), "C:\\l\\fovea\\cache");
  assert.equal(cacheDirectory("linux", from({})), undefined);
});

test("files of installed packages are found, absent ones named", async () => {
  const host = await detectHost();
  const wasm = await host.loadPackageFile("@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm");
  assert.deepEqual(Array.from(wasm.subarray(0, 4)), [0, 0x61, 0x73, 0x6d]);
  await assert.rejects(host.loadPackageFile("no-such-package/file.wasm"), {
    code: "package.missing",
    message: /no-such-package\/file\.wasm/,
  });
});

test("a file URL becomes a path", async () => {
  const host = await detectHost();
  const path = join(tmpdir(), "with space", "ü.bin");
  assert.equal(host.pathOf(pathToFileURL(path)), path);
});

test("a worker gets its data, messages in order and shared memory", async () => {
  const host = await detectHost();
  const shared = new Int32Array(new SharedArrayBuffer(8));
  const worker = host.spawnWorker(ECHO, { greeting: "hello", shared });
  const next = inbox(worker);
  const ended: string[] = [];
  worker.onEnd((reason) => ended.push(reason));
  worker.postMessage("first");
  worker.postMessage("second");
  assert.deepEqual(await next(), { ready: "hello" });
  assert.deepEqual(await next(), { echo: "first" });
  assert.deepEqual(await next(), { echo: "second" });
  assert.equal(Atomics.load(shared, 0), 2);
  await worker.terminate();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(ended, []);
});

test("the death of a worker is reported once, with its reason", async () => {
  const host = await detectHost();
  const end = (message: unknown): Promise<string[]> =>
    new Promise((resolve) => {
      const worker = host.spawnWorker(ECHO, { greeting: "" });
      const reasons: string[] = [];
      worker.onEnd((reason) => {
        reasons.push(reason);
        setTimeout(() => resolve(reasons), 100);
      });
      worker.postMessage(message);
    });
  assert.deepEqual(await end("exit"), ["it exited with code 3"]);
  const missing = new Promise<string>((resolve) => {
    host.spawnWorker(new URL("./no_such_worker.ts", ECHO), {}).onEnd(resolve);
  });
  assert.match(await missing, /no_such_worker/);
});

test("digests of a runtime's own are those of the code that every runtime has", async () => {
  await detectHost();
  const shared = new Uint8Array(new SharedArrayBuffer(200)).fill(7);
  const inside = new Uint8Array(300).fill(9).subarray(11, 211);
  for (const data of ["", "a lone \ud800 surrogate", new Uint8Array(0), inside, shared]) {
    assert.equal(digestBytes(data), new Sha256().update(data).hex());
  }
});
