/** Texts of the compiler's stages for a block of CLIP's vision tower: what changes here changes what is compiled. */
import { readFileSync } from "node:fs";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { type CompileReport, compileGraph } from "../../runtime/compile/compile.ts";
import { createGraphBuilder } from "../../runtime/ir/builder.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { openClip, towerOf } from "../clip/model_kit.ts";
import { repositoryPath } from "../kit/run_cli.ts";

const CONFIG = "test/fixtures/configs/clip-vit-base-patch32/config.json";
const TARGET = "wasm-simd128";

const STAGES = ["traced", "canonical", "claimed", "planned"] as const satisfies readonly (keyof CompileReport)[];

function reportOf(enabled: boolean): CompileReport {
  const model = openClip(JSON.parse(readFileSync(repositoryPath(CONFIG), "utf8")));
  const block = towerOf(model, "vision").components.find((c) => c.tag === "clip/vision.block");
  if (block === undefined) throw new Error("CLIP's vision tower has no block");
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: { batch: { min: 2, max: 8 } }, interner });
  block.build(b);
  return compileGraph(b.finish(), {
    interner,
    kernels: wasmPlugin.kernels ?? [],
    target: TARGET,
    capabilities: wasmPlugin.devices?.[0].targetCapabilities(TARGET) ?? {},
    enabled,
  }).report;
}

const textOf = (report: CompileReport): string => STAGES.map((s) => `== ${s}\n${report[s]}`).join("\n");

/** Golden texts by file name, optimised and op by op. */
export async function goldens(): Promise<Record<string, string>> {
  return {
    "clip_vision_block.txt": textOf(reportOf(true)),
    "clip_vision_block_op_by_op.txt": textOf(reportOf(false)),
  };
}
