/** Several processes, and processes with few permissions. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { folderFiles, startHub } from "../hub/hub_server.ts";
import { repositoryPath, runCli } from "../kit/run_cli.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");
const PICTURE = join(DIGITS, "images", "000-2.png");
const IS_DENO = "Deno" in globalThis;

test("two processes that fill one cache at once both work and leave a whole one", async () => {
  const cache = mkdtempSync(join(tmpdir(), "fovea-processes-"));
  try {
    const args = ["bench", DIGITS, "--component", "text", "--runs", "1", "--threads", "0", "--cache", cache, "--json"];
    const start = () => runCli(args, { ownProcess: true });
    for (const { code, stderr } of await Promise.all([start(), start(), start()])) assert.equal(code, 0, stderr);
    const after = JSON.parse((await runCli(args)).stdout);
    assert.equal(after.compileMs, 0);
    assert.ok(after.cacheHits > 0);
  } finally {
    rmSync(cache, { recursive: true });
  }
});

/** The flags that the README lists, with the folders of this test. */
function listedFlags(folder: string): readonly string[] {
  const readme = readFileSync(repositoryPath("README.md"), "utf8");
  const line = readme.split("\n").find((l) => l.startsWith("deno run --allow-"));
  assert.ok(line !== undefined, "README.md lists no flags");
  const flags = line.split(" ").filter((word) => word.startsWith("--allow-"));
  return flags.map((f) => (f === "--allow-write" ? `--allow-write=${folder}` : f));
}

function runDeno(
  flags: readonly string[],
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const main = repositoryPath("runtime/cli/main.ts");
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["run", "--no-prompt", "--no-check", ...flags, main, ...args], {
      env: { ...process.env, NO_COLOR: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

const DENO_ONLY = IS_DENO ? {} : { skip: "permissions are Deno's" };

test("Deno runs the command line with exactly the flags that the README lists", DENO_ONLY, async () => {
  const folder = mkdtempSync(join(tmpdir(), "fovea-flags-"));
  try {
    const args = ["embed", DIGITS, PICTURE, "--out", join(folder, "x.json")];
    const env = { FOVEA_CACHE_DIR: join(folder, "cache"), FOVEA_LOG: "cache" };
    const { code, stderr } = await runDeno(listedFlags(folder), args, env);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^fovea cache: clip\/vision\.\w+: miss for batch 1$/m);
    assert.equal(JSON.parse(readFileSync(join(folder, "x.json"), "utf8")).image_embeds[0].length, 64);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("doctor does not call a variable unset that it may not read", DENO_ONLY, async () => {
  const { code, stdout, stderr } = await runDeno(["--allow-read"], ["doctor"], { FOVEA_LOG: "cache" });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^environment: none of .*FOVEA_LOG is set or permitted$/m);
});

test("Deno with read permission alone works without a cache", DENO_ONLY, async () => {
  const { code, stdout, stderr } = await runDeno(["--allow-read"], ["embed", DIGITS, PICTURE, "--json"], {});
  assert.equal(code, 0, stderr);
  assert.equal(JSON.parse(stdout).image_embeds[0].length, 64);
});

test(
  "Deno without write permission reads a model of the hub over the network, and says so once",
  DENO_ONLY,
  async () => {
    const hub = await startHub({ "acme/digits": { commit: "a".repeat(40), files: folderFiles(DIGITS) } });
    const folder = mkdtempSync(join(tmpdir(), "fovea-flags-"));
    try {
      const flags = ["--allow-read", "--allow-net", "--allow-env=FOVEA_CACHE_DIR,HF_ENDPOINT"];
      const env = { FOVEA_CACHE_DIR: folder, HF_ENDPOINT: hub.url };
      const { code, stdout, stderr } = await runDeno(flags, ["embed", "hf:acme/digits", PICTURE, "--json"], env);
      assert.equal(code, 0, stderr);
      assert.equal(JSON.parse(stdout).image_embeds[0].length, 64);
      assert.equal(stderr.match(/hf:acme\/digits is read over the network and not kept/g)?.length, 1, stderr);
      assert.deepEqual(readdirSync(folder), []);
    } finally {
      await hub.close();
      rmSync(folder, { recursive: true });
    }
  },
);

test("a reader that closes the pipe early ends the command quietly", async () => {
  const { code, stderr } = await runCli(["embed", DIGITS, PICTURE, "--json"], { closeStdout: true });
  assert.equal(stderr, "");
  assert.equal(code, 0);
});
