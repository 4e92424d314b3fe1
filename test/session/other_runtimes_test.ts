/** A cache that another runtime filled serves this one. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { promisify } from "node:util";
import { createRuntime } from "../../mod.ts";
import { digestBytes } from "../../runtime/core/digest.ts";
import { filesBelow, withFolder } from "../kit/folder.ts";
import { modulesCompiled } from "../kit/modules_compiled.ts";
import { repositoryPath } from "../kit/run_cli.ts";

const MODEL = repositoryPath("test/fixtures/vit");
const TARGET = "wasm-simd128";

/** A runtime other than this one, on the sources. */
function otherRuntime(): readonly string[] {
  const tool = (name: string): string => join(process.cwd(), "node_modules/.bin", name);
  const main = join(process.cwd(), "runtime/cli/main.ts");
  return process.versions.bun === undefined ? [tool("bun"), main] : [tool("deno"), "run", "-A", "--no-check", main];
}

test("with a pinned target, a cache that another runtime filled leaves nothing to compile", () =>
  withFolder(async (folder) => {
    const [program, ...args] = otherRuntime();
    const command = [...args, "bench", MODEL, "--runs", "1", "--threads", "0", "--target", TARGET, "--json"];
    const { stdout } = await promisify(execFile)(program, [...command, "--cache", folder]);
    const filled = JSON.parse(stdout) as { runtime: string; compileMs: number };
    const cached = new Set(filesBelow(folder).map(({ bytes }) => digestBytes(bytes)));
    const runtime = await createRuntime({ threads: 0, target: TARGET, cache: folder });
    assert.notEqual(filled.runtime, runtime.host);
    assert.ok(filled.compileMs > 0);
    const modules = await modulesCompiled(async () => {
      await runtime.load(MODEL);
    });
    const { compiled, cacheHits } = runtime.stats().counters;
    assert.deepEqual([compiled, cacheHits > 0], [0, true]);
    assert.ok(modules.length > 0);
    for (const digest of modules) assert.ok(cached.has(digest), "a module was loaded that the cache did not hold");
    await runtime.close();
  }));
