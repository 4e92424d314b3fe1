/** What is no plugin is told where it is defined, or where a runtime is made of it, by its name and the field that is wrong. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRuntime, definePlugin, type Plugin } from "../../mod.ts";
import { hasCode } from "../kit/assertions.ts";

const PLUGIN = { name: "@test/plugin", version: "1.0.0", abi: 1 };
const KERNEL = { name: "k", device: "wasm", reads: [], claim: () => [] };

const WRONG: readonly (readonly [string, unknown, RegExp])[] = [
  ["nothing", undefined, /^A plugin is an object such as \{ name, version, abi, kernels \}; found none\.$/],
  ["no name", { ...PLUGIN, name: "" }, /^Plugin "" cannot be used: it needs a name\.$/],
  ["a version in a list", { ...PLUGIN, version: ["1.0.0"] }, /its version must be semantic, found "1\.0\.0"\.$/],
  ["its abi as a text", { ...PLUGIN, abi: "1" }, /its `abi` must be the number 1\.$/],
  ["one kernel", { ...PLUGIN, kernels: KERNEL }, /its `kernels` is no list\.$/],
  ["null for kernels", { ...PLUGIN, kernels: null }, /its `kernels` is no list\.$/],
  ["nothing as a kernel", { ...PLUGIN, kernels: [null] }, /its `kernels\[0\]` is no kernel\.$/],
  ["a kernel without a name", { ...PLUGIN, kernels: [{ ...KERNEL, name: 1 }] }, /its `kernels\[0\]` needs a name\.$/],
  [
    "a kernel without a device",
    { ...PLUGIN, kernels: [{ ...KERNEL, device: undefined }] },
    /^Plugin "@test\/plugin" cannot be used: its kernel "k" has no `device` that is a text\.$/,
  ],
  [
    "a kernel that reads a text",
    { ...PLUGIN, kernels: [{ ...KERNEL, reads: "simd128" }] },
    /its kernel "k" has no `reads` that is a list of texts\.$/,
  ],
  ["a kernel without claim", { ...PLUGIN, kernels: [{ ...KERNEL, claim: 1 }] }, /has no `claim` that is a function\.$/],
  ["a kernel twice", { ...PLUGIN, kernels: [KERNEL, KERNEL] }, /it offers the kernel "k" twice\.$/],
  ["a device without a kind", { ...PLUGIN, devices: [{}] }, /its `devices\[0\]` needs a kind\.$/],
  [
    "a device without targets",
    { ...PLUGIN, devices: [{ kind: "d" }] },
    /its device "d" has no `targets` that is a list/,
  ],
  [
    "an encoder of no model_type",
    { ...PLUGIN, encoders: [{ name: "e", files: [], open: () => ({}) }] },
    /its encoder "e" has no `modelTypes` that is a list of texts\.$/,
  ],
  ["ops in a list", { ...PLUGIN, ops: [] }, /its `ops` are no object of ops by name\.$/],
];

for (const [what, plugin, says] of WRONG) {
  test(`a plugin with ${what} is refused in a sentence`, () => {
    assert.throws(() => definePlugin(plugin as Plugin), hasCode("invalid_plugin", says));
  });
}

test("a plugin that nobody defined is refused where a runtime is made of it", async () => {
  const plugin = { ...PLUGIN, kernels: [{ ...KERNEL, claim: undefined }] } as unknown as Plugin;
  await assert.rejects(
    createRuntime({ threads: 0, plugins: [plugin] }),
    hasCode("invalid_plugin", /its kernel "k" has no `claim` that is a function\.$/),
  );
});

test("a plugin of another abi is refused with both numbers", () => {
  assert.throws(
    () => definePlugin({ ...PLUGIN, abi: 2 }),
    hasCode("unsupported_abi", /was written for abi 2; this fovea speaks abi 1\. Install a matching version/),
  );
});
