/** Plugins that were built once: they must keep loading, and computing the same. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { checkKernel } from "../kit/check_kernel.ts";
import { repositoryPath } from "../kit/run_cli.ts";

const CORPUS = "test/fixtures/plugins";

/** By folder: the kernels that each brings. */
const KERNELS: Readonly<Record<string, readonly string[]>> = {
  "kernel-c": ["add_layer_norm"],
  "kernel-component": ["product"],
  "kernel-rust": ["gated_silu"],
};

test("the corpus holds what is expected of it", () => {
  const folders = readdirSync(repositoryPath(CORPUS), { withFileTypes: true }).filter((e) => e.isDirectory());
  assert.deepEqual(folders.map((e) => e.name).sort(), Object.keys(KERNELS).sort());
});

for (const [folder, expected] of Object.entries(KERNELS)) {
  test(`${folder} of the corpus loads, and its kernels are right`, async () => {
    const kernels = await checkKernel(repositoryPath(`${CORPUS}/${folder}`));
    assert.deepEqual(
      kernels.map((k) => k.kernel),
      expected,
    );
    assert.ok(kernels.every((k) => k.points >= 3 && k.worst > 0 && k.worst < 1));
  });
}
