/** Who decides what a plugin's code may touch: the user, then `fovea.lock`, then its description, which never raises trust. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { createRuntime, type GivenPlugin, loadPlugin } from "../../mod.ts";
import { grantedIsolation, ISOLATIONS } from "../../runtime/abi/isolation.ts";
import { checkConfig } from "../../runtime/session/config/config_schema.ts";
import { givenPlugins, openPlugin } from "../../runtime/session/registry/plugin_files.ts";
import { withFolder } from "../kit/folder.ts";
import { runCli } from "../kit/run_cli.ts";
import { moduleBytes, pluginFiles, SQUARE } from "./assemble.ts";
import { componentFiles, squareComponent } from "./components.ts";
import { squaring } from "./kernels.ts";

const MODULE = moduleBytes({ code: squaring() });

function write(folder: string, asked?: string): void {
  mkdirSync(folder, { recursive: true });
  const files = pluginFiles(MODULE, SQUARE, asked === undefined ? {} : { isolation: asked });
  for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes);
}

test("what the user chose holds; else what the description asks for, own-memory at most", () => {
  for (const asked of [undefined, ...ISOLATIONS]) {
    for (const chosen of ISOLATIONS) assert.equal(grantedIsolation(chosen, asked), chosen);
    assert.equal(grantedIsolation(undefined, asked), asked === "worker" ? "worker" : "own-memory");
  }
});

test("a description gets less than the default, and never more, unless it is told to", async () => {
  const opened = async (asked: string | undefined, isolation?: "shared-memory" | "worker") => {
    const files = pluginFiles(MODULE, SQUARE, asked === undefined ? {} : { isolation: asked });
    const plugin = await openPlugin(files, isolation === undefined ? {} : { isolation });
    assert.ok("isolation" in plugin);
    return plugin.isolation;
  };
  assert.equal(await opened(undefined), "own-memory");
  assert.equal(await opened("worker"), "worker");
  assert.equal(await opened("shared-memory"), "own-memory");
  assert.equal(await opened("shared-memory", "shared-memory"), "shared-memory");
  assert.equal(await opened("worker", "shared-memory"), "shared-memory");
  await assert.rejects(opened("none"), {
    code: "invalid_manifest",
    message: /`isolation` is "none"; expected "worker" or "own-memory" or "shared-memory"\./,
  });
});

test("loadPlugin knows its options: a name with a mistake in it never means the default", async () => {
  const files = pluginFiles(MODULE, SQUARE);
  const refused = (options: object, message: RegExp): Promise<void> =>
    assert.rejects(loadPlugin(files, options), { code: "invalid_options", message });
  await refused(
    { isolaton: "worker" },
    /^loadPlugin has no option "isolaton"; it takes isolation, trustGlue, cache\. Did you mean "isolation"\?$/,
  );
  await refused(
    { isolation: "own" },
    /^The option `isolation` of loadPlugin is "own"; expected "worker" or "own-memory" or "shared-memory"\.$/,
  );
  await refused({ trustGlue: "no" }, /^The option `trustGlue` of loadPlugin is "no"; expected true or false\.$/);
  await refused(
    { cache: true },
    /^The option `cache` of loadPlugin is true; expected a folder's path, a store \(get, put and delete\), or false\.$/,
  );
});

test("createRuntime takes a plugin with its isolation, and what is wrong with one is told", () =>
  withFolder(async (folder) => {
    const source = join(folder, "kernel");
    write(source);
    const revision = async (plugin: GivenPlugin): Promise<string | undefined> =>
      (await givenPlugins([plugin]))[0].revision;
    const revisions = [
      await revision(source),
      await revision({ plugin: source }),
      await revision({ plugin: source, isolation: "worker" }),
      await revision({ plugin: source, isolation: "shared-memory" }),
    ];
    // Which is what artifacts are found by.
    assert.equal(revisions[0], revisions[1]);
    assert.equal(new Set(revisions).size, 3);
    const runtime = await createRuntime({ threads: 0, plugins: [wasmPlugin, { plugin: source, isolation: "worker" }] });
    await runtime.close();
    for (const [plugin, says] of [
      [
        { plugin: source, isolaton: "worker" },
        /`plugins\[0\]` has no setting "isolaton"; it takes plugin, isolation, trustGlue\. Did you mean "isolation"\?/,
      ],
      [
        { plugin: source, isolation: "workers" },
        /`plugins\[0\]\.isolation` is "workers"; expected "worker" or "own-memory" or "shared-memory"\./,
      ],
      [{ isolation: "worker" }, /`plugins\[0\]\.plugin` is undefined; expected a folder, module or package\./],
      [
        { plugin: wasmPlugin, isolation: "worker" },
        /`plugins\[0\]\.plugin` is the plugin "@fovea\/wasm".*give the isolation to loadPlugin\./,
      ],
      [3, /`plugins\[0\]` is 3; expected a plugin, /],
    ] as const) {
      await assert.rejects(createRuntime({ plugins: [plugin as never] }), { code: "invalid_options", message: says });
      if (plugin === 3 || !("plugin" in plugin) || typeof plugin.plugin === "string")
        assert.throws(() => checkConfig({ plugins: [plugin] }, "fovea.config.json"), {
          code: "invalid_options",
          message: new RegExp(`^In fovea\\.config\\.json, ${says.source}`),
        });
    }
  }));

test("a module in JavaScript has no isolation to choose", () =>
  withFolder(async (folder) => {
    const module = join(folder, "one.mjs");
    writeFileSync(module, "export const one = { name: 'one', version: '1.0.0', abi: 1 };");
    await assert.rejects(openPlugin(module, { isolation: "worker" }), {
      code: "invalid_options",
      message: /is JavaScript, trusted code .*leave `isolation: "worker"` out, or do not load it\.$/,
    });
  }));

test("what asks for the device's memory and can never have it is not advised to be given it", () =>
  withFolder(async (cwd) => {
    const asking = (files: ReadonlyMap<string, Uint8Array>, folder: string): void => {
      mkdirSync(join(cwd, folder));
      for (const [name, bytes] of files) {
        const isPlain = name !== "plugin.json";
        const asks = (): string =>
          JSON.stringify({ ...JSON.parse(new TextDecoder().decode(bytes)), isolation: "shared-memory" });
        writeFileSync(join(cwd, folder, name), isPlain ? bytes : asks());
      }
    };
    asking(componentFiles(squareComponent(0)), "component");
    asking(pluginFiles(moduleBytes({ code: squaring() }), undefined, { memory: { reserved: 1024 } }), "reserving");
    for (const [folder, why] of [
      ["component", "a component's memory is always its own"],
      ["reserving", "it reserves memory for data and stack, which only its own memory has"],
    ]) {
      const { stdout } = await runCli(["plugin", "check", folder], { cwd });
      const line = `isolation: own-memory; its plugin.json asks for shared-memory, which nothing gives it: ${why}`;
      assert.ok(stdout.split("\n").includes(line), stdout);
      const refused = await runCli(["plugin", "check", folder, "--isolation", "shared-memory"], { cwd });
      assert.notEqual(refused.code, 0);
    }
  }));

test("add remembers what was chosen; a configuration is stronger than the lock, and the lock than the description", () =>
  withFolder(async (cwd) => {
    write(join(cwd, "kernel"), "shared-memory");
    const listed = async (): Promise<string> => {
      const { code, stdout, stderr } = await runCli(["plugin", "ls", "--json"], { cwd });
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout).find((row: { readonly source: string }) => row.source === "kernel").isolation;
    };
    const added = await runCli(["plugin", "add", "kernel"], { cwd });
    assert.equal(added.code, 0, added.stdout);
    assert.match(
      added.stdout,
      /^isolation: own-memory; its plugin\.json asks for shared-memory, which `--isolation shared-memory` gives it$/m,
    );
    assert.equal(await listed(), "own-memory");

    const chosen = await runCli(["plugin", "add", "kernel", "--isolation", "worker"], { cwd });
    assert.equal(chosen.code, 0, chosen.stdout);
    assert.match(chosen.stdout, /a worker of its own runs it/);
    assert.equal(JSON.parse(readFileSync(join(cwd, "fovea.lock"), "utf8")).plugins.kernel.isolation, "worker");
    assert.equal(await listed(), "worker");

    const config = { plugins: [{ plugin: "kernel", isolation: "shared-memory" }] };
    writeFileSync(join(cwd, "fovea.config.json"), JSON.stringify(config));
    assert.equal(await listed(), "shared-memory");
    const table = await runCli(["plugin", "ls"], { cwd });
    assert.match(table.stdout, /^@test\/foreign +1\.0\.0 +WebAssembly +shared-memory +kernel +1 kernel$/m);

    writeFileSync(
      join(cwd, "fovea.config.json"),
      JSON.stringify({ plugins: [{ plugin: "kernel", isolated: "worker" }] }),
    );
    const odd = await runCli(["plugin", "ls"], { cwd });
    assert.equal(odd.code, 2);
    assert.match(odd.stderr, /`plugins\[0\]` has no setting "isolated"; it takes plugin, isolation, trustGlue\./);
  }));
