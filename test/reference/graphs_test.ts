import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { referencePlugin } from "../../kernels/reference/plugin.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { isRefusal } from "../../runtime/abi/kernel.ts";
import { createClaimContext } from "../../runtime/compile/cover.ts";
import { createViewResolver } from "../../runtime/compile/views.ts";
import type { Graph } from "../../runtime/ir/graph.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { FIXTURES, openClip, readJson } from "../clip/model_kit.ts";
import { testDevice } from "../kit/device_conformance.ts";
import { BARE_HOST } from "../kit/run_graph.ts";

testDevice({
  label: "reference",
  plugin: referencePlugin,
  open: () => referencePlugin.devices?.[0].open(BARE_HOST, {}) as Promise<Device>,
  tolerance: 2e-6,
  components: openClip(readJson(join(FIXTURES, "clip/config.json"))).towers.flatMap((t) => t.components),
  graphs: 40,
});

test("reference: an op is claimed alone, views are left to strides, foreign types are refused", () => {
  const kernel = referencePlugin.kernels?.[0];
  assert.ok(kernel !== undefined);
  const { make } = createInterner(OP_TABLE);
  const input = (dtype: string): ReturnType<typeof make> => make("input", [], { name: dtype, shape: [2], dtype });
  const offers = (node: ReturnType<typeof make>): ReturnType<typeof kernel.claim> => {
    const graph: Graph = { symbols: {}, inputs: [], outputs: [{ name: "y", node }] };
    const view = createViewResolver(OP_TABLE);
    return kernel.claim(createClaimContext(graph, { capabilities: {}, table: OP_TABLE, view }), node);
  };
  const [tanh] = offers(make("tanh", [input("f32")]));
  assert.ok(!isRefusal(tanh));
  assert.deepEqual([tanh.covers.length, tanh.operands.length, tanh.cost.launches], [1, 1, 1]);
  const [refusal] = offers(make("neg", [input("f16")]));
  assert.ok(isRefusal(refusal));
  assert.match(refusal.reason, /values of type f16 are not held by this device, only f32, i32/);
  assert.deepEqual(offers(make("reshape", [input("f32")], { shape: [1, 2] })), []);
});
