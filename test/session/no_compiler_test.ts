/** An installation without the compiler runs packs, and says what it cannot do. */
import assert from "node:assert/strict";
import { cpSync, existsSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { createRuntime } from "../../mod.ts";
import { withFolder } from "../kit/folder.ts";
import { repositoryPath, runScript } from "../kit/run_cli.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");
const EXTENSION = import.meta.url.endsWith(".ts") ? "ts" : "js";

/** Loads the model with the pack and without it, and prints what came of it. */
const PROGRAM = `
import { createRuntime } from "./mod.${EXTENSION}";
const [model, pack] = process.argv.slice(2);
const load = async (options) => {
  const runtime = await createRuntime({ threads: 0, target: "wasm-simd128", ...options });
  try {
    const encoder = await runtime.load(model, { components: ["text"] });
    const { text_embeds } = await encoder.encode({ texts: ["a photo of the number: 3."] });
    return { ...runtime.stats().counters, values: [...text_embeds.data.slice(0, 4)] };
  } catch (error) {
    return { code: error.code, message: error.message };
  } finally {
    await runtime.close();
  }
};
console.log(JSON.stringify({ packed: await load({ packs: [pack] }), bare: await load({}) }));
`;

test("with the compile folder removed, a pack loads, proves itself and computes the same", () =>
  withFolder(async (folder) => {
    const runtime = await createRuntime({ threads: 0, target: "wasm-simd128" });
    await runtime.buildPack(DIGITS, `${folder}/pack`, { components: ["text"] });
    const encoder = await runtime.load(DIGITS, { components: ["text"] });
    const { text_embeds } = await encoder.encode({ texts: ["a photo of the number: 3."] });
    await runtime.close();

    for (const part of ["runtime", "kernels", "plugins", `mod.${EXTENSION}`]) {
      cpSync(repositoryPath(part), `${folder}/app/${part}`, { recursive: true });
    }
    rmSync(`${folder}/app/runtime/compile`, { recursive: true });
    assert.ok(!existsSync(`${folder}/app/runtime/compile`));
    const modules = [repositoryPath("node_modules"), repositoryPath("../../node_modules")].find(existsSync) as string;
    symlinkSync(modules, `${folder}/app/node_modules`);
    writeFileSync(`${folder}/app/package.json`, '{ "type": "module" }');
    writeFileSync(`${folder}/app/deno.json`, '{ "nodeModulesDir": "manual" }');
    writeFileSync(`${folder}/app/program.mjs`, `import process from "node:process";\n${PROGRAM}`);
    const { code, stdout, stderr } = await runScript(`${folder}/app/program.mjs`, [DIGITS, `${folder}/pack`]);
    assert.equal(code, 0, stderr);
    const { packed, bare } = JSON.parse(stdout) as Record<string, Record<string, unknown>>;
    assert.deepEqual([packed.compiled, packed.cacheHits], [0, 0], JSON.stringify(packed));
    assert.ok((packed.packHits as number) > 0 && (packed.proven as number) > 0);
    assert.deepEqual(packed.values, [...(text_embeds?.data.slice(0, 4) ?? [])]);
    assert.equal(bare.code, "no_compiler");
    assert.match(String(bare.message), /no artifact for component "clip\/text\.\w+" over .*no compiler.*fovea build/);
  }));
