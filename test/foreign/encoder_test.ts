/** A foreign kernel under a whole encoder: it serves, fails in the middle of an encode, and the encode completes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Code, f32, get, i32, set } from "../../kernels/wasm/asm/code.ts";
import { forRange } from "../../kernels/wasm/asm/control_flow.ts";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { type Encoder, loadPlugin } from "../../mod.ts";
import { clipPlugin } from "../../plugins/clip/plugin.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { f32At, i32At, moduleBytes, pluginFiles } from "./assemble.ts";
import { argument } from "./kernels.ts";
import { cheap } from "./square.ts";

const PRODUCT = {
  name: "product",
  entry: "run",
  pattern: { op: "matmul", attributes: { transpose_b: true }, inputs: ["x", "w"] },
  operands: { x: { shape: ["...rows", "depth"] }, w: { shape: ["columns", "depth"], weight: true } },
  output: ["...rows", "columns"],
  grid: "rows",
  arguments: ["output", "x", "w", "rows", "columns", "depth"],
  flops: "2 * rows * columns * depth",
};

const [ROW, COLUMN, AT, CALLS] = [i32At(1), i32At(2), i32At(3), i32At(4)];
const SUM = f32At(5);
const words = (base: number, row: Code, width: Code, at: Code): Code =>
  i32.add(argument(base), i32.shl(i32.add(i32.mul(row, width), at), i32.of(2)));

/** x times w transposed; from its second thousand of calls on it traps. */
const TIRING: Code = [
  set(CALLS, i32.add(i32.load(i32.of(64)), i32.of(1))),
  i32.store(i32.of(64), get(CALLS)),
  ...[i32.gtS(get(CALLS), i32.of(1000)), 0x04, 0x40, 0x00, 0x0b],
  forRange(ROW, i32.of(0), argument(3), 1, [
    forRange(COLUMN, i32.of(0), argument(4), 1, [
      set(SUM, f32.of(0)),
      forRange(AT, i32.of(0), argument(5), 1, [
        set(
          SUM,
          f32.add(
            get(SUM),
            f32.mul(
              f32.load(words(1, get(ROW), argument(5), get(AT))),
              f32.load(words(2, get(COLUMN), argument(5), get(AT))),
            ),
          ),
        ),
      ]),
      f32.store(words(0, get(ROW), argument(4), get(COLUMN)), get(SUM)),
    ]),
  ]),
  i32.of(0),
];

const encodeText = async (encoder: Encoder): Promise<Float32Array> => {
  const { text_embeds } = await encoder.encode({ texts: ["a photo of the number: 3."] });
  return text_embeds?.data as Float32Array;
};

const maxDifference = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i])), a.length === b.length ? 0 : Number.POSITIVE_INFINITY);

test("products by a kernel that fails after a while: weights are packed again for the next cover, results stay", async () => {
  const model = repositoryPath("examples/models/digits-clip");
  const problems: string[] = [];
  const files = pluginFiles(moduleBytes({ code: TIRING, locals: [4, 1, 0] }), PRODUCT, { memory: { reserved: 1024 } });
  const plugin = cheap(await loadPlugin(files));
  const runtime = await openRuntime({
    ...{ threads: 0, target: "wasm-simd128", plugins: [plugin, wasmPlugin, clipPlugin] },
    onProblem: (sentence) => problems.push(sentence),
  });
  const other = await openRuntime({ threads: 0, target: "wasm-simd128" });
  try {
    const [encoder, judge] = await Promise.all([runtime, other].map((r) => r.load(model, { components: ["text"] })));
    assert.deepEqual(problems, []);
    const expected = await encodeText(judge);
    assert.match(encoder.explain(), /@test\/foreign\/product\//);
    let encodes = 0;
    for (; problems.length === 0 && encodes < 200; encodes++) {
      assert.ok(maxDifference(await encodeText(encoder), expected) < 1e-4);
    }
    assert.ok(encodes > 1, "it failed in its proof");
    assert.match(problems[0], /^The kernel "@test\/foreign\/product" was put aside during a call: it trapped/);
    assert.doesNotMatch(encoder.explain(), /@test\/foreign\/product\//);
    assert.ok(maxDifference(await encodeText(encoder), expected) < 1e-6);
    assert.ok(runtime.stats().recompiles.every((r) => r.cause === "kernel failed"));
  } finally {
    await runtime.close();
    await other.close();
  }
});

test("createRuntime loads plugins by their folders", async () => {
  const runtime = await openRuntime({ threads: 0, plugins: [repositoryPath("examples/kernel-c"), wasmPlugin] });
  await runtime.close();
  await assert.rejects(openRuntime({ plugins: ["./nowhere", wasmPlugin] }), { code: "bad_plugin" });
});
