/** What `runtime.freeze` refuses before it writes anything, with figures and what would fit. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { f32, get, i32, set } from "../../kernels/wasm/asm/code.ts";
import { forRange } from "../../kernels/wasm/asm/control_flow.ts";
import { FoveaError, type FreezeOptions, loadPlugin, type Plugin } from "../../mod.ts";
import { withSandbox } from "../../runtime/abi/sandbox.ts";
import { transpiledCode } from "../../runtime/abi/transpiled.ts";
import { rangesOption } from "../../runtime/cli/freeze.ts";
import { firstPartyPlugins } from "../../runtime/session/registry/first_party.ts";
import { i32At, moduleBytes, pluginFiles, rowsSandbox } from "../foreign/assemble.ts";
import { argument } from "../foreign/kernels.ts";
import { cheap, withCode } from "../foreign/square.ts";
import { withFolder } from "../kit/folder.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const MODEL = repositoryPath("examples/models/digits-clip");
const NOWHERE = "/nowhere/at/all";

async function refusal(options: FreezeOptions, model: string | Map<string, Uint8Array> = MODEL): Promise<FoveaError> {
  await using runtime = await openRuntime({ target: "wasm-simd128", threads: 0 });
  const error = await runtime.freeze(model, NOWHERE, options).catch((e: unknown) => e);
  assert.ok(error instanceof FoveaError, String(error));
  return error;
}

/** CLIP B/32's sizes without its weights. */
const CLIP = new Map([
  [
    "config.json",
    new TextEncoder().encode(
      JSON.stringify({
        model_type: "clip_vision_model",
        hidden_size: 768,
        intermediate_size: 3072,
        num_hidden_layers: 12,
        num_attention_heads: 12,
        image_size: 224,
        patch_size: 32,
        projection_dim: 512,
      }),
    ),
  ],
]);

test("a model that is too large is refused with figures, and int8 with smaller runs would fit", async () => {
  const { code, message } = await refusal({ loadFormat: "dummy", formats: [] }, CLIP);
  assert.equal(code, "too_large");
  assert.match(
    message,
    /^This clip_vision_model model needs \d+(\.\d+)? MiB and the place gives 128 MiB: [\d.]+ MiB of code and plan, 333.6 MiB of weights, [\d.]+ MiB for the largest run or weight, 6.8 MiB for a picture of 512 x 512\. What would fit: --dtype int8 --ranges batch=1\.\.\d \(128 MiB\)/,
  );
});

test("a server's routes and the bodies that they take count, and leaving them out is named", async () => {
  const megabytes = async (options: FreezeOptions): Promise<number> => {
    const { message } = await refusal({ memory: 2 ** 20, formats: [], ...options });
    return Number(/: ([\d.]+) MiB of code and plan/.exec(message)?.[1]);
  };
  assert.ok(Math.abs((await megabytes({ app: true })) - (await megabytes({})) - 22) < 0.2);
  const { message } = await refusal({ app: true, memory: 45 * 2 ** 20, formats: [] });
  assert.match(message, /What would fit: .*the same without --app \(4[\d.]+ MiB\)/);
});

test("a server that could be asked nothing is refused", async () => {
  const { code, message } = await refusal(
    { app: true, loadFormat: "dummy", dtype: "int8", ranges: { batch: [[1, 1]] } },
    CLIP,
  );
  assert.equal(code, "not_freezable");
  assert.match(
    message,
    /comes with nothing that makes tensors of them .*Leave out --app: the example worker takes tensors/,
  );
});

test("a smaller interval is named where that alone helps", async () => {
  const { code, message } = await refusal({ components: ["vision"], memory: 35 * 2 ** 20, formats: [] });
  assert.equal(code, "too_large");
  assert.match(message, /What would fit: --ranges batch=1\.\.\d+ \(35 MiB\)/);
});

test("where nothing helps that is said", async () => {
  const { code, message } = await refusal({ components: ["vision"], memory: 2 ** 20, formats: [] });
  assert.equal(code, "too_large");
  assert.match(message, /Neither int8 nor smaller ranges would fit; take a smaller model/);
});

test("options and devices that cannot be are refused", async () => {
  assert.equal((await refusal({ ranges: { tokens: [[1, 4]] }, components: ["vision"] })).code, "invalid_range");
  assert.equal((await refusal({ formatz: [] } as FreezeOptions)).code, "invalid_options");
  await using runtime = await openRuntime({ device: "reference" });
  await assert.rejects(runtime.freeze(MODEL, NOWHERE), {
    code: "not_freezable",
    message: /A runtime on the device "reference" cannot freeze/,
  });
  await using op = await openRuntime({ target: "wasm-simd128", compile: { base: { granularity: "tower" } } });
  await assert.rejects(op.freeze(MODEL, NOWHERE), { code: "not_freezable", message: /granularity tower/ });
});

test("a folder that holds something else stays as it is; one of an earlier freeze is written again", () =>
  withFolder(async (folder) => {
    writeFileSync(join(folder, "package.json"), "mine");
    mkdirSync(join(folder, "assets"));
    await using runtime = await openRuntime({ target: "wasm-simd128", threads: 0 });
    const options: FreezeOptions = { components: ["text"], ranges: { batch: [[1, 1]] } };
    await assert.rejects(runtime.freeze(MODEL, `${folder}/`, options), {
      code: "folder_in_use",
      message: `${folder} holds files that were not frozen, such as package.json. Name a folder that is new, empty, or of an earlier freeze.`,
    });
    assert.deepEqual(readdirSync(folder).sort(), ["assets", "package.json"]);
    assert.equal(readFileSync(join(folder, "package.json"), "utf8"), "mine");
    const own = join(folder, "own");
    mkdirSync(join(own, ".git"), { recursive: true });
    for (let i = 0; i < 2; i++) await runtime.freeze(MODEL, own, options);
    // A freeze that was broken off has a shard and no plan, or nothing but a folder for them.
    rmSync(join(own, "assets", "plan.json"));
    await runtime.freeze(MODEL, own, options);
    assert.ok(existsSync(join(own, "assets", "plan.json")));
    const begun = join(folder, "begun");
    mkdirSync(join(begun, "assets"), { recursive: true });
    await runtime.freeze(MODEL, begun, options);
  }));

test("ranges of the command line that say nothing are told what they may be", () => {
  assert.deepEqual(rangesOption("batch=1,2..8", { tokens: [[1, 4]] }), {
    tokens: [[1, 4]],
    batch: [
      [1, 1],
      [2, 8],
    ],
  });
  assert.throws(() => rangesOption("batch=one"), /Expected intervals such as batch=1\.\.4 or batch=1,2\.\.8/);
  assert.throws(() => rangesOption("1..4"), /Expected a symbol and its intervals, such as batch=1\.\.4/);
});

/** A kernel that adds, taken wherever two values of one shape are added. */
async function adding(isolation: "own-memory" | "worker"): Promise<Plugin> {
  const [at, count] = [i32At(1), i32At(2)];
  const byteOf = (base: number) => i32.add(argument(base), i32.shl(get(at), i32.of(2)));
  const sum = f32.add(f32.load(byteOf(1)), f32.load(byteOf(2)));
  const code = [
    set(count, i32.mul(argument(3), argument(4))),
    forRange(at, i32.of(0), get(count), 1, f32.store(byteOf(0), sum)),
    i32.of(0),
  ];
  const shape = ["...rows", "width"];
  const kernel = {
    ...{ name: "adding", entry: "run", pattern: { op: "add", inputs: ["x", "y"] } },
    ...{ operands: { x: { shape }, y: { shape } }, output: shape, grid: "rows", flops: "rows * width" },
    arguments: ["output", "x", "y", "rows", "width"],
  };
  return cheap(await loadPlugin(pluginFiles(moduleBytes({ code }), kernel), { isolation }));
}

test("kernels of plugins that want a worker, or glue of JavaScript, are refused by their names", async () => {
  const message = async (plugin: Plugin): Promise<string> => {
    const plugins = [plugin, ...(await firstPartyPlugins())];
    await using runtime = await openRuntime({ target: "wasm-simd128", threads: 0, plugins });
    const error = await runtime.freeze(MODEL, NOWHERE, { components: ["vision"] }).catch((e: unknown) => e);
    assert.ok(error instanceof FoveaError, String(error));
    assert.equal(error.code, "not_freezable");
    return error.message;
  };
  assert.match(
    await message(await adding("worker")),
    /^The kernel "@test\/foreign\/adding\/run" of a plugin cannot be frozen: it is to run in a worker of its own, .* isolation "own-memory"\.$/,
  );
  const glued = transpiledCode({ glue: "export function instantiate() {}", cores: new Map(), imports: [] });
  const component = withSandbox(glued, { ...rowsSandbox("own"), component: 0 });
  assert.match(
    await message(withCode(await adding("own-memory"), component)),
    /^The kernel "@test\/foreign\/adding\/run" of a plugin cannot be frozen: it is a component that jco's glue links, /,
  );
});

test("a configuration's `lazy` leaves nothing out of a frozen folder", () =>
  withFolder(async (folder) => {
    const options: FreezeOptions = { components: ["text"], loadFormat: "dummy", formats: [] };
    const plans: string[] = [];
    for (const lazy of [false, true]) {
      await using runtime = await openRuntime({ target: "wasm-simd128", threads: 0, compile: { base: { lazy } } });
      const own = join(folder, String(lazy));
      await runtime.freeze(MODEL, own, options);
      plans.push(readFileSync(join(own, "assets", "plan.json"), "utf8"));
    }
    assert.ok(JSON.parse(plans[0]).artifacts.length > 0);
    assert.equal(plans[1], plans[0]);
  }));
