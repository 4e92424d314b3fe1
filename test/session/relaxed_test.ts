/** `relaxed: false`: one target, whose results have the same bits everywhere. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRuntime, FoveaError, type RuntimeOptions } from "../../mod.ts";

const refusal = async (options: RuntimeOptions): Promise<string> => {
  const error = await createRuntime(options).then(
    (runtime) => runtime.close(),
    (e: unknown) => e,
  );
  assert.ok(error instanceof FoveaError && error.code === "invalid_options", String(error));
  return error.message;
};

test("relaxed: false is the target wasm-simd128", async () => {
  for (const more of [{}, { device: ["wasm"] }, { target: "wasm-simd128" }]) {
    await using runtime = await createRuntime({ threads: 0, relaxed: false, ...more });
    assert.equal(runtime.target, "wasm-simd128");
  }
  await using found = await createRuntime({ threads: 0, relaxed: true });
  await using usual = await createRuntime({ threads: 0 });
  assert.equal(found.target, usual.target);
});

test("it is refused beside another target or another device", async () => {
  assert.match(
    await refusal({ relaxed: false, target: "wasm-relaxed" }),
    /`relaxed: false` is target "wasm-simd128", and `target` is "wasm-relaxed"; give one of them\.$/,
  );
  assert.match(
    await refusal({ relaxed: false, device: ["webgpu", "wasm"] }),
    /`relaxed: false` is for the device "wasm", whose results then have the same bits everywhere; found device: \["webgpu","wasm"\]\.$/,
  );
});
