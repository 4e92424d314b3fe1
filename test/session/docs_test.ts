/** What docs/compile.md shows is what the schema takes, the example holds and the command prints. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { detectHost } from "../../runtime/host/mod.ts";
import { readConfigFile } from "../../runtime/session/config/config_file.ts";
import { checkCompileConfig, checkConfig } from "../../runtime/session/config/config_schema.ts";
import { tracedModel } from "../../runtime/session/models/prepared_model.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const DOC = readFileSync(repositoryPath("docs/compile.md"), "utf8");
const DIGITS = repositoryPath("examples/models/digits-clip");

const blocks = (language: string): readonly string[] =>
  [...DOC.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "gs"))].map((m) => m[1]);

test("every configuration that the page shows passes the schema", () => {
  const json = blocks("json");
  assert.ok(json.length > 0);
  for (const text of json) checkConfig(JSON.parse(text), "docs/compile.md");
  const given = [...DOC.matchAll(/--compile-config '(\{.*?\})'\n/g)].map((m) => m[1]);
  assert.ok(given.length > 0);
  for (const text of given) checkCompileConfig(JSON.parse(text), "docs/compile.md");
});

const host = await detectHost();
const skip = host.name === "node" && Number(host.version.split(".")[0]) < 24 && "this Node reads no TypeScript";

test("the page's configuration file is the example, and does what the page says", { skip }, async () => {
  const path = repositoryPath("examples/config/clip.ts");
  const example = readFileSync(path, "utf8");
  assert.ok(blocks("ts").includes(example), "the page and examples/config/clip.ts differ");
  const { compile } = await readConfigFile(host, path);
  assert.ok(compile);
  const told: string[] = [];
  const runtime = await openRuntime({ threads: 0, compile, onProblem: (sentence) => told.push(sentence) });
  const { towers } = tracedModel(await runtime.prepare(DIGITS, { compile: false }));
  assert.deepEqual(told, [], "the example's patterns match nothing");
  const of = (tower: "vision" | "text", tag: string) => towers.get(tower)?.components.get(tag) ?? assert.fail(tag);
  assert.deepEqual(
    of("vision", "clip/vision.block").boxes.map((b) => b.batch),
    [
      { min: 1, max: 1 },
      { min: 2, max: 4 },
      { min: 5, max: 64 },
    ],
  );
  assert.equal(of("vision", "clip/vision.embed").settings.lazy.value, false);
  assert.equal(of("text", "clip/text.embed").settings.lazy.value, true);
  assert.equal(of("text", "clip/text.pool").device.kind, "reference");
  await runtime.close();
});

test("the page's table names every setting, with its default", async () => {
  // Later sections have tables of their own.
  const [settingsPart] = DOC.split("\n## Ranges");
  const rows = [...settingsPart.matchAll(/^\| `(\w+)` \| .* \| (.+) \|$/gm)];
  const runtime = await openRuntime({ threads: 0 });
  const { towers } = tracedModel(await runtime.prepare(DIGITS, { compile: false, components: ["vision"] }));
  const { settings } = towers.get("vision")?.components.get("clip/vision.embed") ?? assert.fail();
  assert.deepEqual(
    rows.map((m) => m[1]),
    Object.keys(settings),
  );
  for (const [, name, text] of rows) {
    const { value, from } = settings[name as Exclude<keyof typeof settings, "facts">];
    if (from === "default" && name !== "maxArtifacts") assert.equal(text, `\`${value}\``, name);
  }
  await runtime.close();
});
