/** Components linked ahead: their folders load without jco, and without making code of text, where the user trusts their glue. */
import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { loadPlugin } from "../../mod.ts";
import { digestBytes } from "../../runtime/core/digest.ts";
import { createDirectoryStore } from "../../runtime/exec/store/directory_store.ts";
import { transpiledKey } from "../../runtime/foreign/component/transpile.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { openPlugin } from "../../runtime/session/registry/plugin_files.ts";
import { withFolder } from "../kit/folder.ts";
import { runCli } from "../kit/run_cli.ts";
import { componentFiles, recordedCache, squareComponent } from "./components.ts";
import { squareBy } from "./square.ts";

const HOSTED = squareComponent(0, "hosted");
const SERVES = { kernels: ["@test/foreign/square"], problems: [], recompiles: [] };
const AHEAD = { cache: false, trustGlue: true } as const;

/** The folder `kernel` of a plugin that `fovea plugin build` linked, by what jco made of it when it was recorded. */
async function build(cwd: string): Promise<string> {
  const [folder, cache] = [join(cwd, "kernel"), join(cwd, "cache")];
  mkdirSync(folder);
  for (const [name, bytes] of componentFiles(HOSTED)) writeFileSync(join(folder, name), bytes);
  const key = transpiledKey(HOSTED);
  const recorded = await (await recordedCache(0)).get(key);
  assert.ok(recorded);
  await createDirectoryStore(await detectHost(), cache).put(key, recorded);
  const built = await runCli(["plugin", "build", "kernel"], { cwd, env: { FOVEA_CACHE_DIR: cache } });
  assert.equal(built.code, 0, built.stderr);
  assert.match(
    built.stdout,
    /^kernel\.wasm [0-9a-f]{64}\nkernel\.linked\/kernel\.js [0-9a-f]{64}\nkernel\.linked\/kernel\.core\.wasm /,
  );
  return folder;
}

/** Runs `work` where `new Function` is refused, as it is in places that allow no code generation. */
async function withoutCodeGeneration(work: () => Promise<void>): Promise<void> {
  const { Function: own } = globalThis;
  const refuse = (): never => {
    throw new EvalError("Code generation from strings disallowed for this context");
  };
  const refusing = new Proxy(own, { construct: refuse, apply: refuse });
  globalThis.Function = refusing;
  try {
    await work();
  } finally {
    globalThis.Function = own;
  }
}

test("a built folder loads and computes without jco, on workers and where no code may be made of text", () =>
  withFolder(async (cwd) => {
    const folder = await build(cwd);
    for (const threads of [0, 2])
      assert.deepEqual(await squareBy(await loadPlugin(folder, AHEAD), 9, { threads }), SERVES);
    await withoutCodeGeneration(async () => {
      assert.deepEqual(await squareBy(await loadPlugin(folder, AHEAD), 9), SERVES);
      // Glue that jco makes at load is text.
      await assert.rejects(loadPlugin(componentFiles(HOSTED), { cache: await recordedCache(0) }), {
        code: "refused_module",
        message: /no code may be made of text here; build the plugin ahead with `fovea plugin build`/,
      });
    });
  }));

test("glue that a folder brings runs only where the user trusts it, and only as it was built", () =>
  withFolder(async (cwd) => {
    const folder = await build(cwd);
    await assert.rejects(loadPlugin(folder, { cache: false }), {
      code: "no_jco",
      message:
        /brings glue that was made ahead, JavaScript that would run with all that this process may do: trust it with `trustGlue: true`/,
    });
    const listed = async (): Promise<string> => (await runCli(["plugin", "ls"], { cwd })).stdout;
    const added = await runCli(["plugin", "add", "kernel", "--trust-glue"], { cwd });
    assert.equal(added.code, 0, added.stdout + added.stderr);
    assert.match(added.stdout, /host: not enforced; the glue that it brings is trusted code/);
    assert.equal(JSON.parse(readFileSync(join(cwd, "fovea.lock"), "utf8")).plugins.kernel.trustGlue, true);
    assert.match(await listed(), /^@test\/foreign +1\.0\.0 +component, trusted glue +own-memory +kernel +1 kernel$/m);

    const before = readFileSync(join(folder, "plugin.json"), "utf8");
    assert.deepEqual(
      (await runCli(["plugin", "build", "kernel"], { cwd, env: { FOVEA_CACHE_DIR: join(cwd, "cache") } })).code,
      0,
    );
    assert.equal(readFileSync(join(folder, "plugin.json"), "utf8"), before);
    appendFileSync(join(folder, "kernel.linked/kernel.js"), "\n");
    await assert.rejects(loadPlugin(folder, AHEAD), {
      code: "changed_plugin",
      message: /kernel\.linked\/kernel\.js has the SHA-256/,
    });
  }));

test("glue of a folder that is not what was added never runs", () =>
  withFolder(async (cwd) => {
    const folder = await build(cwd);
    const [path, glue] = [join(folder, "plugin.json"), join(folder, "kernel.linked/kernel.js")];
    const before = digestBytes(readFileSync(glue));
    appendFileSync(glue, "\nglobalThis.changedGlueRan = true;\n");
    const described = readFileSync(path, "utf8").replace(before, digestBytes(readFileSync(glue)));
    writeFileSync(path, described);
    await assert.rejects(openPlugin(folder, { ...AHEAD, pinned: "0".repeat(64) }), {
      code: "changed_plugin",
      message: /is not what was added: it has the digest [0-9a-f]{64}, and fovea\.lock pins /,
    });
    assert.ok(!("changedGlueRan" in globalThis));
  }));
