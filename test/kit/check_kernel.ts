/** Conformance of a plugin's kernels, for authors: from `node:test`, `bun test` and `deno test` alike. */
import assert from "node:assert/strict";
import { checkPlugin, type KernelCheck } from "../../runtime/session/registry/check_plugin.ts";
import type { LoadPluginOptions, PluginSource } from "../../runtime/session/registry/plugin_files.ts";

export type { KernelCheck };

/**
 * Checks the kernels of a plugin of files as `fovea plugin check` does: the ends of their ranges and sizes between, against
 * the reference evaluator; twice, and divided over workers, with equal bits; statuses, and what lies behind their results.
 * @param source a folder with `plugin.json`, or its files by name
 * @throws AssertionError with everything that is wrong; FoveaError as `loadPlugin`
 */
export async function checkKernel(
  source: PluginSource,
  options: LoadPluginOptions = {},
): Promise<readonly KernelCheck[]> {
  const { foreign, kernels } = await checkPlugin(source, options);
  assert.ok(foreign !== undefined, "The plugin is a module in JavaScript; checkKernel checks those of files.");
  const problems = kernels.flatMap((k) => k.problems.map((p) => `${k.kernel}: ${p}`));
  assert.equal(problems.length, 0, problems.join("\n"));
  return kernels;
}
