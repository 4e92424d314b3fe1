/** `fovea explain --breaks`, `fovea embed --record` and `fovea tune ranges`, as a user types them. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { repositoryPath, runCli } from "../kit/run_cli.ts";
import { SINS } from "./bad_encoder.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");
const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
const BAD = fileURLToPath(new URL(`./bad_encoder${EXTENSION}`, import.meta.url));

test("explain --breaks lists every sin of a bad plugin with its line, and ends with 1", async () => {
  const { code, stdout, stderr } = await runCli(["explain", "--breaks", BAD, "--json"]);
  assert.equal(code, 1, stderr);
  const { breaks } = JSON.parse(stdout) as {
    breaks: { kind: string; at: string; component: string; remedy: string }[];
  };
  assert.deepEqual(
    breaks.map((one) => one.kind),
    SINS,
  );
  const source = await readFile(repositoryPath("test/cli/bad_encoder.ts"), "utf8").catch(() => undefined);
  const lines = breaks.map(({ at, component, remedy }) => {
    assert.equal(component, "bad/vision.block");
    assert.ok(remedy.length > 30);
    assert.match(at, /^bad_encoder\.ts:\d+$/);
    return Number(at.split(":")[1]);
  });
  assert.deepEqual(
    lines,
    SINS.map((_, i) => lines[0] + i),
  );
  if (source !== undefined) assert.match(source.split("\n")[lines[0] - 1], /x\.data\[0\]/);
  const text = await runCli(["explain", "--breaks", BAD]);
  assert.equal(text.code, 1);
  assert.match(text.stdout, /^Component "bad\/vision\.block" breaks its trace at bad_encoder\.ts:\d+: .*`where`/m);
  assert.match(text.stdout, /: 8 trace breaks\n$/);
});

test("explain --breaks looks at the components that are named, and says what there is where none is", async () => {
  for (const component of ["vision", "bad/vision.block", "bad/*"]) {
    const { stdout } = await runCli(["explain", "--breaks", BAD, "--component", component]);
    assert.match(stdout, /: 8 trace breaks\n$/, component);
  }
  const none = await runCli(["explain", "--breaks", BAD, "--component", "bad/visoin.*"]);
  assert.deepEqual([none.code, none.stdout], [2, ""]);
  assert.match(
    none.stderr,
    /bad_encoder\.[jt]s has no component "bad\/visoin\.\*"; it has vision, bad\/vision\.block\. Did you mean "bad\/vision\.\*"\?/,
  );
  const sound = await runCli(["explain", "--breaks", DIGITS, "--component", "clip/text.*"]);
  assert.deepEqual([sound.code, sound.stdout], [0, `${DIGITS}: no trace breaks\n`]);
});

test("explain --breaks refuses what would print or write something else", async () => {
  for (const more of [["--html", "page.html"], ["--stage", "traced"], ["--numerics"], ["--config"]]) {
    const { code, stdout, stderr } = await runCli(["explain", DIGITS, "--breaks", ...more]);
    assert.deepEqual([code, stdout], [2, ""], more.join(" "));
    assert.match(stderr, /--breaks prints trace breaks and nothing else; leave out --numerics, --stage, --html, and/);
  }
});

test("explain --breaks finds none in a sound model, and says what it cannot load", async () => {
  const { code, stdout } = await runCli(["explain", "--breaks", DIGITS]);
  assert.equal(code, 0);
  assert.match(stdout, /: no trace breaks\n$/);
  // A model of a plugin that the command line names.
  const folder = await mkdtemp(join(tmpdir(), "fovea-breaks-"));
  await writeFile(join(folder, "config.json"), '{"model_type":"bad"}');
  const named = await runCli(["explain", "--breaks", folder, "--plugin", BAD]);
  await rm(folder, { recursive: true });
  assert.equal(named.code, 1, named.stderr);
  assert.match(named.stdout, /: 8 trace breaks\n$/);
  const absent = await runCli(["explain", "--breaks", "./no_such_plugin.js"]);
  assert.equal(absent.code, 2);
  assert.match(absent.stderr, /There is no plugin \.\/no_such_plugin\.js: it is no file or folder/);
  const other = fileURLToPath(new URL(`../kit/assertions${EXTENSION}`, import.meta.url));
  const empty = await runCli(["explain", "--breaks", other]);
  assert.equal(empty.code, 2);
  assert.match(empty.stderr, /assertions\.[tj]s exports no plugin; export what definePlugin returns\./);
});

test("sizes are recorded while embedding, and ranges are learnt from them", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fovea-ranges-"));
  try {
    const [record, out] = [join(folder, "sizes.jsonl"), join(folder, "fovea.config.json")];
    for (const text of ["one", "two words"]) {
      const { code, stderr } = await runCli(["embed", DIGITS, "--text", text, "--record", record, "--json"]);
      assert.equal(code, 0, stderr);
    }
    const lines = (await readFile(record, "utf8")).trim().split("\n");
    assert.ok(lines.filter((line) => line.includes('"clip/text.block"')).length === 2, lines.join("\n"));
    const tuned = await runCli([
      "tune",
      "ranges",
      DIGITS,
      "--from-trace",
      record,
      "--budget",
      "2",
      "--out",
      out,
      "--json",
    ]);
    assert.equal(tuned.code, 0, tuned.stderr);
    const { components, config } = JSON.parse(tuned.stdout);
    assert.ok(components.length >= 3);
    for (const { tag, artifacts, seconds } of components) {
      assert.ok(artifacts.tuned <= 2 && seconds.tuned > 0 && seconds.now > 0, tag);
      assert.ok(tag in config.compile.components, tag);
    }
    assert.deepEqual(JSON.parse(await readFile(out, "utf8")), config);
    const text = await runCli(["tune", "ranges", DIGITS, "--from-trace", record, "--measure"]);
    assert.match(
      text.stdout,
      /^component +calls +outside +artifacts +tuned +expected ms +tuned +saved +measured calls +ms +tuned +saved\n/,
    );
    assert.match(text.stdout, /\nclip\/text\.block +2 +0( .*){5} +2 +\d\S* +\d\S* +-?\d+\.\d %\n/);
    assert.doesNotMatch(text.stderr, /left out/);
    const line = (tokens: number): string => `{"tag":"clip/text.block","dims":{"batch":2,"tokens":${tokens}}}\n`;
    await writeFile(record, [4, 99, 99, 20, 21, 22, 23, 24, 25].map(line).join(""));
    const outside = await runCli(["tune", "ranges", DIGITS, "--from-trace", record]);
    assert.match(
      outside.stderr,
      /fovea: left out 2 calls of clip\/text\.block at batch 2, tokens 99: it takes tokens 1\.\.12\n/,
    );
    assert.match(
      outside.stderr,
      /tokens 23: it takes tokens 1\.\.12\nfovea: left out 2 more sizes of clip\/text\.block\n$/,
    );
    await writeFile(record, "nonsense\n");
    const wrong = await runCli(["tune", "ranges", DIGITS, "--from-trace", record]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /Line 1 of .*sizes\.jsonl is not of the form/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("ranges are learnt from inputs that are encoded one by one", async () => {
  const inputs = ["--record", join(DIGITS, "images", "000-2.png"), "--text", "one", "two words"];
  const { code, stdout, stderr } = await runCli(["tune", "ranges", DIGITS, ...inputs, "--threads", "0", "--json"]);
  assert.equal(code, 0, stderr);
  const { components } = JSON.parse(stdout) as { readonly components: readonly { tag: string; calls: number }[] };
  const calls = Object.fromEntries(components.map((c) => [c.tag, c.calls]));
  assert.deepEqual([calls["clip/vision.block"], calls["clip/text.block"], calls["clip/text.project"]], [1, 2, 2]);
  for (const args of [[], [...inputs, "--from-trace", "sizes.jsonl"]]) {
    const refused = await runCli(["tune", "ranges", DIGITS, ...args]);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /Sizes come from one place: give either --from-trace with a file of them, or inputs/);
  }
  const missing = await runCli(["tune", "ranges", DIGITS, "--record", "no_such.png"]);
  assert.match(missing.stderr, /Cannot read no_such\.png: it does not exist/);
});
