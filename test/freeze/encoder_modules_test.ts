/** The modules of an encoder of someone else, as they go into a frozen folder. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { encoderModules } from "../../runtime/freeze/encoder_modules.ts";
import { moduleImports } from "../../runtime/freeze/module_imports.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { withFolder } from "../kit/folder.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const specifiers = (text: string): readonly (string | undefined)[] =>
  [...moduleImports(text)].sort((a, b) => a.begin - b.begin).map((found) => found.specifier);

test("imports are found whatever they look like, and what only looks like one is not", () => {
  const text = `#!/usr/bin/env node
import "./a.js";
import b, { c as d, "x y" as e } from './b.js';
import * as f from "fovea/nn"; // import "./no1.js"
/* export * from "./no2.js" */
export{g}from"./g.js";export*from"./h.js";
export * as "odd name" from "./i.js";
export default "from './no3.js'";
const j = \`import "./no4.js" \${await import("./j.js")} import "./no5.js"\`;
const k = /import "\\.\\/no6.js"["/]/.test(j) ? import.meta.url : object.import("./no7.js");
export const from = "./no8.js";
const l = (name) => import(name);
`;
  const found = ["./a.js", "./b.js", "fovea/nn", "./g.js", "./h.js", "./i.js", "./j.js", undefined];
  assert.deepEqual(specifiers(text), found);
  for (const { specifier, begin, end } of moduleImports(text)) assert.equal(text.slice(begin, end), specifier ?? "");
});

const LIBRARIES = new Map([
  ["fovea/abi", "abi.js"],
  ["fovea/nn", "nn.js"],
]);

async function withFiles<T>(files: Readonly<Record<string, string>>, work: (folder: string) => Promise<T>): Promise<T> {
  return withFolder(async (folder) => {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    return work(folder);
  });
}

test("modules keep their places, and parts of fovea are imported from beside them", () =>
  withFiles(
    {
      "dist/plugin.js": `import { definePlugin } from "fovea/abi";\nimport "./deep/layers.js";\n`,
      "dist/deep/layers.js": `import { linear } from 'fovea/nn';\nexport * from "../../shared/text.mjs";\n`,
      "shared/text.mjs": `export const text = "fovea/nn";\n`,
      "dist/unused.js": "",
    },
    async (folder) => {
      const { files, entry, libraries } = await encoderModules(
        await detectHost(),
        `${folder}/./dist/./plugin.js`,
        LIBRARIES,
      );
      assert.equal(entry, "dist/plugin.js");
      assert.deepEqual([...libraries].sort(), ["fovea/abi", "fovea/nn"]);
      const texts = [...files].map(([name, bytes]) => [name, new TextDecoder().decode(bytes)]);
      assert.deepEqual(Object.fromEntries(texts), {
        "dist/plugin.js": `import { definePlugin } from "../../abi.js";\nimport "./deep/layers.js";\n`,
        "dist/deep/layers.js": `import { linear } from '../../../nn.js';\nexport * from "../../shared/text.mjs";\n`,
        "shared/text.mjs": `export const text = "fovea/nn";\n`,
      });
    },
  ));

test("what edges cannot import is refused with the module and what to do", async () => {
  const refused = (text: string, message: RegExp, name = "plugin.js") =>
    withFiles({ [name]: text, "other.ts": "" }, async (folder) => {
      const host = await detectHost();
      await assert.rejects(encoderModules(host, `${folder}/${name}`, LIBRARIES), { code: "not_freezable", message });
    });
  await refused(
    `import "node:fs";`,
    /plugin\.js cannot be frozen: it imports "node:fs", which is neither .* nor fovea\/abi/,
  );
  await refused(`import x from "left-pad";`, /"left-pad".*bundle it with its encoder/);
  await refused(`import { createRuntime } from "fovea";`, /it imports "fovea", which is neither/);
  await refused(`const x = (y) => import(y);`, /imports a name that is computed/);
  await refused(`import "./other.ts";`, /other\.ts cannot be frozen: it is no JavaScript; freeze what `tsc`/);
  await refused("", /plugin\.ts cannot be frozen: it is no JavaScript/, "plugin.ts");
});

test("an encoder whose code is not known to lie anywhere is refused, and told how to name it", async () => {
  await using runtime = await openRuntime({
    target: "wasm-simd128",
    threads: 0,
    plugins: [
      (await import("../../kernels/wasm/plugin.ts")).wasmPlugin,
      (await import("../../examples/encoder-plugin/patch_mlp.ts")).patchMlpPlugin,
    ],
  });
  const config = JSON.stringify({ model_type: "patch_mlp", image_size: 32, patch_size: 8, hidden_size: 16 });
  const model = new Map([["config.json", new TextEncoder().encode(config)]]);
  await assert.rejects(runtime.freeze(model, "/nowhere/at/all", { loadFormat: "dummy" }), {
    code: "not_freezable",
    message: /The encoder of the plugin ".*" cannot be frozen: .*Name its module to `createRuntime/,
  });
});
