/** Sentences of the command line that no other test asks for, most of them in this process. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Command } from "commander";
import { benchCommand } from "../../runtime/cli/bench.ts";
import { checkFinite, compare } from "../../runtime/cli/compare.ts";
import { embedCommand } from "../../runtime/cli/embed.ts";
import { explainCommand } from "../../runtime/cli/explain.ts";
import { newCommand } from "../../runtime/cli/plugin_new.ts";
import { duration } from "../../runtime/cli/queue.ts";
import { serveCommand } from "../../runtime/cli/serve.ts";
import { fail, print, writeTo } from "../../runtime/cli/terminal.ts";
import { rangesCommand } from "../../runtime/cli/tune_ranges.ts";
import { verifyCommand } from "../../runtime/cli/verify.ts";
import { findCases, findProcessorCases } from "../../runtime/cli/verify_cases.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { encodeSafetensors } from "../../runtime/exec/weights/writer.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { hasCode } from "../kit/assertions.ts";
import { withFolder } from "../kit/folder.ts";
import { repositoryPath, runCli } from "../kit/run_cli.ts";

const CLIP = repositoryPath("test/fixtures/clip");
const DIGITS = repositoryPath("examples/models/digits-clip");

/** What commander says of an option's value; the command does not run. */
async function misread(command: Command, args: readonly string[], says: RegExp): Promise<void> {
  command.exitOverride().configureOutput({ writeErr: () => {} });
  await assert.rejects(command.parseAsync(args, { from: "user" }), (error: unknown) => {
    assert.match((error as Error).message, says);
    assert.equal((error as { code?: unknown }).code, "commander.invalidArgument");
    return true;
  });
}

const refused = (command: Command, args: readonly string[], code: string, says: RegExp): Promise<void> =>
  assert.rejects(command.parseAsync(args, { from: "user" }), hasCode(code, says));

test("values of options are told what was expected of them", async () => {
  assert.throws(() => duration("soon"), /Expected a time such as 90s, 15m, 12h or 7d\.$/);
  await misread(benchCommand(), ["m", "--size", "224"], /--size .*Expected HEIGHTxWIDTH, such as 224x224\./);
  await misread(benchCommand(), ["m", "--grid", "46x64"], /--grid .*Expected FRAMESxROWSxCOLUMNS, such as 1x46x64\./);
  for (const seconds of ["0", "long", "Infinity"]) {
    await misread(benchCommand(), ["m", "--seconds", seconds], /--seconds .*Expected a number above 0\./);
  }
  await misread(embedCommand(), ["m", "--fps", "0"], /--fps .*Expected a number of frames per second, above 0\./);
  for (const tolerance of ["-1", "", "tight"]) {
    const says = /--tolerance .*Expected a number of at least 0, such as 2e-5\./;
    await misread(verifyCommand(), ["m", "--tolerance", tolerance], says);
  }
});

test("files that results cannot go to are refused", () =>
  withFolder(async (folder) => {
    await refused(
      rangesCommand(),
      [CLIP, "--from-trace", "sizes.jsonl", "--out", "ranges.yaml"],
      "bad_usage",
      /^--out ranges\.yaml must end in \.json, such as fovea\.config\.json\.$/,
    );
    const picture = join(DIGITS, "images", "000-2.png");
    const out = join(folder, "all.npy");
    const outputs = ["--outputs", "image_embeds,pooler_output"];
    await refused(
      embedCommand(),
      [DIGITS, picture, ...outputs, "--out", out, "--threads", "0", "--cache", join(folder, "cache")],
      "bad_usage",
      /^An \.npy file holds one array and there are 2 \(image_embeds, pooler_output\); use \.safetensors\.$/,
    );
  }));

test("a served model that is not named, and a pattern that no shell expanded, are refused", async () => {
  await refused(
    serveCommand(),
    ["clip="],
    "bad_usage",
    /^"clip=" names no model; write it behind the sign, as in clip=\.\/folder\.$/,
  );
  await refused(
    embedCommand(),
    [DIGITS, "nothing/*.png"],
    "bad_usage",
    /^No file is called nothing\/\*\.png\. Here the shell expands patterns: leave out the quotes, .*--out x\.parquet, --resume or --shard-rows\.$/,
  );
});

test("explain names the components that a model has", () =>
  withFolder((folder) =>
    refused(
      explainCommand(),
      [CLIP, "--component", "clip/vision.blok", "--cache", folder],
      "bad_usage",
      /^This clip model has no component "clip\/vision\.blok"; it has .*Did you mean "clip\/vision\.block"\?$/,
    ),
  ));

test("a plugin's project is begun by a known template, in a folder that is not there and names the package", () =>
  withFolder(async (folder) => {
    await refused(
      newCommand(),
      ["kernel-go", join(folder, "one")],
      "bad_usage",
      /There is no template "kernel-go"; there are kernel-c, /,
    );
    await refused(newCommand(), ["kernel-c", folder], "bad_usage", /is there already; name a folder that is not\./);
    await refused(
      newCommand(),
      ["kernel-c", join(folder, "_")],
      "bad_usage",
      /gives the package no name; name it after the plugin\./,
    );
  }));

test("an empty cache says so, and one that has no place is asked for", () =>
  withFolder(async (folder) => {
    const listed = await runCli(["cache", "ls", "--cache", folder]);
    assert.equal(listed.code, 0);
    assert.equal(listed.stdout, `The cache ${folder} is empty.\n`);
    const nowhere = { FOVEA_CACHE_DIR: "", XDG_CACHE_HOME: "", HOME: "", LOCALAPPDATA: "" };
    const { code, stderr } = await runCli(["cache", "ls"], { env: nowhere, cwd: folder });
    assert.equal(code, 2);
    assert.match(stderr, /No cache folder is known here; give one with --cache or FOVEA_CACHE_DIR\./);
  }));

test("cases of other forms are refused", () =>
  withFolder(async (folder) => {
    const host = await detectHost();
    await writeFile(
      join(folder, "case-odd.safetensors"),
      encodeSafetensors({ pixel_values: { dtype: "f32", shape: [1], data: new Float32Array(1) } }),
    );
    await assert.rejects(
      findCases(host, folder),
      hasCode("invalid_case", /^case-odd\.safetensors holds no tensors named input\.\* and output\.\*, so there is/),
    );
    await assert.rejects(
      findProcessorCases(host, folder),
      hasCode("no_cases", /holds no <name>\.safetensors with a <name>\.png or <name>\.wav one folder up\.$/),
    );
  }));

test("results of another shape and results that are not finite fail a check", () => {
  const tensor = (...data: number[]) =>
    ({ dtype: "f32", shape: [data.length], data: Float32Array.from(data) }) as const;
  assert.throws(
    () => compare("image_embeds", tensor(1, 2), tensor(1, 2, 3), { tolerance: 1 }),
    hasCode("check_failed", /^The result "image_embeds" has the shape \[2\], its reference \[3\]\.$/),
  );
  checkFinite({ image_embeds: tensor(1, 2) });
  assert.throws(
    () => checkFinite({ image_embeds: tensor(1, Number.NaN) }),
    hasCode("check_failed", /^The result "image_embeds" is not finite at element 1\.$/),
  );
});

test("a stdout that takes nothing is an error, and an unexpected error says how to see more", () => {
  let told = "";
  writeTo({
    out: () => {
      throw new Error("no space left on device");
    },
    err: (text) => {
      told += text;
    },
  });
  assert.throws(
    () => print("result"),
    hasCode("output_failed", /^The result cannot be written to stdout: no space left on device\.$/),
  );
  assert.equal(fail(new TypeError("it is undefined"), false), 2);
  assert.equal(told, "fovea: it is undefined\nRun again with --verbose for a stack trace.\n");
  told = "";
  fail(new FoveaError("bad_plugin", "It does not load.", { cause: new TypeError("no such name") }), true);
  assert.match(told, /^fovea: It does not load\.\n[\s\S]*\nCaused by .*no such name/);
});
