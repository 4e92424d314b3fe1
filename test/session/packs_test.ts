/** Packs: built for any target, loaded without compiling, proven on load, damaged ones refused. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createRuntime, type Runtime, type RuntimeOptions } from "../../mod.ts";
import { openPack, type PackFiles, type PackManifest } from "../../runtime/exec/pack.ts";
import { createMemoryStore } from "../../runtime/exec/store/memory_store.ts";
import { withProcessor } from "../kit/byte_towers.ts";
import { filesBelow, withFolder } from "../kit/folder.ts";
import { repositoryPath, runCli } from "../kit/run_cli.ts";
import { TEST_CACHE } from "../kit/test_cache.ts";
import { noise } from "../media/media_kit.ts";

const CLIP = repositoryPath("test/fixtures/clip");
const IDS = { input_ids: { dtype: "i32", shape: [1, 3], data: Int32Array.of(1, 5, 2) } } as const;

async function withRuntime<T>(options: RuntimeOptions, work: (runtime: Runtime) => Promise<T>): Promise<T> {
  const runtime = await createRuntime({ threads: 0, ...options });
  try {
    return await work(runtime);
  } finally {
    await runtime.close();
  }
}

async function build(targets: readonly string[], folder: string): Promise<PackManifest> {
  return withRuntime({}, (runtime) => runtime.buildPack(CLIP, folder, { targets, components: ["text"] }));
}

function inMemory(folder: string): Map<string, Uint8Array> {
  return new Map(filesBelow(folder).map(({ name, bytes }) => [name, bytes]));
}

interface BuiltPack {
  readonly manifest: PackManifest;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

let portable: Promise<BuiltPack> | undefined;

/** The pack of CLIP's text tower for the portable target, built once. */
function portablePack(): Promise<BuiltPack> {
  portable ??= withFolder(async (folder) => ({
    manifest: await build(["wasm-simd128"], folder),
    files: inMemory(folder),
  }));
  return portable;
}

test("a pack loads without compiling, by folder, address and memory, and gives the same numbers", () =>
  withFolder(async (folder) => {
    const manifest = await build(["wasm-simd128", "wasm-relaxed"], folder);
    assert.deepEqual([...new Set(manifest.entries.map((e) => e.target))].sort(), ["wasm-relaxed", "wasm-simd128"]);
    assert.equal(manifest.model, "clip");
    const expected = await withRuntime({ target: "wasm-simd128", cache: TEST_CACHE }, async (runtime) =>
      (await runtime.load(CLIP, { components: ["text"] })).encode(IDS),
    );
    for (const pack of [folder, new URL(`file://${folder}`), inMemory(folder)]) {
      await withRuntime({ packs: [pack], target: "wasm-simd128" }, async (runtime) => {
        const encoder = await runtime.load(CLIP, { components: ["text"] });
        const { compiled, cacheHits, packHits, proven } = runtime.stats().counters;
        assert.deepEqual([compiled, cacheHits], [0, 0]);
        assert.ok(packHits > 0);
        assert.ok(proven > 0);
        assert.deepEqual(await encoder.encode(IDS), expected);
        assert.match(encoder.explain(), /artifact [0-9a-f]{12}, from the pack,/);
      });
    }
  }));

test("a runtime whose target is not pinned takes the one that its packs were made for", () =>
  withFolder(async (folder) => {
    // No engine chooses this target by itself but JavaScriptCore, and that one not the other.
    for (const target of ["wasm-simd128-6x8", "wasm-simd128"]) {
      await build([target], `${folder}/${target}`);
      await withRuntime({ packs: [`${folder}/${target}`] }, async (runtime) => {
        assert.equal(runtime.target, target);
        await runtime.load(CLIP, { components: ["text"] });
        assert.equal(runtime.stats().counters.compiled, 0);
      });
    }
  }));

test("a pack of a model that takes pictures holds what cuts them", () =>
  withFolder(async (folder) => {
    const processor = { size: { shortest_edge: 32 }, crop_size: 32 };
    await withProcessor("clip", processor, async (_, runtime, files) => {
      await runtime.buildPack(files, folder, { components: ["vision"] });
      await withRuntime({ packs: [folder] }, async (other) => {
        const encoder = await other.load(files, { components: ["vision"] });
        await encoder.encode({ images: [noise(1, 50, 40)] });
        assert.equal(other.stats().counters.compiled, 0);
      });
    });
  }));

test("equal models give equal packs, whatever runtime builds them", () =>
  withFolder(async (folder) => {
    const { manifest, files: a } = await portablePack();
    assert.deepEqual(await build(["wasm-simd128"], folder), manifest);
    const b = inMemory(folder);
    assert.deepEqual([...a.keys()].sort(), [...b.keys()].sort());
    for (const [name, bytes] of a) assert.deepEqual(b.get(name), bytes);
  }));

test("a pack for another type of weights is one of its own", () =>
  withFolder(async (folder) => {
    await withRuntime({}, (runtime) => runtime.buildPack(CLIP, folder, { components: ["text"], dtype: "int8" }));
    await withRuntime({ packs: [folder], cache: false }, async (runtime) => {
      await runtime.load(CLIP, { components: ["text"], dtype: "int8" });
      assert.equal(runtime.stats().counters.compiled, 0);
      await runtime.load(CLIP, { components: ["text"] });
      assert.ok(runtime.stats().counters.compiled > 0);
    });
    // What cuts pictures has no weights, and is found as well.
    const pictures = `${folder}/pictures`;
    await withRuntime({}, (runtime) => runtime.buildPack(CLIP, pictures, { components: ["vision"], dtype: "int8" }));
    await withRuntime({ packs: [pictures], cache: false }, async (runtime) => {
      await runtime.load(CLIP, { components: ["vision"], dtype: "int8" });
      assert.equal(runtime.stats().counters.compiled, 0);
    });
    const cache = createMemoryStore();
    await withRuntime({ cache }, async (runtime) => {
      await runtime.load(CLIP, { components: ["text"], dtype: "int8" });
      const hits = async (dtype?: "int8") =>
        (await runtime.cacheMisses(CLIP, { components: ["text"], ...(dtype === undefined ? {} : { dtype }) })).map(
          (m) => m.hit,
        );
      assert.ok((await hits("int8")).every(Boolean));
      assert.equal((await hits()).every(Boolean), false);
    });
  }));

test("what was attested is kept in the cache, and a pack that has not everything is completed by compiling", () =>
  withFolder(async (folder) => {
    await withRuntime({}, (runtime) => runtime.buildPack(CLIP, folder, { components: ["text"] }));
    const cache = createMemoryStore();
    await withRuntime({ packs: [folder], cache }, async (runtime) => {
      await runtime.load(CLIP);
      const { compiled, packHits, proven } = runtime.stats().counters;
      assert.ok(compiled > 0 && packHits > 0 && proven > 0);
    });
    const provenByLoad: number[] = [];
    // Each load goes on with the proofs where the last one stopped.
    for (let load = 0; load < 40 && provenByLoad.at(-1) !== 0; load++)
      await withRuntime({ packs: [folder], cache }, async (runtime) => {
        await runtime.load(CLIP, { components: ["text"] });
        const { compiled, packHits, proven } = runtime.stats().counters;
        assert.equal(compiled, 0);
        assert.ok(packHits > 0);
        provenByLoad.push(proven);
      });
    assert.equal(provenByLoad.at(-1), 0, provenByLoad.join());
  }));

test("a folder that holds something else takes no pack and stays as it is", () =>
  withFolder(async (folder) => {
    writeFileSync(join(folder, "manifest.json"), "mine");
    const says = `${folder} holds files that were not built into a pack, such as manifest.json. Name a folder that is new, empty, or of an earlier pack.`;
    await assert.rejects(build(["wasm-simd128"], folder), { code: "folder_in_use", message: says });
    const exported = await runCli(["cache", "export", folder]);
    assert.deepEqual([exported.code, exported.stderr], [2, `fovea: ${says}\n`]);
    assert.equal(readFileSync(join(folder, "manifest.json"), "utf8"), "mine");
    const own = join(folder, "own");
    for (let i = 0; i < 2; i++) await build(["wasm-simd128"], own);
  }));

test("damaged packs, places without one and unknown targets are refused in sentences", () =>
  withFolder(async (folder) => {
    const { files } = await portablePack();
    const reader = (changed: ReadonlyMap<string, Uint8Array | undefined>): PackFiles => ({
      description: "a test",
      read: async (name) => {
        const bytes = changed.has(name) ? changed.get(name) : files.get(name);
        if (bytes === undefined) throw new Error(`no ${name}`);
        return bytes;
      },
    });
    const blob = [...files.keys()].find((name) => name.startsWith("blobs/")) as string;
    const flipped = (files.get(blob) as Uint8Array).slice();
    flipped[flipped.length >> 1] ^= 0x40;
    const text = (value: string): Uint8Array => new TextEncoder().encode(value);
    for (const [changed, sentence] of [
      [new Map([["manifest.json", undefined]]), /no pack at a test/],
      [new Map([["manifest.json", text("{")]]), /manifest\.json is not JSON/],
      [new Map([["manifest.json", text('{"format":99}')]]), /its format is 99, and this fovea reads format 1/],
      [new Map([["manifest.json", text('{"format":1}')]]), /lists no entries/],
    ] as const) {
      await assert.rejects(openPack(reader(changed)), sentence);
    }
    const digest = blob.slice("blobs/".length);
    await assert.rejects((await openPack(reader(new Map([[blob, flipped]])))).blob(digest), /is damaged/);
    await assert.rejects((await openPack(reader(new Map([[blob, undefined]])))).blob(digest), /is missing/);
    await assert.rejects((await openPack(reader(new Map()))).blob("0".repeat(64)), /does not list it/);
    await assert.rejects(
      build(["wasm-relaxd"], folder),
      /No device has a target "wasm-relaxd".*Did you mean "wasm-relaxed"/,
    );
    await assert.rejects(
      withRuntime({ packs: [`${folder}/nowhere`] }, async () => {}),
      /There is no pack at .*nowhere/,
    );
  }));
