/** `--calibration` of commands that load no encoder for answers: what they show, build and ask for is of calibrated weights. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { filesBelow, withFolder } from "../kit/folder.ts";
import { repositoryPath, runCli } from "../kit/run_cli.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");
const IMAGES = filesBelow(`${DIGITS}/images`)
  .slice(0, 3)
  .map(({ name }) => `${DIGITS}/images/${name}`);

test("explain, bench, build and cache why take what tune calibration wrote", () =>
  withFolder(async (folder) => {
    const file = `${folder}/digits.safetensors`;
    const run = async (...args: readonly string[]): Promise<Record<string, unknown>> => {
      const { code, stdout, stderr } = await runCli([...args, "--threads", "0", "--json"]);
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout) as Record<string, unknown>;
    };
    const made = await run("tune", "calibration", DIGITS, ...IMAGES, "--text", "one", "two", "--out", file);
    assert.ok((made.products as number) > 4);
    const int8 = ["--dtype", "int8"];
    const calibrated = [...int8, "--calibration", file];

    type Towers = readonly {
      readonly calls: readonly { readonly dtype: string; readonly alone: { error: number } }[];
    }[];
    const numerics = async (flags: readonly string[]) => {
      const { towers } = await run("explain", DIGITS, "--component", "text", "--numerics", ...flags);
      return (towers as Towers).flatMap(({ calls }) => calls);
    };
    const [plain, evened] = [await numerics(int8), await numerics(calibrated)];
    const kinds = (calls: typeof plain): readonly string[] => [...new Set(calls.map((c) => c.dtype))].sort();
    assert.deepEqual(
      [kinds(plain), kinds(evened)],
      [
        ["f32", "int8"],
        ["f32", "int8-calibrated"],
      ],
    );
    assert.notDeepEqual(
      evened.map((c) => c.alone.error),
      plain.map((c) => c.alone.error),
    );

    const bench = ["bench", DIGITS, "--component", "text", "--runs", "1"];
    assert.match((await run(...bench, ...calibrated)).dtype as string, /\bint8-calibrated\b/);
    assert.doesNotMatch((await run(...bench, ...int8)).dtype as string, /calibrated/);

    const target = ["--target", "wasm-simd128"];
    const [pack, cache] = [`${folder}/pack`, `${folder}/cache`];
    await run("build", DIGITS, "--components", "text", "--out", pack, ...target, ...calibrated);
    const why = async (...flags: readonly string[]) => {
      const { ranges } = await run(
        "cache",
        "why",
        DIGITS,
        "--component",
        "text",
        "--cache",
        cache,
        ...target,
        ...flags,
      );
      return ranges as readonly { readonly hit: boolean }[];
    };
    await run("bench", DIGITS, "--component", "text", "--runs", "1", "--cache", cache, ...target, ...calibrated);
    assert.ok((await why(...calibrated)).every(({ hit }) => hit));
    assert.ok((await why(...int8)).some(({ hit }) => !hit));
    // A run with the pack compiles nothing.
    const embed = ["embed", DIGITS, "--text", "one", "--pack", pack, "--cache", `${folder}/other`, ...target];
    await run(...embed, ...calibrated);
    const kept = new Set(filesBelow(`${folder}/other`).map(({ name }) => name.split("/")[0]));
    assert.ok(!kept.has("requests"), [...kept].join());
  }));

test("a calibration that cannot be read is refused by all of them", () =>
  withFolder(async (folder) => {
    const flags = ["--dtype", "int8", "--calibration", `${folder}/none.safetensors`, "--cache", `${folder}/cache`];
    for (const command of [
      ["explain", DIGITS],
      ["explain", DIGITS, "--numerics"],
      ["bench", DIGITS],
      ["build", DIGITS, "--out", `${folder}/pack`],
      ["cache", "why", DIGITS],
    ]) {
      const { code, stdout, stderr } = await runCli([...command, ...flags]);
      assert.deepEqual([code, stdout], [2, ""], command.join(" "));
      assert.match(stderr, /^fovea: Cannot read .*none\.safetensors: it does not exist/, command.join(" "));
    }
  }));
