/** SIGKILL of a worker and of Redis in the middle of a queue: nothing is lost, nothing comes twice. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { withFolder } from "../kit/folder.ts";
import { cliCommand } from "../kit/run_cli.ts";
import { TEST_CACHE } from "../kit/test_cache.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { killRun } from "./kill_run.ts";

const ITEMS = 300;

const ON_BUN =
  "Bun" in globalThis ? {} : { skip: "starts processes to kill; `npm run soak` has workers on all runtimes" };

test(
  "a worker and Redis are killed among 300 pictures: each has one row, with the bits of an undisturbed run",
  ON_BUN,
  async () => {
    await withFolder(async (folder) => {
      await using runtime = await openRuntime({ threads: 0 });
      const report = await killRun({
        ...{ folder, runtime, items: ITEMS, shardRows: 40, stalledAfterMs: 1000 },
        commands: [cliCommand()],
        env: { FOVEA_CACHE_DIR: TEST_CACHE },
        kills: ["worker", "redis"],
      });
      assert.deepEqual(report.problems, []);
      assert.deepEqual(report.missing, []);
      assert.equal(report.rows, ITEMS);
      assert.equal(report.doubled, 0);
      assert.equal(report.worst, 0);
      assert.equal(report.deadLetters, 0);
      assert.equal(report.underWay.length, 2);
    });
  },
);
