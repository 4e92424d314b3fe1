/** `fovea tune` as a user types it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { withFolder } from "../kit/folder.ts";
import { repositoryPath, runCli } from "../kit/run_cli.ts";

const VIT = repositoryPath("test/fixtures/vit");
const COMMAND = ["tune", "granularity", VIT, "--threads", "0", "--runs", "1"];

test("tune granularity prints a table and a recommendation, or one JSON document", async () => {
  const text = await runCli([...COMMAND, "--cuts", "block,tower"]);
  assert.equal(text.code, 0, text.stderr);
  assert.match(
    text.stdout,
    /\ncut +ms +min +ratio +compile ms +artifacts +their size +steps +weights +arena +peak\nblock /,
  );
  assert.match(text.stdout, /\ntower /);
  const [, cut] = text.stdout.match(/\nrecommended: (block|tower)\. "\1" is /) ?? [];
  const how = cut === "block" ? "The model is cut like this without any setting" : "This configuration takes it.";
  assert.ok(text.stdout.includes(`\n${how}`), text.stdout);
  const json = await runCli([...COMMAND, "--cuts", "block", "--batch", "2", "--json"]);
  const report = JSON.parse(json.stdout);
  assert.deepEqual([report.modality, report.batch, report.recommended, report.cuts.length], ["vision", 2, "block", 1]);
  assert.deepEqual(report.config, {});
});

test("tune explains what it does not take, and takes nothing without a sub-command", async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[...COMMAND, "--cuts", "block,1"], /Expected op, block, tower and numbers of blocks from 2 on/],
    [[...COMMAND, "--tokens", "4"], /--tokens says nothing to this model's vision component/],
    [["tune", "granularitee"], /unknown command 'granularitee'/],
  ];
  for (const [args, says] of cases) {
    const { code, stdout, stderr } = await runCli(args);
    assert.deepEqual([code, stdout], [2, ""], stderr);
    assert.match(stderr, says);
  }
});

test("tune kernels times targets in turns and keeps the fastest where doctor and runtimes find it", async () => {
  await withFolder(async (folder) => {
    const cache = ["--cache", folder];
    const tune = ["tune", "kernels", VIT, "--threads", "0", "--rounds", "3"];
    const text = await runCli([...tune, ...cache]);
    assert.equal(text.code, 0, text.stderr);
    assert.match(text.stdout, /\ntarget +ms +min +times wasm-[a-z0-9-]+\n/);
    const [, fastest] =
      text.stdout.match(
        /\nfastest: (\S+), (?:\d+\.\d\d times as fast as \S+, which is used otherwise|which is used anyway)\.\n/,
      ) ?? [];
    assert.match(
      text.stdout,
      /\nKept in .*: runtimes with this cache and no target of their own use it from now on\.\n/,
    );
    const doctor = await runCli(["doctor"], { env: { FOVEA_CACHE_DIR: folder } });
    assert.match(doctor.stdout, new RegExp(`\\nwasm +${fastest} \\(measured here\\) `));
    const own = await runCli(["doctor", ...cache]);
    assert.match(own.stdout, new RegExp(`\\ncache: ${folder}\\n`));
    assert.match(own.stdout, new RegExp(`\\nwasm +${fastest} \\(measured here\\) `));
    const bench = await runCli(["bench", VIT, "--threads", "0", "--runs", "1", "--json", ...cache]);
    assert.equal(JSON.parse(bench.stdout).target, fastest);
    const json = await runCli([...tune, "--no-cache", "--targets", "wasm-simd128", "--json"]);
    const report = JSON.parse(json.stdout);
    assert.equal(report.kept, null);
    // And what is in use without it: a target alone would be the fastest whatever it took.
    const timed = report.targets.map((t: { target: string }) => t.target);
    assert.ok(timed.includes("wasm-simd128") && timed.includes(report.recommended));
    const doctored = JSON.parse((await runCli(["doctor", "--json"])).stdout).devices;
    assert.equal(timed[0], doctored.find((d: { kind: string }) => d.kind === "wasm").target);
    const wrong = await runCli([...tune, "--no-keep", "--targets", "wasm-simd127"]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /has no target "wasm-simd127"; expected one of/);
  });
});
