/** What types of weights cost in precision, measured by component call. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeasureNumericsOptions, NumericsReport } from "../../mod.ts";
import { repositoryPath, runCli } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const SIGLIP = repositoryPath("test/fixtures/siglip");

async function measured(options: MeasureNumericsOptions): Promise<NumericsReport> {
  const runtime = await openRuntime({ threads: 0 });
  try {
    const report = await runtime.numerics(SIGLIP, { component: "vision", ...options });
    assert.equal(runtime.stats().device.bytesInUse, 0);
    return report;
  } finally {
    await runtime.close();
  }
}

test("with f32 weights no call loses anything", async () => {
  const { modality, calls } = await measured({});
  assert.equal(modality, "vision");
  assert.deepEqual(
    calls.map((c) => c.tag.replace("siglip/vision.", "")),
    ["embed", "block", "block", "final", "pool"],
  );
  for (const { dtype, alone, soFar } of calls) {
    assert.equal(dtype, "f32");
    assert.ok(Math.abs(alone.cosine - 1) < 1e-9 && alone.error === 0 && soFar.error === 0);
  }
});

test("int8: each layer's own loss, which those behind it carry on; the ends add none", async () => {
  const { calls } = await measured({ dtype: "int8", example: { batch: 2 } });
  const [embed, first, second, final, pool] = calls;
  assert.deepEqual([embed.dtype, first.dtype, second.dtype, pool.dtype], ["f32", "int8", "int8", "f32"]);
  for (const { alone, soFar } of [first, second]) {
    assert.ok(alone.error > 1e-3 && alone.error < 0.02, String(alone.error));
    assert.ok(alone.cosine > 0.9998 && alone.cosine < 1);
    assert.ok(soFar.error >= alone.error);
  }
  assert.equal(first.alone.error, first.soFar.error);
  assert.ok(second.soFar.error > second.alone.error);
  for (const { alone } of [embed, final, pool]) assert.equal(alone.error, 0);
  assert.ok(pool.soFar.error > 1e-3);
});

test("explain --numerics prints a table, or one JSON document; what does not go with it is refused", async () => {
  const args = ["explain", SIGLIP, "--component", "siglip/text.block", "--dtype", "int8", "--threads", "0"];
  const { code, stdout, stderr } = await runCli([...args, "--numerics", "--tokens", "5"]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^text\ncomponent +instance +output +weights +cosine alone +error +cosine so far +error\n/);
  assert.match(stdout, /\nsiglip\/text\.block +text_model\.encoder\.layers\.1\. +hidden_states +int8 +0\.9999/);
  assert.equal(stdout.match(/\nsiglip/g)?.length, 2);
  const json = await runCli([...args, "--numerics", "--json", "--load-format", "dummy"]);
  const [{ modality, calls }] = JSON.parse(json.stdout).towers;
  assert.equal(modality, "text");
  assert.equal(calls.length, 2);
  const refused = await runCli([...args, "--numerics", "--stage", "claimed"]);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /--numerics prints a table of its own; leave out --config, --stage and --html/);
});
