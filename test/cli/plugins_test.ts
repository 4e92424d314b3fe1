/** Encoders of anyone's plugin on the command line: a configuration module names them. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { encodeSafetensors } from "../../runtime/exec/weights/writer.ts";
import { runCli } from "../kit/run_cli.ts";

/** Rows times a weight. */
const PLUGIN = `
export const scaled = {
  name: "@someone/scaled", version: "1.0.0", abi: 1,
  encoders: [{
    name: "scaled", modelTypes: ["scaled"], files: [],
    open: () => ({
      prefixes: [""],
      processors: () => ({}),
      towers: [{
        modality: "vision", inputs: ["pixel_values"], outputs: ["pooler_output"],
        components: [{
          tag: "scaled/vision", symbols: { batch: { min: 1, max: 4 } }, instances: [""],
          build: (b) => b.output("scaled", b.mul(b.input("pixel_values", [b.dims.batch, 3]), b.weight("scale", [3]))),
        }],
        prepare: (inputs) => inputs,
        plan: (shapes) => ({
          key: "scaled " + shapes.pixel_values[0], constants: {}, results: { pooler_output: "scaled" },
          calls: [{
            tag: "scaled/vision", instance: "", dims: { batch: shapes.pixel_values[0] },
            inputs: { pixel_values: "pixel_values" }, outputs: { scaled: "scaled" },
          }],
        }),
        exampleSizes: [],
        example: ({ batch }) => ({ pixel_values: { dtype: "f32", shape: [batch, 3], data: new Float32Array(3 * batch) } }),
      }],
    }),
  }],
};
export default { plugins: [scaled] };
`;

const f32 = (shape: readonly number[], ...data: readonly number[]) =>
  ({ dtype: "f32", shape, data: Float32Array.from(data) }) as const;

test("a plugin in the configuration file is used beside the first-party ones, to verify, explain and measure", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fovea-plugins-"));
  try {
    await writeFile(join(folder, "config.json"), '{"model_type":"scaled"}');
    await writeFile(join(folder, "model.safetensors"), encodeSafetensors({ scale: f32([3], 2, 3, -4) }));
    const tensors = { "input.pixel_values": f32([2, 3], 1, 2, 3, 4, 5, 6) };
    const right = f32([2, 3], 2, 6, -12, 8, 15, -24);
    await writeFile(
      join(folder, "case-right.safetensors"),
      encodeSafetensors({ ...tensors, "output.pooler_output": right }),
    );
    const verify = ["verify", folder, "--threads", "0"];
    const without = await runCli(verify, { cwd: folder });
    assert.equal(without.code, 2);
    assert.match(
      without.stderr,
      /No plugin serves the model_type "scaled".* goes into `plugins` of createRuntime or, on the command line, into --plugin or the configuration file\.$/m,
    );
    await writeFile(join(folder, "fovea.config.mjs"), PLUGIN);
    const passed = await runCli(verify, { cwd: folder });
    assert.equal(passed.code, 0, passed.stderr);
    assert.match(passed.stdout, /1 passed, 0 failed/);
    const explained = await runCli(["explain", folder], { cwd: folder });
    assert.match(explained.stdout, /scaled\/vision/);
    await writeFile(
      join(folder, "case-wrong.safetensors"),
      encodeSafetensors({ ...tensors, "output.pooler_output": f32([2, 3], 2, 6, -12, 8, 15, -25) }),
    );
    const failed = await runCli(verify, { cwd: folder });
    assert.equal(failed.code, 1);
    assert.match(failed.stdout, /1 passed, 1 failed/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
