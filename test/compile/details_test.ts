/** Times and details of a compile: told, and in no artifact. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { type CompileOptions, type CompileResult, compileGraph } from "../../runtime/compile/compile.ts";
import { createPassClock } from "../../runtime/compile/pass_clock.ts";
import { encodeArtifact } from "../../runtime/exec/codec.ts";
import { createGraphBuilder } from "../../runtime/ir/builder.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";

const TARGET = "wasm-simd128";

function compiled(more: Pick<CompileOptions, "now" | "details">): CompileResult {
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: { rows: { min: 1, max: 64 } }, interner, locate: true });
  const x = b.input("x", [b.dims.rows, 32]);
  const hidden = b.unary(
    "gelu",
    b.add(b.matmul(x, b.weight("w1", [48, 32]), { transposeB: true }), b.weight("b1", [48])),
  );
  b.output("y", b.add(b.matmul(hidden, b.weight("w2", [32, 48]), { transposeB: true }), x));
  return compileGraph(b.finish(), {
    interner,
    kernels: wasmPlugin.kernels ?? [],
    target: TARGET,
    capabilities: wasmPlugin.devices?.[0].targetCapabilities(TARGET) ?? {},
    enabled: true,
    ...more,
  });
}

test("a clock counts the time between the begin and the end of each pass, in order", () => {
  let time = 5;
  const clock = createPassClock(() => time);
  assert.equal(
    clock.run("one", () => {
      time += 3;
      return "made";
    }),
    "made",
  );
  time += 10;
  clock.run("two", () => {
    time += 1;
  });
  assert.deepEqual(clock.passes, [
    { name: "one", begin: 5, ms: 3 },
    { name: "two", begin: 18, ms: 1 },
  ]);
});

test("neither clock nor details reach the artifact or its code", () => {
  let ticks = 0;
  const plain = compiled({});
  const told = compiled({ now: () => 1000 * ++ticks, details: true });
  assert.deepEqual(encodeArtifact(told.artifact), encodeArtifact(plain.artifact));
  assert.deepEqual([...told.code.keys()], [...plain.code.keys()]);
  assert.equal(plain.report.details, undefined);
  assert.ok(plain.report.passes.every((p) => p.ms === 0));
  assert.ok(told.report.passes.every((p) => p.ms >= 1000));
});

test("details cover every op by one group, with its losers, weights and the author's lines", () => {
  const { artifact, report } = compiled({ details: true });
  const { nodes, groups, ops, outputs } = report.details ?? assert.fail();
  assert.deepEqual(ops, { traced: 5, canonical: 5, legal: 5 });
  assert.equal(nodes[outputs[0].node].op, "add");
  const covered = groups.flatMap((g) => g.nodes);
  assert.equal(new Set(covered).size, covered.length);
  assert.deepEqual(covered.map((n) => nodes[n].op).sort(), ["add", "add", "gelu", "matmul", "matmul"]);
  assert.deepEqual(
    groups.flatMap((g) => [...g.weights].sort()),
    ["b1", "w1", "w2"],
  );
  assert.deepEqual(
    groups.flatMap((g) => g.steps),
    [0, 1, 1, 2],
  );
  assert.equal(artifact.steps.length, 2);
  for (const n of covered) assert.match(nodes[n].source ?? "", /^details_test\.[tj]s:\d+$/);
  const [first] = groups;
  assert.ok(first.seconds > 0 && first.flops > 0 && first.bytes > 0);
  const dearer = first.losers.filter((l) => l.seconds !== undefined);
  assert.ok(dearer.length > 0);
  for (const { seconds } of dearer) assert.ok((seconds as number) >= first.totalSeconds);
  assert.ok(first.losers.every((l) => l.reason !== ""));
});
