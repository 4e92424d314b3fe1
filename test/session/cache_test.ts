/** The cache: nothing compiles twice, damage is noticed, folders that cannot be used are worked around. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  type ComponentInput,
  createRuntime,
  type Runtime,
  type RuntimeOptions,
  SealedError,
  type Store,
} from "../../mod.ts";
import { digestBytes } from "../../runtime/core/digest.ts";
import { modulesCompiled } from "../kit/modules_compiled.ts";
import { repositoryPath } from "../kit/run_cli.ts";

const CLIP = repositoryPath("test/fixtures/clip");
/** One tower of it, where what two would show is the same. */
const TEXT = { components: ["text"] } as const;

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "fovea-cache-"));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile())
    .map((e) => join(e.parentPath ?? (e as unknown as { path: string }).path, e.name))
    .sort();
}

async function withRuntime(options: RuntimeOptions, work: (runtime: Runtime) => Promise<void>): Promise<void> {
  const runtime = await createRuntime({ threads: 0, ...options });
  try {
    await work(runtime);
  } finally {
    await runtime.close();
  }
}

test("the second runtime takes everything from the cache, and every module that it loads was there", () =>
  inFolder(async (cache) => {
    await withRuntime({ cache }, async (runtime) => {
      await runtime.load(CLIP);
      const { compiled, cacheHits } = runtime.stats().counters;
      assert.ok(compiled > 0 && cacheHits === 0);
    });
    const cached = new Set(filesBelow(cache).map((f) => digestBytes(readFileSync(f))));
    await withRuntime({ cache }, async (runtime) => {
      const modules = await modulesCompiled(async () => {
        await runtime.load(CLIP);
      });
      const { compiled, cacheHits } = runtime.stats().counters;
      assert.equal(compiled, 0);
      assert.ok(cacheHits > 0);
      assert.ok(modules.length > 0);
      for (const digest of modules) assert.ok(cached.has(digest), "a module was loaded that the cache did not hold");
      // Sealed, a model that is loaded again finds its code on the device: the engine compiles nothing at all, refusals included.
      runtime.seal();
      const fresh: ComponentInput = {
        tag: "fresh/vision.block",
        symbols: {},
        build: (b) => b.output("y", b.unary("exp", b.input("x", [3]))),
      };
      assert.deepEqual(
        await modulesCompiled(async () => {
          const encoder = await runtime.load(CLIP);
          await encoder.encode({ input_ids: { dtype: "i32", shape: [1, 3], data: Int32Array.of(1, 5, 2) } });
          await assert.rejects(runtime.compile(fresh), SealedError);
        }),
        [],
      );
    });
  }));

test("damaged entries are noticed and compiled again", () =>
  inFolder(async (cache) => {
    await withRuntime({ cache }, async (runtime) => void (await runtime.load(CLIP, TEXT)));
    for (const file of filesBelow(cache)) {
      const bytes = readFileSync(file);
      bytes[bytes.length >> 1] ^= 0x55;
      writeFileSync(file, bytes);
    }
    await withRuntime({ cache }, async (runtime) => {
      await runtime.load(CLIP, TEXT);
      assert.ok(runtime.stats().counters.compiled > 0);
      assert.equal(runtime.stats().counters.cacheHits, 0);
    });
    await withRuntime({ cache }, async (runtime) => {
      await runtime.load(CLIP, TEXT);
      assert.equal(runtime.stats().counters.compiled, 0);
    });
  }));

test("a cache folder that cannot be used is worked around and told once", () =>
  inFolder(async (folder) => {
    const file = join(folder, "occupied");
    writeFileSync(file, "not a folder");
    const told: string[] = [];
    await withRuntime({ cache: join(file, "cache"), onProblem: (s) => told.push(s) }, async (runtime) => {
      const encoder = await runtime.load(CLIP, TEXT);
      assert.deepEqual(
        (await encoder.encode({ input_ids: { dtype: "i32", shape: [1, 2], data: Int32Array.of(1, 2) } })).text_embeds
          ?.shape,
        [1, 32],
      );
    });
    assert.equal(told.length, 1, told.join("\n"));
    assert.match(told[0], /occupied/);
  }));

test("a store of one's own may answer null for absent keys, and one that throws is worked around and told once", async () => {
  const entries = new Map<string, Uint8Array>();
  const kv = {
    description: "a key-value store",
    get: async (key: string) => (entries.get(key) ?? null) as Uint8Array | undefined,
    put: async (key: string, bytes: Uint8Array) => void entries.set(key, bytes.slice()),
    delete: async (key: string) => void entries.delete(key),
    list: async () => null as unknown as readonly string[],
  };
  const compiled = async (cache: Store, told: string[] = []): Promise<number> => {
    let count = 0;
    await withRuntime({ cache, onProblem: (s) => told.push(s) }, async (runtime) => {
      await runtime.load(CLIP, TEXT);
      count = runtime.stats().counters.compiled;
    });
    return count;
  };
  assert.ok((await compiled(kv)) > 0);
  assert.equal(await compiled(kv), 0);
  const fails = (): never => {
    throw new Error("quota exceeded.");
  };
  const told: string[] = [];
  assert.ok((await compiled({ ...kv, get: fails, put: fails, delete: fails, list: fails }, told)) > 0);
  assert.deepEqual(told, [
    "The cache (a key-value store) does not work: quota exceeded. fovea goes on without it and compiles again what it would have kept.",
  ]);
});

test("two runtimes that fill one cache at once leave a whole one", () =>
  inFolder(async (cache) => {
    await Promise.all(
      [1, 2].map(() => withRuntime({ cache }, async (runtime) => void (await runtime.load(CLIP, TEXT)))),
    );
    await withRuntime({ cache }, async (runtime) => {
      await runtime.load(CLIP, TEXT);
      assert.equal(runtime.stats().counters.compiled, 0);
    });
  }));

test("a change of one component's code makes it alone miss", () =>
  inFolder(async (cache) => {
    const part = (name: string, op: "exp" | "tanh"): ComponentInput => ({
      tag: `parts/vision.${name}`,
      symbols: { rows: { min: 1, max: 9 } },
      build: (b) => b.output("y", b.unary(op, b.add(b.input("x", [b.dims.rows, 4]), b.constant(name.length)))),
    });
    const counters = async (...parts: readonly ComponentInput[]): Promise<readonly number[]> => {
      const runtime = await createRuntime({ threads: 0, cache });
      for (const one of parts) (await runtime.compile(one)).close();
      const { compiled, cacheHits } = runtime.stats().counters;
      await runtime.close();
      return [compiled, cacheHits];
    };
    assert.deepEqual(await counters(part("first", "exp"), part("other", "exp")), [1, 0], "equal graphs are one");
    assert.deepEqual(await counters(part("first", "exp"), part("second", "exp")), [1, 1]);
    assert.deepEqual(await counters(part("first", "tanh"), part("second", "exp")), [1, 1]);
    assert.deepEqual(await counters(part("first", "tanh"), part("second", "exp")), [0, 2]);
  }));
