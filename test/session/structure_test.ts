/** One structure compiles once, whatever carries it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { openClip, towerOf } from "../clip/model_kit.ts";
import { openArtifacts } from "../kit/artifacts.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { BARE_HOST } from "../kit/run_graph.ts";

test("24 equal blocks of clip-vit-large compile once for each range", async () => {
  const device = (await wasmPlugin.devices?.[0].open(BARE_HOST, { threads: 0, target: "wasm-simd128" })) as Device;
  const loads: number[] = [];
  const counting: Device = new Proxy(device, {
    get: (target, key) => {
      if (key === "load") {
        return async (code: ReadonlyMap<string, Uint8Array>) => {
          loads.push(code.size);
          return target.load(code);
        };
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const artifacts = await openArtifacts(counting);
  const config = JSON.parse(
    readFileSync(repositoryPath("test/fixtures/configs/clip-vit-large-patch14-336/config.json"), "utf8"),
  );
  const block = towerOf(openClip(config), "vision").components.find((c) => c.tag === "clip/vision.block");
  assert.equal(block?.instances.length, 24);
  if (block === undefined) return;
  const { boxes } = await artifacts.prepare(block);
  assert.equal(artifacts.counters.compiled, boxes.length);
  assert.equal(loads.length, boxes.length);
  // The same structure under another tag, with other instances, has its artifacts already.
  const again = await artifacts.prepare({ ...block, tag: "other/block", instances: ["elsewhere."] });
  assert.equal(artifacts.counters.compiled, boxes.length);
  assert.equal(artifacts.counters.shared, boxes.length);
  assert.deepEqual(
    again.artifacts.map((a) => a.digest),
    (await artifacts.prepare(block)).artifacts.map((a) => a.digest),
  );
  assert.equal(loads.length, boxes.length);
  await device.close();
});
