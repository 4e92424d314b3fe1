/** Encoding through the library: reference outputs, overlapping calls, aborts, budgets, bad inputs. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import type { EncodeInputs, Encoder, FoveaError, RuntimeOptions, Tensor } from "../../mod.ts";
import { readAllTensors } from "../../runtime/exec/weights/writer.ts";
import { hasCode } from "../kit/assertions.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const CLIP = repositoryPath("test/fixtures/clip");
const EOS2 = repositoryPath("test/fixtures/clip-eos2");

const parts = (tensors: Readonly<Record<string, Tensor>>, prefix: string): Record<string, Tensor> =>
  Object.fromEntries(
    Object.entries(tensors)
      .filter(([n]) => n.startsWith(prefix))
      .map(([n, t]) => [n.slice(prefix.length), t]),
  );

function casesOf(folder: string): { name: string; inputs: Record<string, Tensor>; expected: Record<string, Tensor> }[] {
  return readdirSync(folder)
    .filter((n) => /^case-.*\.safetensors$/.test(n))
    .map((name) => {
      const tensors = readAllTensors(readFileSync(`${folder}/${name}`));
      return { name, inputs: parts(tensors, "input."), expected: parts(tensors, "output.") };
    });
}

function deviation({ data }: Tensor): number {
  const values = Array.from(data);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
}

function difference(a: Tensor, b: Tensor): number {
  assert.deepEqual(a.shape, b.shape);
  let worst = 0;
  for (let i = 0; i < b.data.length; i++) worst = Math.max(worst, Math.abs(b.data[i] - a.data[i]));
  return worst;
}

const DEVICES: readonly { readonly name: string; readonly options: RuntimeOptions }[] = [
  { name: "wasm, caller's thread", options: { threads: 0 } },
  { name: "wasm, two workers", options: { threads: 2 } },
  { name: "wasm, op by op", options: { threads: 0, compile: { enabled: false } } },
  { name: "wasm-simd128", options: { threads: 0, target: "wasm-simd128" } },
  { name: "reference", options: { device: "reference" } },
];

for (const { name, options } of DEVICES) {
  test(`CLIP equals its reference outputs: ${name}`, async () => {
    const runtime = await openRuntime(options);
    for (const folder of [CLIP, EOS2]) {
      const encoder = await runtime.load(folder);
      for (const { name: file, inputs, expected } of casesOf(folder)) {
        const found = (await encoder.encode(inputs)) as Readonly<Record<string, Tensor>>;
        for (const [output, wanted] of Object.entries(expected)) {
          const worst = difference(found[output], wanted) / deviation(wanted);
          assert.ok(worst <= 2e-5, `${file} ${output}: ${worst} standard deviations`);
        }
      }
      encoder.close();
    }
    assert.equal(runtime.stats().device.bytesInUse, 0);
    await runtime.close();
  });
}

async function withEncoder(
  options: RuntimeOptions,
  work: (encoder: Encoder, inputs: EncodeInputs) => Promise<void>,
): Promise<void> {
  const runtime = await openRuntime({ threads: 0, ...options });
  try {
    const encoder = await runtime.load(CLIP);
    const [{ inputs }] = casesOf(CLIP).filter((c) => c.name.includes("image-b3"));
    await work(encoder, inputs);
  } finally {
    await runtime.close();
  }
}

test("calls that overlap give what they give alone", () =>
  withEncoder({ threads: 2 }, async (encoder, inputs) => {
    const text: EncodeInputs = casesOf(CLIP).find((c) => c.name.includes("text"))?.inputs ?? {};
    const alone = [await encoder.encode(inputs), await encoder.encode(text)];
    const together = await Promise.all([inputs, text, inputs, text, inputs].map((i) => encoder.encode(i)));
    together.forEach((result, i) => {
      assert.deepEqual(result, alone[i % 2]);
    });
  }));

test("both kinds of input in one call give both embeddings and each tower's results", () =>
  withEncoder({}, async (encoder, inputs) => {
    const text = casesOf(CLIP).find((c) => c.name.includes("text"))?.inputs ?? {};
    const both = await encoder.encode({ ...inputs, ...text });
    assert.deepEqual(both.image_embeds, (await encoder.encode(inputs)).image_embeds);
    assert.deepEqual(both.text_embeds?.shape, [2, 32]);
    assert.deepEqual(both.vision_model_output?.last_hidden_state?.shape, [3, 17, 64]);
    assert.deepEqual(both.text_model_output?.pooler_output?.shape, [2, 64]);
  }));

test("`outputs` names the results that come back", () =>
  withEncoder({}, async (encoder, inputs) => {
    assert.deepEqual(Object.keys(await encoder.encode(inputs, { outputs: ["pooler_output"] })), ["pooler_output"]);
    await assert.rejects(
      encoder.encode(inputs, { outputs: ["text_embeds"] }),
      hasCode("invalid_input", /"text_embeds".*image_embeds/s),
    );
  }));

test("a batch beyond the largest range runs in parts with the same results", () =>
  withEncoder({}, async (encoder, inputs) => {
    const one = inputs.pixel_values as Tensor;
    const rows = 70;
    const size = one.data.length / one.shape[0];
    const data = new Float32Array(rows * size);
    for (let r = 0; r < rows; r++) data.set(one.data.subarray((r % 3) * size, ((r % 3) + 1) * size), r * size);
    const { image_embeds } = await encoder.encode({
      pixel_values: { dtype: "f32", shape: [rows, ...one.shape.slice(1)], data },
    });
    const single = await encoder.encode({ pixel_values: one });
    assert.deepEqual(image_embeds?.shape, [rows, 32]);
    for (const r of [0, 63, 64, 69]) {
      const from = (r % 3) * 32;
      const found = Array.from(image_embeds?.data.subarray(r * 32, r * 32 + 32) ?? []);
      const expected = Array.from(single.image_embeds?.data.subarray(from, from + 32) ?? []);
      found.forEach((v, i) => {
        assert.ok(Math.abs(v - expected[i]) < 1e-5);
      });
    }
  }));

for (const threads of [0, 2]) {
  test(`an abort in the middle gives memory back and leaves the encoder usable (threads: ${threads})`, () =>
    withEncoder({ threads }, async (encoder, inputs) => {
      const before = await encoder.encode(inputs);
      const inUse = encoder.stats().device.bytesInUse;
      for (let i = 0; i < 5; i++) {
        const controller = new AbortController();
        const running = encoder.encode(inputs, { signal: controller.signal });
        setTimeout(() => controller.abort(new Error("stopped by the test")), 0);
        // On a fast machine it may be done before the abort; both must leave nothing behind.
        await running.catch((error: Error) => assert.equal(error.message, "stopped by the test"));
      }
      const early = AbortSignal.abort(new Error("never started"));
      await assert.rejects(encoder.encode(inputs, { signal: early }), /never started/);
      assert.equal(encoder.stats().device.bytesInUse, inUse);
      assert.deepEqual(await encoder.encode(inputs), before);
    }));
}

const UNITS: Readonly<Record<string, number>> = { KiB: 2 ** 10, MiB: 2 ** 20 };

test("a budget that does not hold the weights is refused with one that does", async () => {
  const runtime = await openRuntime({ threads: 0, memory: 100_000 });
  let advice = "";
  await assert.rejects(runtime.load(CLIP, { components: ["vision"] }), (error: FoveaError) => {
    advice = error.message;
    return error.code === "out_of_memory";
  });
  assert.equal(runtime.stats().device.bytesInUse, 0);
  await runtime.close();
  const [, number, unit] = /`memory` of ([\d.]+) ([KM]iB) would fit/.exec(advice) ?? [];
  const enough = await openRuntime({ threads: 0, memory: Number(number) * UNITS[unit] });
  const encoder = await enough.load(CLIP, { components: ["vision"] });
  const pixel_values: Tensor = { dtype: "f32", shape: [1, 3, 32, 32], data: new Float32Array(3072) };
  assert.ok((await encoder.encode({ pixel_values })).image_embeds);
  await enough.close();
});

test("a batch that does not fit the budget runs in parts", async () => {
  const probe = await openRuntime({ threads: 0 });
  await probe.load(CLIP, { components: ["vision"] });
  const weights = probe.stats().device.bytesInUse;
  await probe.close();
  const runtime = await openRuntime({ threads: 0, memory: weights + 3 * 2 ** 20 });
  const encoder = await runtime.load(CLIP, { components: ["vision"] });
  const pixels: Tensor = { dtype: "f32", shape: [64, 3, 32, 32], data: new Float32Array(64 * 3 * 32 * 32).fill(0.25) };
  const { image_embeds } = await encoder.encode({ pixel_values: pixels });
  assert.deepEqual(image_embeds?.shape, [64, 32]);
  await runtime.close();
});

const PIXELS: Tensor = { dtype: "f32", shape: [1, 3, 32, 32], data: new Float32Array(3 * 32 * 32) };

const BAD_INPUTS: readonly { readonly what: string; readonly inputs: EncodeInputs; readonly says: RegExp }[] = [
  { what: "nothing", inputs: {}, says: /nothing to encode/ },
  { what: "an unknown name", inputs: { pixel_value: PIXELS }, says: /"pixel_value".*Did you mean "pixel_values"/s },
  {
    what: "pictures without a processor",
    inputs: { images: ["x.png"] },
    says: /preprocessor_config\.json.*pixel_values/s,
  },
  { what: "texts without a tokenizer", inputs: { texts: ["x"] }, says: /tokenizer\.json.*input_ids/s },
  { what: "another picture size", inputs: { pixel_values: { ...PIXELS, shape: [1, 3, 64, 16] } }, says: /32/ },
  {
    what: "fewer elements than the shape says",
    inputs: { pixel_values: { ...PIXELS, data: new Float32Array(5) } },
    says: /5/,
  },
  {
    what: "NaN",
    inputs: { pixel_values: { ...PIXELS, data: new Float32Array(3 * 32 * 32).fill(Number.NaN) } },
    says: /NaN/,
  },
  {
    what: "an id outside of the vocabulary",
    inputs: { input_ids: { dtype: "i32", shape: [1, 2], data: Int32Array.of(0, 1e6) } },
    says: /1000000/,
  },
  {
    what: "a text that is too long",
    inputs: { input_ids: { dtype: "i32", shape: [1, 500], data: new Int32Array(500) } },
    says: /500/,
  },
];

for (const { what, inputs, says } of BAD_INPUTS) {
  test(`encode refuses ${what} with a sentence`, () =>
    withEncoder({}, async (encoder) => {
      await assert.rejects(encoder.encode(inputs), hasCode("invalid_input", says));
    }));
}

test("what is closed says so", async () => {
  const runtime = await openRuntime({ threads: 0 });
  const encoder = await runtime.load(CLIP, { components: ["vision"] });
  await assert.rejects(
    encoder.encode({ input_ids: { dtype: "i32", shape: [1, 1], data: Int32Array.of(1) } }),
    hasCode("invalid_input", /input_ids/),
  );
  encoder.close();
  await assert.rejects(encoder.encode({ pixel_values: PIXELS }), hasCode("closed", /load the model again/));
  await runtime.close();
  await runtime.close();
  await assert.rejects(runtime.load(CLIP), (error: FoveaError) => error.code === "closed");
});
