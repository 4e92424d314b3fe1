/** `fovea explain` and configuration files on the command line, as a user types them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { RangeDetails } from "../../runtime/session/explain/explain_range.ts";
import { detailLines } from "../../runtime/session/explain/explain_text.ts";
import { repositoryPath, runCli } from "../kit/run_cli.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");

/** A folder with the digits model's config.json alone. */
async function inConfigFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "fovea-explain-"));
  try {
    await copyFile(join(DIGITS, "config.json"), join(folder, "config.json"));
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("explain needs config.json alone and prints what an encoder explains", () =>
  inConfigFolder(async (folder) => {
    const { code, stdout, stderr } = await runCli(["explain", folder, "--component", "vision", "--threads", "0"]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^clip vision: weights [\d.]+ MiB\n {2}clip\/vision\.embed \(1 instance\)\n/);
    assert.match(stdout, /batch 9\.\.64: artifact [0-9a-f]{12}, .* beside weights\n {6}\w+\/\w+: /);
    assert.doesNotMatch(stdout, /text/);
    const json = await runCli(["explain", folder, "--component", "clip/*.block", "--json", "--threads", "0"]);
    const { modelType, components } = JSON.parse(json.stdout);
    assert.equal(modelType, "clip");
    assert.deepEqual(
      components.map((c: { tag: string }) => c.tag),
      ["clip/vision.block", "clip/text.block"],
    );
    for (const { ranges } of components) {
      for (const range of ranges) assert.ok(range.artifact && range.bytes > 0 && range.steps.length > 0);
    }
  }));

test("explain --config prints every setting with where it came from, and compiles nothing", () =>
  inConfigFolder(async (folder) => {
    const file = { compile: { components: { "clip/vision.*": { lazy: true, maxArtifacts: 4 } } } };
    await writeFile(join(folder, "fovea.config.json"), JSON.stringify(file));
    const args = ["explain", ".", "--component", "clip/vision.block", "--threads", "0", "--target", "wasm-simd128"];
    const over = ["--compile-config", '{"base":{"maxArtifacts":6}}', "--config"];
    const { code, stdout, stderr } = await runCli([...args, ...over], { cwd: folder });
    assert.equal(code, 0, stderr);
    // The same text stands in the documentation.
    assert.ok(readFileSync(repositoryPath("docs/compile.md"), "utf8").includes(stdout.trimEnd()), stdout);
    const rows = stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.trim().split(/ {2,}/));
    assert.deepEqual(rows, [
      ["clip/vision.block"],
      ["setting", "value", "from"],
      ["enabled", "true", "default"],
      ["granularity", '"block"', "default"],
      ["ranges", '{"ends":{"batch":[1,8]}}', 'component "clip/vision.block"'],
      ["dtype", '"f32"', "default"],
      ["device", '"wasm"', "runtime"],
      ["target", '"wasm-simd128"', "runtime"],
      ["lazy", "true", 'fovea.config.json: compile.components["clip/vision.*"]'],
      ["maxArtifacts", "6", "--compile-config: compile.base"],
    ]);
    const named = await runCli([...args, "--config", "fovea.config.json", "--json", "--no-compile"], { cwd: folder });
    const [{ settings, ranges }] = JSON.parse(named.stdout).components;
    assert.deepEqual(settings.enabled, { value: false, from: "--no-compile: compile.enabled" });
    assert.deepEqual(settings.maxArtifacts.value, 4);
    assert.ok(ranges.every((r: { state: string }) => r.state === "lazy"));
    const half = await runCli([...args, "--config", "--dtype", "bf16", "--json"], { cwd: folder });
    assert.equal(JSON.parse(half.stdout).components[0].settings.dtype.value, "bf16");
    const off = await runCli([...args, "--config", "--json"], { cwd: folder, env: { FOVEA_COMPILE: "0" } });
    assert.equal(JSON.parse(off.stdout).components[0].settings.enabled.from, "FOVEA_COMPILE=0: compile.enabled");
  }));

test("mistakes in configurations end with 2 and a sentence, and stdout stays empty", () =>
  inConfigFolder(async (folder) => {
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [
        ["--compile-config", '{"bas":{}}'],
        /In --compile-config, `compile` has no setting "bas".*Did you mean "base"\?/,
      ],
      [["--config", "nowhere.json"], /nowhere\.json.*does not exist/],
      [["--component", "visoin"], /no component "visoin".*Did you mean "vision"\?/],
      [["--component", "clip/visoin.*"], /no component "clip\/visoin\.\*".*Did you mean "clip\/vision\.\*"\?/],
      [["--component", "clip/*.blok"], /no component "clip\/\*\.blok".*Did you mean "clip\/\*\.block"\?/],
    ];
    for (const [args, says] of cases) {
      const { code, stdout, stderr } = await runCli(["explain", ".", ...args], { cwd: folder });
      assert.deepEqual([code, stdout], [2, ""], stderr);
      assert.match(stderr, says);
    }
    await writeFile(join(folder, "fovea.config.json"), "{}");
    await writeFile(join(folder, "fovea.config.mjs"), "export default {};");
    const both = await runCli(["explain", "."], { cwd: folder });
    assert.match(both.stderr, /holds fovea\.config\.mjs and fovea\.config\.json; keep one, or name the one to use/);
    assert.equal(
      (await runCli(["explain", ".", "--component", "vision", "--config", "fovea.config.mjs"], { cwd: folder })).code,
      0,
    );
  }));

test("explain prints figures, losers, passes and proofs; --stage one text, --json the same as data", () =>
  inConfigFolder(async (folder) => {
    const args = [
      "explain",
      folder,
      "--component",
      "clip/text.block",
      "--threads",
      "0",
      "--target",
      "wasm-simd128",
      "--no-cache",
    ];
    const { code, stdout, stderr } = await runCli(args);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /not matmul for matmul: writes "matmul", which stays inside of the chosen group/);
    assert.match(stdout, /not elementwise for .*: costs more by [\d.]+ (ms|µs)/);
    assert.match(stdout, /ops: \d+ traced, \d+ canonical, \d+ legal; (\d+) groups, \1 launches/);
    assert.match(stdout, /work at batch 64, tokens 12: [\d.]+ MFLOP, .* moved, [\d.]+ FLOP a byte/);
    assert.match(stdout, /passes, ms: trace [\d.]+, verify/);
    assert.match(stdout, /proof: (\d+) of \1 expectations compared on /);
    const staged = await runCli([...args, "--stage", "claimed"]);
    assert.match(
      staged.stdout,
      /^== clip\/text\.block, batch 1\.\.64, tokens 1\.\.12: claimed\n#0 rows: layer_norm -> /,
    );
    const json = await runCli([...args, "--json", "--stage", "planned"]);
    const [{ ranges }] = JSON.parse(json.stdout).components;
    assert.match(ranges[0].planned, /^#0 rows\/layer_norm grid /);
    assert.equal(ranges[0].traced, undefined);
    assert.ok(ranges[0].groups.length > 4 && ranges[0].proof.of > 0 && ranges[0].intensity > 1);
    assert.ok(["cache", "compiled"].includes(ranges[0].state));
  }));

test("explain --html writes a page; --stage program prints the arena of one geometry", () =>
  inConfigFolder(async (folder) => {
    const page = join(folder, "page.html");
    const args = ["explain", folder, "--component", "text", "--threads", "0"];
    const { code, stdout, stderr } = await runCli([...args, "--html", page]);
    assert.deepEqual([code, stdout, stderr], [0, "", `wrote ${page}\n`]);
    const html = readFileSync(page, "utf8");
    assert.ok(html.includes("clip/text.block") && !html.includes(folder), "the page names a path");
    const program = await runCli([...args, "--stage", "program", "--batch", "3"]);
    assert.match(program.stdout, /^text program for .*input_ids \[3, /);
    assert.match(program.stdout, /on wasm: \d+ calls in an arena of /);
    const both = await runCli([...args, "--config", "--html", page]);
    assert.equal(both.code, 2);
    assert.match(both.stderr, /--config prints settings and compiles nothing/);
  }));

test("--stage program of a component names the tower that it is part of", () =>
  inConfigFolder(async (folder) => {
    const refused = async (component: string, ...more: readonly string[]): Promise<string> => {
      const args = ["explain", folder, "--stage", "program", "--component", component, ...more];
      const { code, stdout, stderr } = await runCli(args);
      assert.deepEqual([code, stdout], [2, ""], stderr);
      return stderr;
    };
    assert.match(
      await refused("clip/vision.block", "--json"),
      /--stage program shows the arena of a whole tower, and "clip\/vision\.block" is a part of vision; give --component vision\.\n$/,
    );
    assert.match(
      await refused("clip/*.block"),
      /a part of vision and text; give --component vision or --component text\.\n$/,
    );
    const pattern = await runCli(["explain", folder, "--stage", "program", "--component", "clip/text.*"]);
    assert.match(pattern.stdout, /^text program for /, pattern.stderr);
  }));

test("a model that --config took as its file is missed with a hint", async () => {
  const { code, stdout, stderr } = await runCli(["explain", "--config", DIGITS]);
  assert.deepEqual([code, stdout], [2, ""]);
  assert.match(stderr, /^fovea: missing required argument 'model': --config took ".*digits-clip" as its file; put/);
  const none = await runCli(["explain", "--json"]);
  assert.deepEqual([none.code, none.stdout], [2, ""]);
  assert.match(none.stderr, /^fovea: missing required argument 'model'\n\(add --help for usage and examples\)\n$/);
  const between = await runCli(["explain", "--config", "--component", "clip/vision.pool", DIGITS]);
  assert.match(between.stdout, /^clip\/vision\.pool\n {2}setting /, between.stderr);
  assert.match((await runCli(["explain", "--help"])).stdout, /^Usage: fovea explain \[options\] <model>\n/);
});

test("one group of one launch is told in the singular", () => {
  const group = { kernel: "copy", flops: 1, bytes: 1, seconds: 1, totalSeconds: 1, losers: [], launchList: [{}] };
  const lines = (groups: readonly unknown[]): string =>
    detailLines({
      ...{ at: "", passes: [], flops: 1, movedBytes: 1, intensity: 1, predictedMs: 1, codeBytes: 1, proof: { of: 0 } },
      ...{ ops: { traced: 1, canonical: 1, legal: 1 }, groups },
    } as unknown as RangeDetails).join("\n");
  assert.match(lines([group]), /1 legal; 1 group, 1 launch$/m);
  assert.match(lines([group, { ...group, launchList: [{}, {}] }]), /1 legal; 2 groups, 3 launches$/m);
});
