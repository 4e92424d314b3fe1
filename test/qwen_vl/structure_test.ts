/** How many structures and artifacts the published 7B model's vision tower has; its weights are not needed. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { evaluateData } from "../../runtime/core/dim_data.ts";
import { FIXTURES, readJson } from "../clip/model_kit.ts";
import { openArtifacts } from "../kit/artifacts.ts";
import { BARE_HOST } from "../kit/run_graph.ts";
import { FAMILIES, qwenTowerOf } from "./model_kit.ts";

test("qwen2.5-vl-7b: 3 structures, 4 artifacts for pictures of all sizes; windows count the work of windows", async () => {
  const device = (await wasmPlugin.devices?.[0].open(BARE_HOST, { threads: 0, target: "wasm-simd128" })) as Device;
  const artifacts = await openArtifacts(device);
  const folder = join(FIXTURES, "configs/qwen2.5-vl-7b");
  const processor = readJson(join(folder, "preprocessor_config.json"));
  const tower = qwenTowerOf(readJson(join(folder, "config.json")), { "preprocessor_config.json": processor });
  // Values and frames wait for somebody who gives them.
  assert.deepEqual(
    tower.components.map((c) => [c.tag, c.instances.length, c.lazy === true]),
    [
      ["qwen2_5_vl/vision.embed", 1, true],
      ["qwen2_5_vl/vision.embed_u8", 1, false],
      ["qwen2_5_vl/vision.embed_frames_u8", 1, true],
      ["qwen2_5_vl/vision.block", 32, false],
      ["qwen2_5_vl/vision.merge", 1, false],
    ],
  );
  const ready = await Promise.all(tower.components.map((c) => artifacts.prepare(c)));
  assert.equal(artifacts.counters.compiled, 4);
  assert.equal(new Set(ready.flatMap((c) => c.artifacts.map((a) => a.digest))).size, 4);
  assert.deepEqual(ready[0].boxes, [{ patches: { min: 4, max: 65536, multipleOf: 4 } }]);
  const [windows, frames] = ready[3].artifacts.map(({ artifact }) => artifact);
  const flops = (artifact: typeof windows, longest_segment: number): number =>
    artifact.steps.reduce((n, s) => n + evaluateData(s.flops, { patches: 4096, segments: 1, longest_segment }), 0);
  // Products of 4096 patches with 1280 * (4 * 1280 + 3 * 3420) weights, and attention to 64 or to all patches.
  const products = 2 * 4096 * 1280 * (4 * 1280 + 3 * 3420);
  const attended = (keys: number): number => 4 * 4096 * keys * 1280;
  for (const [found, keys] of [
    [flops(windows, 64), 64],
    [flops(frames, 4096), 4096],
  ]) {
    const least = products + attended(keys);
    assert.ok(found > least && found < 1.3 * least, `${found} for ${least}`);
  }
  await device.close();
});

test("the other families: blocks of all layers are one structure, DeepStack's mergers another", () => {
  const shapes = FAMILIES.map((family) => qwenTowerOf({ model_type: family, vision_config: {} }).components);
  assert.deepEqual(
    shapes.map((components) => components.map((c) => [c.tag.replace(/^.*\./, ""), c.instances.length])),
    [
      [
        ["embed", 1],
        ["block", 32],
        ["merge", 1],
      ],
      [
        ["embed", 1],
        ["block", 32],
        ["merge", 1],
      ],
      [
        ["embed", 1],
        ["block", 27],
        ["deepstack", 3],
        ["merge", 1],
      ],
    ],
  );
});
