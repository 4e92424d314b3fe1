/** `fovea enqueue`, `worker` and `queue` on one runtime: jobs by content, attempts, dead letters, collecting. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readVectors } from "../../runtime/bulk/mod.ts";
import { loadQueuePeer, type RedisClient } from "../../runtime/host/mod.ts";
import { withFolder } from "../kit/folder.ts";
import { runCli } from "../kit/run_cli.ts";
import { DIGITS } from "./pictures.ts";
import { withRedis } from "./redis.ts";

const IMAGES = join(DIGITS, "images");
const INLINE = ["--threads", "0"];

test("jobs are added once, tried again, kept as dead letters, retried, removed; results are collected", async () => {
  await withFolder(async (folder) => {
    const photos = join(folder, "photos");
    mkdirSync(photos);
    const names = readdirSync(IMAGES).sort().slice(0, 8);
    for (const name of names) copyFileSync(join(IMAGES, name), join(photos, name));
    writeFileSync(join(photos, "bad.png"), "no picture");
    const list = join(folder, "files.txt");
    writeFileSync(
      list,
      `# two more\n${join(photos, names[0])}\n${"0".repeat(64)}  changed.png\n${"1".repeat(64)}  gone.png\n`,
    );
    copyFileSync(join(IMAGES, names[0]), join(folder, "changed.png"));
    await withRedis(join(folder, "redis"), async ({ url }) => {
      const place = ["--queue", url, "--name", "test"];
      const json = async (code: number, ...args: string[]) => {
        const result = await runCli([...args, "--json"], {});
        assert.equal(result.code, code, result.stderr);
        return JSON.parse(result.stdout);
      };
      const nowhere = await runCli(["queue", "status", "--queue", `${url}/99`]);
      assert.deepEqual([nowhere.code, nowhere.stdout], [2, ""]);
      assert.match(nowhere.stderr, /^fovea: The server at redis:.* has no database 99\.\n$/);
      // A worker that was told wrong things ends, and the jobs are still there for others.
      const misled = ["--queue", url, "--name", "misled"];
      await json(0, "enqueue", DIGITS, join(photos, names[0]), ...misled, "--attempts", "3", "--backoff", "60000");
      const told = await runCli(["worker", ...misled, "--out", join(folder, "w"), "--model", "./nope", "--drain"]);
      assert.deepEqual([told.code, /There is no model folder \.\/nope/.test(told.stderr)], [2, true], told.stderr);
      await json(0, "enqueue", DIGITS, join(photos, names[1]), ...misled, "--attempts", "3", "--backoff", "60000");
      const placed = await runCli(["worker", ...misled, "--out", "/proc/nope", "--drain"]);
      assert.deepEqual([placed.code, /Cannot create \/proc\/nope/.test(placed.stderr)], [2, true], placed.stderr);
      const kept = { waiting: 0, active: 0, delayed: 2, completed: 0, failed: 0 };
      assert.deepEqual(await json(0, "queue", "status", ...misled), kept);
      await json(0, "queue", "remove", ...misled, "--force");
      const counts = (): Promise<object> => json(0, "queue", "status", ...place);
      const enqueue = [
        "enqueue",
        DIGITS,
        join(photos, "*.png"),
        list,
        ...place,
        "--attempts",
        "2",
        "--backoff",
        "50",
        ...INLINE,
      ];
      assert.equal((await json(0, ...enqueue)).added, 11);
      assert.equal((await json(0, ...enqueue)).added, 0);
      assert.deepEqual(await counts(), { waiting: 11, active: 0, delayed: 0, completed: 0, failed: 0 });

      const out = join(folder, "vectors");
      const work = ["worker", ...place, "--out", out, "--root", folder, "--drain", "--shard-rows", "3", ...INLINE];
      const first = await json(0, ...work);
      assert.deepEqual([first.encoded, first.skipped, first.failed, first.written.length], [8, 0, 4, 3]);
      const letters = await json(1, "queue", "failed", ...place);
      const byName = new Map<string, { attempts: number; reason: string }>(
        letters.map((letter: { path: string; attempts: number; reason: string }) => [
          letter.path.split("/").pop(),
          letter,
        ]),
      );
      assert.equal(byName.size, 3);
      // Tried again is only what may go away.
      assert.equal(byName.get("bad.png")?.attempts, 1);
      assert.match(byName.get("bad.png")?.reason ?? "", /is not an image/);
      assert.equal(byName.get("changed.png")?.attempts, 1);
      assert.match(byName.get("changed.png")?.reason ?? "", /has other bytes than when it was enqueued/);
      assert.equal(byName.get("gone.png")?.attempts, 2);
      assert.match(byName.get("gone.png")?.reason ?? "", /it does not exist/);

      assert.deepEqual(await json(0, "queue", "retry", ...place), { retried: 3 });
      assert.equal((await json(0, ...work)).encoded, 0);
      assert.deepEqual(await counts(), { waiting: 0, active: 0, delayed: 0, completed: 8, failed: 3 });
      assert.equal((await runCli([...enqueue, "--watch"])).code, 1);

      const all = join(folder, "all.npy");
      const collected = await json(0, "queue", "collect", out, "--out", all);
      assert.deepEqual([collected.rows, collected.repeated, collected.sources], [8, 0, 3]);
      const { rows } = await readVectors(all);
      assert.deepEqual(
        rows.map(({ path }) => path),
        names.map((name) => join(photos, name)),
      );
      const keys = async (): Promise<readonly string[]> => {
        const { Redis } = await loadQueuePeer();
        const client = new Redis(url, { maxRetriesPerRequest: null, lazyConnect: true }) as RedisClient & {
          keys(pattern: string): Promise<readonly string[]>;
        };
        await client.connect();
        const found = await client.keys("*");
        client.disconnect();
        return found;
      };
      const jobKeys = async (): Promise<number> =>
        (await keys()).filter((key) => /^bull:test:f[0-9a-f]{40}$/.test(key)).length;
      const clean = (...more: string[]): Promise<object> => json(0, "queue", "clean", ...place, ...more);
      assert.equal(await jobKeys(), 11);
      assert.deepEqual(await clean("--older-than", "1d", "--done", "--failed"), { done: 0, failed: 0 });
      assert.deepEqual(await clean(), { done: 8, failed: 0 });
      assert.deepEqual(await counts(), { waiting: 0, active: 0, delayed: 0, completed: 0, failed: 3 });
      assert.deepEqual(await clean("--failed"), { done: 0, failed: 3 });
      assert.equal(await jobKeys(), 0);
      // What was removed can be enqueued again, and is found in the folder of results.
      assert.equal((await json(0, ...enqueue)).added, 11);
      const busy = await runCli(["queue", "remove", ...place]);
      assert.equal(busy.code, 2);
      assert.match(busy.stderr, /The queue "test" has 11 jobs that are not done; wait for them/);
      const again = await json(0, ...work);
      assert.deepEqual([again.encoded, again.skipped], [0, 8]);
      await json(0, "queue", "remove", ...place);
      assert.deepEqual(await keys(), []);
      await json(0, ...enqueue);
      assert.equal((await json(0, "queue", "remove", ...place, "--force")).waiting, 11);
      assert.deepEqual(await keys(), []);

      const parted = await json(0, "queue", "collect", out, "--out", all, "--shard-rows", "5");
      assert.deepEqual(
        parted.written,
        [0, 1].map((n) => join(folder, `all-0000${n}.npy`)),
      );
    });
  });
});

test("queues that do not answer, and addresses that are none, are said with a sentence", async () => {
  const fails = async (args: readonly string[], words: RegExp) => {
    const { code, stderr } = await runCli(args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, words);
  };
  await fails(
    ["queue", "status", "--queue", "redis://me:secret@127.0.0.1:1"],
    /No Redis or Valkey answers at redis:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/,
  );
  await fails(
    ["queue", "status", "--queue", "localhost"],
    /"localhost" is no address of a queue; write redis:\/\/host:6379/,
  );
  await fails(
    ["queue", "status", "--queue", "redis://127.0.0.1:1/photos"],
    /ends in "photos", which is no number of a database; write redis:\/\/host:6379 or redis:\/\/host:6379\/1\./,
  );
  await fails(["queue", "retry", "--queue", "redis://x", "--name", "a b"], /A queue cannot be called "a b"/);
  await fails(["queue", "failed"], /required option '--queue <address>' not specified/);
  await withFolder(async (folder) => {
    await fails(["queue", "collect", folder, "--out", "x.npy"], /There are no results of workers in/);
  });
});
