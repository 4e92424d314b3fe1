/** Bundles of WGSL before any adapter sees them: what cannot be bounded, or is not declared, is refused with its line. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadPlugin } from "../../mod.ts";
import type { Claim, ClaimContext, Offer } from "../../runtime/abi/kernel.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { moduleOf } from "../../runtime/foreign/wgsl/module.ts";
import { buildGraph } from "../kit/run_graph.ts";
import { type BundleParts, bundleFiles, SQUARE_SHADER, squareShader } from "./bundles.ts";

const REFUSED: readonly (readonly [string, BundleParts, RegExp])[] = [
  [
    "an undeclared binding",
    { scope: "@group(0) @binding(3) var<storage, read> secret: array<f32>;" },
    /line \d+ binds "secret" at group 0, binding 3, which the description does not declare/,
  ],
  ["a binding of another group", { scope: "@group(1) @binding(0) var<uniform> w: vec4<u32>;" }, /group 1, binding 0/],
  [
    "a declared binding that is not there",
    { kernel: { bindings: [...(SQUARE_SHADER.bindings as object[]), { binding: 4, role: "operand", of: "x" }] } },
    /binding 4 of the description is not there exactly once/,
  ],
  [
    "an operand that is written",
    { wgsl: squareShader().replace("storage, read>", "storage, read_write>") },
    /declares "x" as var<storage, read_write>; its role is that of var<storage, read>/,
  ],
  ["a write to an operand", { before: "x[0] = 1.0;" }, /line 11 writes "x", which is no result/],
  ["an address of memory", { before: "let p = &y[0];" }, /takes the address of "y", which nothing could bound/],
  ["memory as a whole", { before: "let p = &x;" }, /takes the address of "x"/],
  ["a change in place", { before: "y[i] += 1.0;" }, /changes "y" by "\+="; write `y\[i\] = …;`/],
  [
    "other sizes",
    { wgsl: squareShader().replace("rows: u32, width: u32", "width: u32, rows: u32") },
    /sees "sizes" as Sizes \{ width: u32, rows: u32 \}; its description says \{ rows: u32, width: u32 \}/,
  ],
  [
    "memory as atomics",
    { wgsl: squareShader().replace("x: array<f32>", "x: array<atomic<u32>>") },
    /memory is array<f32>/,
  ],
  ["a host's name", { scope: "fn fovea_stop(why: u32) {}" }, /uses the name "fovea_stop", which is the host's/],
  ["a shadow of a host's name", { scope: "fn min(a: u32, b: u32) -> u32 { return a; }" }, /uses the name "min"/],
  ["an undeclared dialect", { wgsl: `enable f16;${squareShader()}` }, /asks for "f16", which `requires.dialect`/],
  ["two entries", { scope: "@compute @workgroup_size(1) fn other() {}" }, /has the entry points other, square/],
  [
    "a workgroup that is too large",
    { wgsl: squareShader().replace("@workgroup_size(64)", "@workgroup_size(64, 8)") },
    /has no workgroup of 1 to 256 invocations/,
  ],
  [
    "a loop around a loop with barriers in a function",
    {
      scope: "fn meet() { for (var k = 0u; k < 2u; k++) { workgroupBarrier(); } }",
      before: "for (var j = 0u; j < 4u; j++) { meet(); }",
    },
    /calls "meet" inside of a loop, and "meet" has a loop around a barrier/,
  ],
  [
    "calls that multiply",
    {
      scope: Array.from(
        { length: 24 },
        (_, i) => `fn f${i}(v: f32) -> f32 { return ${i === 0 ? "v" : `f${i - 1}(v) + f${i - 1}(v)`}; }`,
      ).join("\n"),
      value: "v * v + 0.0 * f23(v)",
    },
    /line \d+ has "f\d+", which with all that it calls written out is longer than 32768 words; call less, or in a loop/,
  ],
  [
    "calls that are too deep",
    {
      scope: Array.from(
        { length: 20000 },
        (_, i) => `fn f${i}(v: f32) -> f32 { return ${i === 0 ? "v" : `f${i - 1}(v)`}; }`,
      ).join("\n"),
      value: "f19999(v)",
    },
    /line \d+ has "f19744", which is called more than 255 functions deep/,
  ],
  [
    "a function that calls itself",
    { scope: "fn f(v: f32) -> f32 { return f(v); }", value: "f(v)" },
    /line 6 has "f", which calls itself/,
  ],
  ["an undeclared override", { scope: "override N: u32 = 4u;" }, /the override "N" is not in both/],
  ["a comment without an end", { scope: "/* /* */" }, /the comment of line 6 does not end/],
  ["braces that do not close", { before: "{" }, /does not end|is not closed/],
  [
    "a second result",
    { kernel: { bindings: [{ binding: 1, role: "operand", of: "x" }] } },
    /needs one binding as its `output`/,
  ],
  ["sizes that nobody knows", { kernel: { dispatch: ["height"] } }, /has a wrong `dispatch`.*"height"/],
];

for (const [what, parts, says] of REFUSED) {
  test(`a bundle with ${what} is refused before it is compiled`, async () => {
    await assert.rejects(loadPlugin(bundleFiles(parts)), (error: unknown) => {
      assert.ok(error instanceof FoveaError, String(error));
      assert.match(error.message, says);
      return true;
    });
  });
}

test("a changed shader is refused, and so is memory that is not its own", async () => {
  const files = new Map(bundleFiles());
  files.set("square.wgsl", new TextEncoder().encode(squareShader({ value: "v" })));
  await assert.rejects(loadPlugin(files), /square\.wgsl has the SHA-256 .*, but its description says/);
  await assert.rejects(loadPlugin(bundleFiles(), { isolation: "shared-memory" }), /reaches its operands alone/);
});

/** What a bundle offers for a square of [rows, 5], rows up to `most`. */
async function offers(parts: BundleParts, most = 8): Promise<readonly Offer[]> {
  const [kernel] = (await loadPlugin(bundleFiles(parts))).kernels ?? [];
  const graph = buildGraph({ rows: { min: 1, max: most } }, (b) => {
    const x = b.input("x", [b.dims.rows, 5]);
    b.output("y", b.mul(x, x));
  });
  const [{ node }] = graph.outputs;
  const context: ClaimContext = {
    graph,
    box: graph.symbols,
    capabilities: {},
    kind: () => "elementwise",
    users: () => [],
    isWeight: () => false,
    isOutput: (n) => n === node,
    view: () => {
      throw new Error("not asked");
    },
  };
  return kernel.claim(context, node);
}

test("claims say what they cover; what is too large, or not granted, is refused as a value", async () => {
  const [claim] = (await offers({})) as readonly Claim[];
  assert.deepEqual(
    [claim.kernel, claim.covers.map((n) => n.op), claim.cost.launches],
    ["@test/shaders/square", ["mul"], 1],
  );
  const reasonOf = async (parts: BundleParts, most?: number): Promise<string> => {
    const [offer] = await offers(parts, most);
    return "reason" in offer ? offer.reason : "";
  };
  assert.match(
    await reasonOf({ kernel: { dispatch: ["rows * 65536"] } }, 512),
    /launches 33554432 workgroups, more than 16777216/,
  );
  assert.match(await reasonOf({ kernel: { dispatch: ["rows", "4096", "4096"] } }), /workgroups, more than/);
  assert.match(await reasonOf({ kernel: { dispatch: ["rows - rows"] } }), /launches no workgroup/);
  assert.match(await reasonOf({ kernel: { flops: "rows * width * 1000000000" } }), /operations, more than/);
  // Below 0 they would be more turns of loops than anyone may have.
  assert.match(
    await reasonOf({ kernel: { flops: "rows * width - 100000000" } }),
    /its flops may be -99999995; expected a size from 0 on\./,
  );
  assert.match(await reasonOf({ kernel: { bytes: "rows - 9" } }), /its bytes may be -8; expected a size from 0 on\./);
  assert.match(await reasonOf({ requires: { features: ["shader-f16"] } }), /needs the feature shader-f16/);
  assert.match(
    await reasonOf({ requires: { limits: { maxComputeWorkgroupStorageSize: 65536 } } }),
    /needs maxComputeWorkgroupStorageSize 65536; every adapter grants 16384/,
  );
  assert.match(
    await reasonOf({ scope: "override N: u32 = 4u;", kernel: { overrides: { N: "rows" } } }),
    /override N needs a size that has one value/,
  );
});

test("reflection reads bindings and dialect; comments and templates do not mislead it", () => {
  const { bindings, dialect } = moduleOf(`
    // @group(0) @binding(9) var<storage> no: array<f32>;
    enable f16, subgroups; requires readonly_and_readwrite_storage_textures;
    /* @group(0) /* nested */ @binding(8) */
    @group(0) @binding(0x1) var<storage,read_write> a : array < vec4f > ;
    @binding(2) @group(0) var<uniform> b: Sizes;
    var<workgroup> c: array<vec2<f32>, 4>;`);
  assert.deepEqual(dialect, ["f16", "subgroups", "readonly_and_readwrite_storage_textures"]);
  assert.deepEqual(
    bindings.map(({ name, binding, space, type }) => [name, binding, space, type]),
    [
      ["a", 1, "storage, read_write", "array<vec4<f32>>"],
      ["b", 2, "uniform", "Sizes"],
    ],
  );
});
