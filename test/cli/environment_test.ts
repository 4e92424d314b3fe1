/** The environment: three variables steer fovea, read in host and cli alone, shown by `doctor`, in no digest. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { repositoryPath, runCli } from "../kit/run_cli.ts";

const NAMES = ["FOVEA_CACHE_DIR", "FOVEA_COMPILE", "FOVEA_LOG"];
const DIGITS = repositoryPath("examples/models/digits-clip");

/** Compiled tests lie beside compiled sources. */
const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";

/** Sources of the package by path. */
function sources(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const root of ["runtime", "kernels", "plugins", "test/kit", `mod${EXTENSION}`]) {
    const path = repositoryPath(root);
    const files = root.startsWith("mod.") ? [""] : readdirSync(path, { recursive: true, encoding: "utf8" });
    for (const file of files.filter((f) => f === "" || f.endsWith(EXTENSION))) {
      found.set(join(root, file).replaceAll("\\", "/"), readFileSync(join(path, file), "utf8"));
    }
  }
  return found;
}

const withoutComments = (text: string): string => text.replaceAll(/\/\*.*?\*\/|^\s*\/\/.*$/gms, "");

test("no source names another variable, and only host and cli read any", () => {
  const all = sources();
  assert.ok(all.size > 200);
  const named = new Set<string>();
  for (const [file, text] of all) {
    for (const [name] of text.matchAll(/\bFOVEA_[A-Z_]+\b/g)) named.add(name);
    if (file.startsWith("test/kit/") || file.startsWith("runtime/host/")) continue;
    const code = withoutComments(text);
    assert.doesNotMatch(code, /\b(process|Bun|Deno)\s*\??\.\s*env\b|import\.meta\.env/, file);
    if (!file.startsWith("runtime/cli/"))
      assert.doesNotMatch(code, /\.env\(\s*["'`]FOVEA_|["'`]FOVEA_[A-Z_]+["'`]/, file);
  }
  assert.deepEqual([...named].sort(), NAMES);
});

test("doctor echoes the three, as text and as data", async () => {
  const env = { FOVEA_CACHE_DIR: join(tmpdir(), "fovea-elsewhere"), FOVEA_COMPILE: "0", FOVEA_LOG: "cache,claims" };
  const { code, stdout } = await runCli(["doctor"], { env });
  assert.equal(code, 0);
  for (const [name, value] of Object.entries(env)) assert.ok(stdout.includes(`${name}=${value}`), stdout);
  const json = await runCli(["doctor", "--json"], { env: { ...env, FOVEA_LOG: "" } });
  assert.deepEqual(JSON.parse(json.stdout).environment, { ...env, FOVEA_LOG: "" });
});

test("compiling is switched by 0 and 1 alone", async () => {
  const { code, stderr } = await runCli(["explain", DIGITS], { env: { FOVEA_COMPILE: "off" } });
  assert.equal(code, 2);
  assert.equal(stderr, 'fovea: FOVEA_COMPILE is "off"; expected 0, which runs every op alone, or 1.\n');
});

test("no digest depends on the environment", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fovea-environment-"));
  const args = [
    "explain",
    DIGITS,
    "--component",
    "clip/vision.pool",
    "--target",
    "wasm-simd128",
    "--threads",
    "0",
    "--json",
  ];
  const digestsOf = (stdout: string): unknown =>
    JSON.parse(stdout).components.map((c: { ranges: readonly { artifact: string; request: string }[] }) =>
      c.ranges.map((r) => [r.artifact, r.request]),
    );
  try {
    const plain = await runCli(args);
    assert.equal(plain.code, 0, plain.stderr);
    const env = { FOVEA_CACHE_DIR: folder, FOVEA_LOG: "passes,claims,ranges,cache,breaks,recompiles" };
    const steered = await runCli(args, { env });
    assert.match(steered.stderr, /fovea claims: clip\/vision\.pool: /);
    assert.deepEqual(digestsOf(steered.stdout), digestsOf(plain.stdout));
    // Switched off by the variable or by the option is one and the same request.
    const byVariable = await runCli(args, { env: { FOVEA_COMPILE: "0" } });
    const byOption = await runCli([...args, "--no-compile"]);
    assert.deepEqual(digestsOf(byVariable.stdout), digestsOf(byOption.stdout));
    assert.notDeepEqual(digestsOf(byVariable.stdout), digestsOf(plain.stdout));
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("an unknown topic is a sentence that names the nearest", async () => {
  const { code, stdout, stderr } = await runCli(["explain", DIGITS], { env: { FOVEA_LOG: "cache,recompile" } });
  assert.deepEqual([code, stdout], [2, ""]);
  assert.match(stderr, /FOVEA_LOG names the topic "recompile".*Did you mean "recompiles"\?/);
});
