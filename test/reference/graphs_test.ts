import assert from "node:assert/strict";
import { test } from "node:test";
import { referencePlugin } from "../../kernels/reference/plugin.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { evaluateGraph } from "../../runtime/ir/evaluate/mod.ts";
import { growRandomGraph, RANDOM_SYMBOLS, randomBindings, randomInputs, randomWeights } from "../kit/random_graph.ts";
import { BARE_HOST, buildGraph, maxDifference, maxMagnitude, runGraph } from "../kit/run_graph.ts";

const open = (): Promise<Device> => referencePlugin.devices?.[0].open(BARE_HOST, {}) as Promise<Device>;

for (const enabled of [true, false]) {
  test(`reference: compiled random graphs equal the evaluator, ${enabled ? "optimised" : "op by op"}`, async () => {
    const device = await open();
    for (let seed = 0; seed < 100; seed++) {
      const at = randomBindings(seed);
      const build = (b: Parameters<typeof growRandomGraph>[0]): void => growRandomGraph(b, seed);
      const inputs = randomInputs(seed, at);
      const weights = randomWeights(seed);
      const options = { device, plugins: [referencePlugin], symbols: RANDOM_SYMBOLS, bindings: at, inputs, weights };
      const { outputs } = await runGraph({ ...options, build, enabled });
      const expected = evaluateGraph(buildGraph(RANDOM_SYMBOLS, build), at, inputs, weights);
      for (const name of Object.keys(expected)) {
        const difference = maxDifference(outputs[name], expected[name]);
        const limit = 2e-6 * (1 + maxMagnitude(expected[name]));
        assert.ok(difference <= limit, `seed ${seed}, ${name}: ${difference} over ${limit}`);
      }
    }
    assert.equal(device.stats().bytesInUse, 0);
    await device.close();
  });
}
