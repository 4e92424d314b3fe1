/** Kernel modules as text: what the emitters wrote is read back whole. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { f32, f32x4, get, i32, set, v128 } from "../../kernels/wasm/asm/code.ts";
import { forRange, when } from "../../kernels/wasm/asm/control_flow.ts";
import { disassemble } from "../../kernels/wasm/asm/disassemble.ts";
import { kernelModule } from "../../kernels/wasm/asm/module.ts";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { compileGraph } from "../../runtime/compile/compile.ts";
import { createGraphBuilder } from "../../runtime/ir/builder.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { openClip, towerOf } from "../clip/model_kit.ts";
import { repositoryPath } from "../kit/run_cli.ts";

test("a module reads as statements with its locals, constants and blocks", () => {
  const { bytes } = kernelModule((frame) => {
    const i = frame.local("i32");
    const v = frame.local("v128");
    return [
      set(v, f32x4.splat(f32.of(1.5))),
      forRange(i, get(frame.begin), get(frame.end), 4, [
        set(v, f32x4.add(get(v), v128.load(i32.add(get(frame.args), i32.of(-100)), 16))),
      ]),
      when(i32.ltS(get(i), i32.of(300)), v128.store(get(frame.scratch), get(v), 8)),
    ];
  });
  assert.deepEqual(disassemble(bytes), [
    "v5 = f32x4.splat(1.50000)",
    "i4 = begin",
    "if i4 < end {",
    "  loop {",
    "    v5 = v5 + v128.load[args + -100 + 16]",
    "    i4 = i4 + 4",
    "    again if i4 < end",
    "  }",
    "}",
    "if i4 < 300 {",
    "  v128.store[scratch + 8] = v5",
    "}",
  ]);
});

test("all code of CLIP's towers is known, for both targets and all types of weights", () => {
  const config = repositoryPath("test/fixtures/configs/clip-vit-base-patch32/config.json");
  const model = openClip(JSON.parse(readFileSync(config, "utf8")));
  let seen = 0;
  const kept = ["f32", "bf16", "f16", "int8"] as const;
  for (const [target, dtype] of ["wasm-simd128", "wasm-relaxed"].flatMap((t) => kept.map((d) => [t, d] as const))) {
    for (const spec of towerOf(model, "vision").components) {
      const interner = createInterner(OP_TABLE);
      const builder = createGraphBuilder({ symbols: { batch: { min: 2, max: 3 } }, interner });
      spec.build(builder);
      const { code } = compileGraph(builder.finish(), {
        interner,
        kernels: wasmPlugin.kernels ?? [],
        target,
        capabilities: wasmPlugin.devices?.[0].targetCapabilities(target) ?? {},
        enabled: true,
        dtype,
      });
      for (const blob of code.values()) {
        const text = disassemble(blob).join("\n");
        assert.doesNotMatch(text, /not known|\?\)|\[\?/);
        assert.equal(text.split("{").length, text.split("}").length);
        seen++;
      }
    }
  }
  assert.ok(seen > 10);
});
