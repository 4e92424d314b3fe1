/** Calibration: what inputs tell about the columns that products multiply, and what that is worth. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type EncodeInputs, FoveaError, type LoadOptions, type Tensor } from "../../mod.ts";
import { encodeSafetensors, readAllTensors } from "../../runtime/exec/weights/writer.ts";
import { columnScales } from "../../runtime/session/tune/column_scales.ts";
import { readSafetensors } from "../kit/read_safetensors.ts";
import { repositoryPath, runCli } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { modelFiles } from "../kit/tower_device.ts";
import { FIXTURES, readCase } from "../kit/tower_fixtures.ts";
import { cosine, LEAST_COSINE, leastCosine } from "./fixture_kit.ts";

const VIT = join(FIXTURES, "vit");
const { inputs } = readCase(join(VIT, "case-b2.safetensors"));

/** A model whose MLPs multiply some columns that are 60 times the rest: no norm tells, for an activation lies between. */
function withOutliers(): ReadonlyMap<string, Uint8Array> {
  const files = modelFiles(VIT);
  const changed = [...readSafetensors(join(VIT, "model.safetensors"))].map(([name, { shape, data: stored }]) => {
    const data = Float32Array.from(stored);
    // Outputs 3 and 17 of the first MLP product of each layer, bias and all.
    const rows = /intermediate\.dense\.(weight|bias)$/.test(name) ? [3, 17] : [];
    const width = shape.length === 1 ? 1 : shape[1];
    for (const row of rows) for (let i = 0; i < width; i++) data[row * width + i] *= 60;
    return [name, { dtype: "f32", shape, data } as const] as const;
  });
  return files.set("model.safetensors", encodeSafetensors(Object.fromEntries(changed)));
}

async function encoded(source: ReadonlyMap<string, Uint8Array>, options: LoadOptions): Promise<Tensor> {
  const runtime = await openRuntime({ threads: 0 });
  try {
    const encoder = await runtime.load(source, options);
    const { last_hidden_state } = await encoder.encode(inputs, { outputs: ["last_hidden_state"] });
    return last_hidden_state as Tensor;
  } finally {
    await runtime.close();
  }
}

async function calibrated(source: ReadonlyMap<string, Uint8Array>): Promise<Readonly<Record<string, Tensor>>> {
  const runtime = await openRuntime({ threads: 0 });
  try {
    const found = await runtime.calibrate(source, [inputs as EncodeInputs, inputs as EncodeInputs]);
    assert.equal(runtime.stats().device.bytesInUse, 0);
    return found;
  } finally {
    await runtime.close();
  }
}

test("a calibration names the columns of each layer's products, and halves what outliers behind an activation cost", async () => {
  const model = withOutliers();
  const calibration = await calibrated(model);
  const names = Object.keys(calibration);
  assert.ok(
    names.every((name) => /^encoder\.layer\.\d+\..*\.weight\.input_(magnitudes|scales)$/.test(name)),
    names.join(", "),
  );
  const second = names.find((name) => /layer\.0\.output\.dense.*magnitudes/.test(name)) as string;
  const { data } = calibration[second];
  const sorted = [...data].sort((a, b) => b - a);
  assert.deepEqual(
    [...data.entries()].filter(([, v]) => v >= sorted[1]).map(([i]) => i),
    [3, 17],
  );
  assert.ok(sorted[1] > 10 * sorted[2]);
  const scales = calibration[second.replace("magnitudes", "scales")].data;
  assert.deepEqual(
    [...scales.entries()].filter(([, v]) => v !== 1).map(([i]) => i),
    [3, 17],
  );

  const loss = async (source: ReadonlyMap<string, Uint8Array>, options: LoadOptions): Promise<number> => {
    const exact = (await encoded(source, {})).data;
    return 1 - cosine((await encoded(source, { dtype: "int8", ...options })).data, exact);
  };
  const usual = modelFiles(VIT);
  // What codes cost where nothing stands out.
  const least = await loss(usual, { calibration: await calibrated(usual) });
  const [plain, evened] = [await loss(model, {}), await loss(model, { calibration })];
  assert.ok(
    evened - least < 0.5 * (plain - least),
    `${evened} with a calibration, ${plain} without, ${least} at least`,
  );
  assert.ok(evened < 0.002, String(evened));
});

test("columns that stand out are scaled, by powers of two and in proportion; all others are left as they are", () => {
  const magnitudes = Float32Array.from([1, 1.2, 0.8, 7, 0.01, 60, 60, 60, 1, 0.9, 1, 1]);
  const weights = Float32Array.from([1, 0.2, 3, 1, 1, 1, 0.25, 1000, 1, 1, 1, 1]);
  assert.deepEqual([...columnScales(magnitudes, weights)], [1, 1, 1, 1, 1, 8, 16, 1, 1, 1, 1, 1]);
  // The size of all numbers together changes nothing.
  const smaller = columnScales(
    magnitudes.map((v) => v / 1000),
    weights.map((v) => 50 * v),
  );
  assert.deepEqual([...smaller], [1, 1, 1, 1, 1, 8, 16, 1, 1, 1, 1, 1]);
  // Columns that are nearly all 0, or that no weight takes, are no measure.
  assert.deepEqual([...columnScales(Float32Array.of(0, 0, 5), Float32Array.of(1, 1, 1))], [1, 1, 1]);
  assert.deepEqual([...columnScales(Float32Array.of(1, 1, 50), Float32Array.of(1, 1, 0))], [1, 1, 1]);
});

test("a calibration of one short text leaves other texts as near to f32 as they were", async () => {
  const folder = join(FIXTURES, "modernbert-long");
  const [short, long] = ["case-b1", "case-b2"].map((name) => readCase(join(folder, `${name}.safetensors`)));
  await using runtime = await openRuntime({ threads: 0 });
  const calibration = await runtime.calibrate(folder, [short.inputs as EncodeInputs]);
  const encoder = await runtime.load(folder, { dtype: "int8", calibration });
  const { last_hidden_state: found } = await encoder.encode(long.inputs as EncodeInputs, {
    outputs: ["last_hidden_state"],
  });
  const want = long.outputs.get("last_hidden_state");
  assert.ok(want !== undefined);
  const least = leastCosine((found as Tensor).data, want.data, want.shape[want.shape.length - 1]);
  assert.ok(least >= LEAST_COSINE, String(least));
});

test("a calibration of another model is refused with the tensor and the remedy", async () => {
  const files = modelFiles(VIT);
  const runtime = await openRuntime({ threads: 0 });
  const calibration = await runtime.calibrate(files, [inputs as EncodeInputs]);
  const refused = (changed: Readonly<Record<string, Tensor>>, says: RegExp): Promise<void> =>
    assert.rejects(runtime.load(files, { dtype: "int8", calibration: changed }), (error: unknown) => {
      assert.ok(error instanceof FoveaError);
      assert.equal(error.code, "bad_calibration");
      assert.match(error.message, says);
      return true;
    });
  const [name, own] = Object.entries(calibration).find(([key]) => key.endsWith(".input_scales")) as [string, Tensor];
  const { [name]: _, ...others } = calibration;
  await refused(
    others,
    /^The calibration has no tensor "encoder.*": it is of another model, or nothing that it was made of went through this tower\. Make it anew, with inputs for every tower that is loaded: fovea tune calibration\.$/,
  );
  const short = { dtype: "f32", shape: [3], data: new Float32Array(3) } as const;
  await refused(
    { ...calibration, [name]: short },
    /^The calibration's tensor "encoder.*" has the shape \[3\]; expected \[\d+\], powers of two\. Make the calibration anew/,
  );
  const bad = { ...own, data: own.data.map(() => Number.NaN) } as Tensor;
  await refused({ ...calibration, [name]: bad }, /expected \[\d+\], powers of two/);
  for (const value of [0, 3, -2, Number.POSITIVE_INFINITY]) {
    const odd = { ...own, data: own.data.map(() => value) } as Tensor;
    await refused({ ...calibration, [name]: odd }, /expected \[\d+\], powers of two/);
  }
  assert.equal(runtime.stats().device.bytesInUse, 0);
  await assert.rejects(
    runtime.load(files, { calibration: 3 as unknown as string }),
    /expected a file, or tensors by name/,
  );
  await runtime.close();
});

test("a calibration of pictures alone says what a text tower lacks", async () => {
  await using runtime = await openRuntime({ threads: 0 });
  const digits = repositoryPath("examples/models/digits-clip");
  const images = [join(digits, "images/000-2.png")];
  const calibration = await runtime.calibrate(digits, [{ images }]);
  const vision = await runtime.load(digits, { dtype: "int8", calibration, components: ["vision"] });
  vision.close();
  await assert.rejects(
    runtime.load(digits, { dtype: "int8", calibration }),
    /has no tensor "text_model\..*nothing that it was made of went through this tower/,
  );
});

test("a calibration without a list of inputs is refused before anything is loaded", async () => {
  await using runtime = await openRuntime({ threads: 0 });
  for (const [given, found] of [
    [{ texts: ["one"] }, "an object"],
    [[], "an empty list"],
    [undefined, "undefined"],
  ] as const)
    await assert.rejects(runtime.calibrate("/nowhere/at/all", given as unknown as EncodeInputs[]), {
      code: "invalid_input",
      message: `calibrate takes a list of at least one input, such as [{ images: ["cat.jpg"] }]; found ${found}.`,
    });
});

test("pictures and texts calibrate both towers; loading says that the layers are calibrated", async () => {
  const digits = repositoryPath("examples/models/digits-clip");
  const images = readdirSync(join(digits, "images")).slice(0, 3);
  const runtime = await openRuntime({ threads: 0 });
  const calibration = await runtime.calibrate(digits, [
    { images: images.map((name) => join(digits, "images", name)), texts: ["one", "a photo of the digit two"] },
  ]);
  for (const tower of ["vision_model", "text_model"])
    assert.ok(
      Object.keys(calibration).some((name) => name.startsWith(`${tower}.encoder.layers.0.`)),
      tower,
    );
  const encoder = await runtime.load(digits, { dtype: "int8", calibration });
  assert.match(encoder.explain(), /clip\/vision\.block \(\d+ instances\), int8-calibrated weights/);
  await runtime.close();
});

test("more pictures than a run takes tell of the same columns", async () => {
  const digits = repositoryPath("examples/models/digits-clip");
  const images = readdirSync(join(digits, "images")).map((name) => join(digits, "images", name));
  await using runtime = await openRuntime({ threads: 0 });
  const calibrate = (some: readonly string[]) => runtime.calibrate(digits, [{ images: some }]);
  const [few, many] = [await calibrate(images.slice(0, 2)), await calibrate(images)];
  assert.ok(images.length > 64 && Object.keys(few).length > 8);
  for (const [name, { shape, data }] of Object.entries(few)) {
    assert.deepEqual(many[name].shape, shape, name);
    if (name.endsWith("magnitudes"))
      assert.ok(
        data.every((v, i) => many[name].data[i] >= v * (1 - 1e-4)),
        name,
      );
  }
});

test("tune calibration writes a file that embed takes; what it cannot do is refused", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fovea-calibration-"));
  const [model, out] = [repositoryPath("examples/models/digits-clip"), join(folder, "digits.safetensors")];
  try {
    const tune = (...args: readonly string[]) => runCli(["tune", "calibration", model, "--threads", "0", ...args]);
    const done = await tune("--text", "one", "two", "--out", out);
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stdout, /^wrote the columns of \d+ products to /);
    assert.ok(Object.keys(readAllTensors(new Uint8Array(readFileSync(out)))).length > 4);
    const embed = ["embed", model, "--text", "one", "--dtype", "int8", "--threads", "0", "--json"];
    const [with_, without] = [await runCli([...embed, "--calibration", out]), await runCli(embed)];
    assert.equal(with_.code, 0, with_.stderr);
    assert.notDeepEqual(JSON.parse(with_.stdout).text_embeds, JSON.parse(without.stdout).text_embeds);
    const nothing = await tune("--out", out);
    assert.deepEqual([nothing.code, /There is nothing to calibrate with/.test(nothing.stderr)], [2, true]);
    const odd = await tune("--text", "one", "--out", "x.json");
    assert.deepEqual([odd.code, /--out x\.json must end in \.safetensors/.test(odd.stderr)], [2, true]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
