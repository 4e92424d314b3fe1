/** `fovea.lock`: what was added is used, what has changed is refused, what is wrong is not added. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { detectHost } from "../../runtime/host/mod.ts";
import { openPlugin } from "../../runtime/session/registry/plugin_files.ts";
import { readLock } from "../../runtime/session/registry/plugin_lock.ts";
import { withFolder } from "../kit/folder.ts";
import { repositoryPath, runCli } from "../kit/run_cli.ts";
import { moduleBytes, pluginFiles } from "./assemble.ts";
import { SINS, squaring } from "./kernels.ts";

function write(folder: string, files: ReadonlyMap<string, Uint8Array>): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes);
}

test("add pins a sound plugin, commands use it until it changes, remove takes it out", () =>
  withFolder(async (cwd) => {
    const files = pluginFiles(moduleBytes({ code: squaring() }));
    write(join(cwd, "kernel"), files);
    const added = await runCli(["plugin", "add", "kernel"], { cwd });
    assert.deepEqual([added.code, added.stderr], [0, ""]);
    const lock = JSON.parse(readFileSync(join(cwd, "fovea.lock"), "utf8"));
    const { digest } = lock.plugins.kernel;
    assert.match(added.stdout, new RegExp(`\nadded to fovea\\.lock with digest ${digest}`));
    assert.deepEqual(lock, {
      lock: 1,
      plugins: { kernel: { plugins: ["@test/foreign@1.0.0"], form: "wasm", digest } },
    });
    const lists = await runCli(["plugin", "ls"], { cwd });
    assert.match(lists.stdout, /^@test\/foreign +1\.0\.0 +WebAssembly +own-memory +kernel +1 kernel$/m);

    // Another module, with a description that fits it.
    write(join(cwd, "kernel"), pluginFiles(moduleBytes({ code: [squaring()], locals: [4, 4, 3] })));
    const changed = await runCli(["plugin", "ls"], { cwd });
    const why = new RegExp(`The plugin kernel is not what was added: .* fovea\\.lock pins ${digest}`);
    assert.deepEqual([changed.code, changed.stderr], [1, ""]);
    assert.match(changed.stdout, /^@fovea\/wasm +0\.1\.0 +built in/m);
    assert.match(changed.stdout, /\ncannot be used\n {2}The plugin kernel/);
    assert.match(changed.stdout, why);
    const listed = JSON.parse((await runCli(["plugin", "ls", "--json"], { cwd })).stdout);
    assert.deepEqual(Object.keys(listed.at(-1)), ["source", "problem"]);
    const used = await runCli(["explain", repositoryPath("examples/models/digits-clip")], { cwd });
    assert.equal(used.code, 2);
    assert.match(used.stderr, why);
    const unknown = await runCli(["plugin", "remove", "kernal"], { cwd });
    assert.equal(unknown.code, 2);
    assert.match(
      unknown.stderr,
      /fovea\.lock has no plugin "kernal"; it has "kernel" \(@test\/foreign\)\. Did you mean "kernel"\?/,
    );
    write(join(cwd, "copy"), files);
    const twice = await runCli(["plugin", "add", "copy"], { cwd });
    assert.deepEqual([twice.code, twice.stdout], [2, ""]);
    assert.match(
      twice.stderr,
      /fovea\.lock has the plugin "@test\/foreign" already, from kernel; take it out first with `fovea plugin remove kernel`/,
    );
    const removed = await runCli(["plugin", "remove", "@test/foreign"], { cwd });
    assert.deepEqual([removed.code, removed.stdout], [0, "kernel is no longer in fovea.lock\n"]);
  }));

test("a wrong kernel is not added; a changed module in JavaScript is refused before it runs", () =>
  withFolder(async (cwd) => {
    write(join(cwd, "wrong"), pluginFiles(moduleBytes({ code: SINS["returns a status"].code })));
    const refused = await runCli(["plugin", "add", join(cwd, "wrong")]);
    assert.equal(refused.code, 1);
    assert.match(refused.stdout, /it returned the status 3.*\nnot added\n$/s);

    const module = join(cwd, "one.mjs");
    writeFileSync(
      module,
      "globalThis.foveaTestRan = true; export const one = { name: 'one', version: '1.0.0', abi: 1 };",
    );
    await assert.rejects(openPlugin(module, { pinned: "0".repeat(64) }), { code: "changed_plugin" });
    assert.equal("foveaTestRan" in globalThis, false);
  }));

test("what does not load says what to build, and where the reason is", () =>
  withFolder(async (folder) => {
    const files = pluginFiles(moduleBytes({ code: squaring() }));
    write(join(folder, "unbuilt"), new Map([...files].filter(([name]) => name === "plugin.json")));
    await assert.rejects(openPlugin(join(folder, "unbuilt")), {
      code: "file.not_found",
      message: /it does not exist\. Check the path\. plugin\.json names it; build the plugin first\.$/,
    });
    const text = new TextEncoder();
    write(join(folder, "package"), new Map([["package.json", text.encode('{"exports":"./dist/plugin.js"}')]]));
    await assert.rejects(openPlugin(join(folder, "package")), {
      code: "bad_plugin",
      message: /has no \.\/dist\/plugin\.js, which its package\.json names as its module; build the plugin first/,
    });
    const modules = {
      "other.mjs": ["{ abi: 2 }", "unsupported_abi", /was written for abi 2; this fovea speaks abi 1/],
      "nameless.mjs": ["{ kernels: [{}] }", "invalid_plugin", /its `kernels\[0\]` needs a name/],
      "halfway.mjs": ["{ encoders: [{ name: 'q' }] }", "invalid_plugin", /its encoder "q" has no `modelTypes`/],
    } as const;
    for (const [name, [change, code, says]] of Object.entries(modules)) {
      const source = `export const plugin = { name: "p", version: "1.0.0", abi: 1, ...${change} };`;
      write(folder, new Map([[name, text.encode(source)]]));
      await assert.rejects(openPlugin(join(folder, name)), { code, message: says });
    }
    write(folder, new Map([["throws.mjs", text.encode('throw new Error("boom");')]]));
    await assert.rejects(openPlugin(join(folder, "throws.mjs")), {
      code: "bad_plugin",
      message: /cannot be loaded by \w+: boom\. The error's cause has the line; --verbose prints it\.$/,
    });
  }));

test("a damaged lock is an error that says what to do", async () => {
  const host = await detectHost();
  const damage: readonly (readonly [string, string])[] = [
    ['{"lock":2,"plugins":{}}', "`lock` must be 1; found 2"],
    ['{"lock":1,\n "plugins":{]}', 'line 2, column 13: found "]", expected a name in double quotes or "}"'],
    ["[]", "`lock` is missing"],
    ["7", "its content must be Object; found 7"],
    ['{"lock":1,"plugins":{},"more":1}', "`more` must not be there"],
    [
      '{"lock":1,"plugins":{"./a":{"plugins":[],"form":"wasm","digest":"0"}}}',
      '`plugins../a.digest` must be /^[0-9a-f]{64}$/; found "0"',
    ],
  ];
  for (const [text, why] of damage) {
    await assert.rejects(readLock({ ...host, readFile: async () => new TextEncoder().encode(text) }), {
      code: "invalid_lock",
      message: `fovea.lock cannot be read: ${why}. Restore it, or delete it and add its plugins again with \`fovea plugin add\`.`,
    });
  }
});
