/** Configurations: what the schema refuses and in which words, files of every kind, precedence. */

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { defineConfig, type NamedCompileConfig } from "../../mod.ts";
import type { ComponentSpec } from "../../runtime/abi/encoder.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { readConfigFile, readConfiguration } from "../../runtime/session/config/config_file.ts";
import { checkCompileConfig, checkConfig } from "../../runtime/session/config/config_schema.ts";
import { resolveSettings } from "../../runtime/session/config/settings.ts";
import { tracedModel } from "../../runtime/session/models/prepared_model.ts";
import { hasCode } from "../kit/assertions.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");
const HOME = { device: "wasm", target: "wasm-simd128" };

const REFUSED: readonly (readonly [unknown, RegExp])[] = [
  [null, /^In f\.json, `compile` is null; expected an object such as/],
  [{ bas: {} }, /`compile` has no setting "bas"; it takes enabled, base, components, strict\. Did you mean "base"\?/],
  [{ enabled: "no" }, /`compile\.enabled` is "no"; expected true or false\./],
  [{ base: [] }, /`compile\.base` is an empty list; expected settings such as/],
  [{ base: { lasy: true } }, /`compile\.base` has no setting "lasy".*Did you mean "lazy"\?/],
  [{ base: { maxArtifacts: 0 } }, /`compile\.base\.maxArtifacts` is 0; expected a whole number >= 1\./],
  [{ base: { maxArtifacts: 1.5 } }, /is 1\.5; expected a whole number >= 1\./],
  [{ base: { dtype: "f8" } }, /`compile\.base\.dtype` is "f8"; expected "f32"/],
  [
    { base: { granularity: 1 } },
    /granularity` is 1; expected "op", "block", "tower" or a number of blocks from 2 on\./,
  ],
  [{ base: { granularity: "towr" } }, /`compile\.base\.granularity` is "towr"; expected "op", "block"/],
  [{ base: { granularty: 2 } }, /has no setting "granularty".*Did you mean "granularity"\?/],
  [{ base: { device: "" } }, /`compile\.base\.device` is ""; expected a name\./],
  [
    { components: { "clip/*": { range: {} } } },
    /`compile\.components\["clip\/\*"\]` has no setting "range".*"ranges"\?/,
  ],
  [
    { components: { "clip/*": { ranges: 8 } } },
    /`compile\.components\["clip\/\*"\]\.ranges` is 8; expected ranges such as/,
  ],
  [
    { components: { "clip/*": { ranges: { ends: { batch: [1, "8"] } } } } },
    /`compile\.components\["clip\/\*"\]\.ranges\.ends\.batch\[1\]` is "8"; expected a whole number >= 0\./,
  ],
  [
    { components: { x: { ranges: { exact: [{ batch: -1 }] } } } },
    /`compile\.components\.x\.ranges\.exact\[0\]\.batch` is -1; expected/,
  ],
  [{ components: [] }, /`compile\.components` is an empty list; expected settings by tag/],
];

test("the schema refuses unknown names and wrong values with their path, what was found and what was expected", () => {
  for (const [config, says] of REFUSED) {
    assert.throws(() => checkCompileConfig(config, "f.json"), hasCode("invalid_options", says));
  }
  assert.throws(() => checkConfig(3, "f.json"), hasCode("invalid_options", /^f\.json is 3; expected/));
  assert.throws(() => checkConfig({ compiler: {} }, "f.json"), hasCode("invalid_options", /Did you mean "compile"\?/));
  assert.throws(
    () => checkCompileConfig({ compile: { base: {} } }, "--compile-config"),
    hasCode(
      "invalid_options",
      /`compile` has no setting "compile"; it takes .* This is the inside of a `compile` section: leave out "compile" around it\.$/,
    ),
  );
  assert.throws(
    () => checkConfig({ base: { lazy: true } }, "f.json"),
    hasCode(
      "invalid_options",
      /^f\.json has no setting "base"; it takes compile, plugins\. Put "base" under `compile`, such as \{ compile: \{ base: … \} \}\.$/,
    ),
  );
  const all = {
    enabled: true,
    base: {
      enabled: false,
      granularity: 4,
      dtype: "f32",
      device: "wasm",
      target: "wasm-simd128",
      lazy: true,
      maxArtifacts: 9,
    },
    components: { "clip/*": { ranges: { ends: { batch: [1, 8] }, exact: [{ batch: 64 }] } } },
  } as const;
  assert.deepEqual(checkConfig(defineConfig({ compile: all }), "f.json"), { compile: all });
});

test("createRuntime takes one configuration, or several with their names", async () => {
  const options = { threads: 0, compile: [{ config: {} }] as unknown as NamedCompileConfig[] };
  await assert.rejects(openRuntime(options), hasCode("invalid_options", /`compile\[0\]\.name` is missing\./));
  const strong = { name: "strong", config: { base: { lazy: true } } };
  const weak = { name: "weak.json", config: { components: { "clip/vision.block": { lazy: false, maxArtifacts: 5 } } } };
  const runtime = await openRuntime({ threads: 0, compile: [strong, weak] });
  const { towers } = tracedModel(await runtime.prepare(DIGITS, { components: ["vision"] }));
  assert.equal(runtime.stats().counters.compiled, 0);
  const { settings } = towers.get("vision")?.components.get("clip/vision.block") ?? assert.fail();
  // A stronger configuration's base beats a weaker one's pattern.
  assert.deepEqual(settings.lazy, { value: true, from: "strong: compile.base" });
  assert.deepEqual(settings.maxArtifacts, {
    value: 5,
    from: 'weak.json: compile.components["clip/vision.block"]',
  });
  await runtime.close();
});

test("what a configuration asks of a component that it cannot have is told with its place", async () => {
  const cases: readonly (readonly [object, string, RegExp])[] = [
    [{ ranges: { ends: { batch: [99] } } }, "invalid_range", /end 99 .*See compile\.components\["clip\/\*"\]\.$/],
    [{ maxArtifacts: 2 }, "invalid_range", /3 ranges = 3 artifacts, over maxArtifacts 2.*See compile\.components/],
    [{ device: "refrence" }, "unknown_device", /Did you mean "reference"\?.*by compile\.components\["clip\/\*"\]\.$/],
    [{ target: "wasm-simd" }, "unknown_target", /no target "wasm-simd".*asked for by compile\.components/],
    [{ device: "reference", target: "wasm-simd128" }, "unknown_target", /device "reference" has no target/],
  ];
  for (const [settings, code, says] of cases) {
    const runtime = await openRuntime({ threads: 0, compile: { components: { "clip/*": settings } } });
    await assert.rejects(runtime.prepare(DIGITS, { components: ["vision"] }), hasCode(code, says));
    await runtime.close();
  }
});

test("files are read as JSON and as modules; TypeScript where the runtime runs it, else with what would work", async () => {
  const host = await detectHost();
  const folder = await mkdtemp(join(tmpdir(), "fovea-config-"));
  const write = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  const expected = { compile: { base: { lazy: true } } };
  const module = "export default { compile: { base: { lazy: true } } };";
  try {
    assert.deepEqual(await readConfigFile(host, await write("a.json", JSON.stringify(expected))), expected);
    assert.deepEqual(await readConfigFile(host, await write("b.mjs", module)), expected);
    const typed = await write("c.ts", `const lazy: boolean = true;\nexport default { compile: { base: { lazy } } };`);
    const runsTypes = host.name !== "node" || Number(host.version.split(".")[0]) >= 24;
    if (runsTypes) assert.deepEqual(await readConfigFile(host, typed), expected);
    else {
      await assert.rejects(
        readConfigFile(host, typed),
        hasCode(
          "invalid_options",
          /node .* does not run TypeScript.*fovea\.config\.mjs or fovea\.config\.json.*Bun, Deno/,
        ),
      );
    }
    const refused: readonly (readonly [string, string, string, RegExp])[] = [
      [
        "d.json",
        "{",
        "invalid_options",
        /d\.json is not valid JSON: line 1, column 2: found the end, expected a name in double quotes or "}"\./,
      ],
      ["e.json", '{"compile":{"bas":1}}', "invalid_options", /e\.json, `compile` has no setting "bas"/],
      ["f.mjs", "export const compile = {};", "invalid_options", /f\.mjs has no default export/],
      ["h.json", '{"plugins":{}}', "invalid_options", /h\.json, `plugins` is an object; expected a list of plugins/],
      [
        "i.json",
        '{"plugins":[{"name":"x"}]}',
        "invalid_options",
        /`plugins\[0\]` is .*; expected a plugin, as definePlugin makes it/,
      ],
      ["g.mjs", "throw new Error('oh');", "invalid_options", /g\.mjs cannot be read: oh/],
    ];
    for (const [name, text, code, says] of refused) {
      await assert.rejects(readConfigFile(host, await write(name, text)), hasCode(code, says));
    }
    for (const absent of ["no.json", "no.mjs"]) {
      await assert.rejects(readConfigFile(host, join(folder, absent)), hasCode("file.not_found", /no\./));
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("switching off beats JSON, which beats the file", async () => {
  const host = await detectHost();
  const folder = await mkdtemp(join(tmpdir(), "fovea-config-"));
  const file = join(folder, "own.json");
  const spec: ComponentSpec = { tag: "a/vision.b", symbols: {}, instances: [""], build: () => {} };
  try {
    await writeFile(
      file,
      JSON.stringify({ compile: { components: { "a/vision.b": { enabled: true, lazy: true, maxArtifacts: 3 } } } }),
    );
    const json = JSON.stringify({ base: { enabled: true, lazy: false } });
    const { layers } = await readConfiguration(host, { file, json, off: "--no-compile" });
    const { enabled, lazy, maxArtifacts } = resolveSettings(spec, layers, HOME);
    assert.deepEqual(enabled, { value: false, from: "--no-compile: compile.enabled" });
    assert.deepEqual(lazy, { value: false, from: "--compile-config: compile.base" });
    assert.deepEqual(maxArtifacts, { value: 3, from: `${file}: compile.components["a/vision.b"]` });
    await assert.rejects(
      readConfiguration(host, { file, json: "{base}" }),
      hasCode("invalid_options", /--compile-config is not valid JSON/),
    );
    await assert.rejects(
      readConfiguration(host, { file, json: '{"base":{"lazy":1}}' }),
      hasCode("invalid_options", /^In --compile-config, `compile\.base\.lazy` is 1/),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("patterns that match no component of a loaded model are told once, with the nearest tag", async () => {
  const told: string[] = [];
  const lazy = { lazy: true };
  const runtime = await openRuntime({
    threads: 0,
    compile: { components: { "clip/visoin.*": lazy, "clip/vision.blok": lazy, "clip/text.*": lazy, "zzz/*": lazy } },
    onProblem: (sentence) => told.push(sentence),
  });
  // Text is not loaded here, but the model has it.
  (await runtime.load(DIGITS, { components: ["vision"] })).close();
  (await runtime.load(DIGITS, { components: ["vision"] })).close();
  assert.equal(told.length, 3, told.join("\n"));
  assert.match(
    told[0],
    /^compile\.components\["clip\/visoin\.\*"\] matches no component.*Did you mean "clip\/vision\.\*"\?$/,
  );
  assert.match(told[1], /Did you mean "clip\/vision\.block"\?$/);
  assert.match(
    told[2],
    /"zzz\/\*".*Its components are clip\/vision\.embed, clip\/vision\.embed_u8, clip\/vision\.block/,
  );
  await runtime.close();
});
