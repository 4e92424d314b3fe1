/** `fovea report`: everything for a bug report, and nothing that says whose machine it was. */
import assert from "node:assert/strict";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { homedir, hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { redact } from "../../runtime/session/explain/redact.ts";
import { repositoryPath, runCli } from "../kit/run_cli.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "fovea-report-secret-"));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function checkAnonymous(text: string, folder: string): void {
  const hidden = [
    homedir(),
    repositoryPath("").replace(/[/\\]$/, ""),
    hostname(),
    tmpdir(),
    folder,
    "fovea-report-secret",
  ];
  for (const secret of hidden) {
    // Short names of machines are parts of other words, such as "vm" of "llvmpipe".
    const asWord = new RegExp(`(?<!\\w)${secret.replace(/[^\w]/g, "\\$&")}(?!\\w)`);
    if (secret.length > 1) assert.doesNotMatch(text, asWord, `the report holds ${secret}`);
  }
}

test("a report holds graphs, kernels and those not taken, capabilities, versions and settings, and no path", () =>
  inFolder(async (folder) => {
    await copyFile(join(DIGITS, "config.json"), join(folder, "config.json"));
    const config = join(folder, "own.json");
    await writeFile(config, JSON.stringify({ compile: { components: { "clip/text.*": { lazy: true } } } }));
    const out = join(folder, "report.json");
    const options = ["--config", config, "--threads", "0", "--target", "wasm-simd128"];
    const { code, stderr } = await runCli(["report", folder, "--out", out, ...options]);
    assert.equal(code, 0, stderr);
    const text = await readFile(out, "utf8");
    checkAnonymous(text, folder);
    const { fovea, runtime, device, devices, environment, model, stats } = JSON.parse(text);
    assert.match(fovea, /^\d+\.\d+\.\d+$/);
    assert.deepEqual(Object.keys(runtime), ["name", "version", "engine", "cores"]);
    assert.deepEqual(device, { kind: "wasm", target: "wasm-simd128", threads: 0 });
    assert.ok(devices.some((d: { kind: string; capabilities?: object }) => d.kind === "wasm" && d.capabilities));
    assert.deepEqual(Object.keys(environment), ["FOVEA_CACHE_DIR", "FOVEA_COMPILE", "FOVEA_LOG"]);
    assert.deepEqual(model.problems, []);
    const block = model.components.find((c: { tag: string }) => c.tag === "clip/text.block");
    assert.equal(block.settings.lazy.value, true);
    assert.match(block.settings.lazy.from, /own\.json: compile\.components/);
    assert.match(block.ranges[0].stages.traced, /= attention\(/);
    assert.ok(block.ranges[0].groups.some((g: { losers: unknown[] }) => g.losers.length > 0));
    assert.ok(stats.counters.compiled + stats.counters.cacheHits > 0);
  }));

test("with --json a report that goes into a file leaves one document on stdout, as other commands do", () =>
  inFolder(async (folder) => {
    await copyFile(join(DIGITS, "config.json"), join(folder, "config.json"));
    const out = join(folder, "report.json");
    const { code, stdout, stderr } = await runCli(["report", folder, "--out", out, "--json", "--threads", "0"]);
    assert.equal(code, 0, stderr);
    const { model, out: written } = JSON.parse(stdout);
    assert.deepEqual([model, written], [folder, out]);
    assert.equal(stderr, "");
    assert.deepEqual(JSON.parse(await readFile(out, "utf8")).model.problems, []);
  }));

test("a model that cannot be opened is a report too: the problem, without where it is", () =>
  inFolder(async (folder) => {
    await writeFile(join(folder, "config.json"), '{"model_type": "clip", "vision_config": 3}');
    const { code, stdout } = await runCli(["report", folder, "--threads", "0"]);
    assert.equal(code, 0);
    checkAnonymous(stdout, folder);
    const { model } = JSON.parse(stdout);
    assert.equal(model.problems.length, 1);
    assert.match(model.problems[0], /vision_config/);
  }));

test("paths keep their last part; kernels, tags and numbers stay", () => {
  const hidden = (text: string): string => redact(text, ["my-model"]);
  assert.equal(hidden("cannot read /home/ann/x/config.json here"), "cannot read <path>/config.json here");
  assert.equal(hidden("C:\\Users\\ann\\x.ts:4"), "<path>/x.ts:4");
  assert.equal(hidden("file:///home/ann/a.js"), "<path>/a.js");
  assert.equal(hidden("~/models/clip"), "<path>/clip");
  assert.equal(hidden("my-model failed"), "<hidden> failed");
  for (const same of ["matmul/matmul_add: a / b", "clip/vision.block/x", "12/34 and 1 /u 64", "v5 = (a /u b) /u c"]) {
    assert.equal(hidden(same), same);
  }
  assert.deepEqual(redact({ "/a/b/c": ["/d/e/f", 3, null] }, []), { "<path>/c": ["<path>/f", 3, null] });
});
