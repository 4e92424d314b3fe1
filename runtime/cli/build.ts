/** `fovea build`: a model's components compiled for targets, as a pack to publish beside the checkpoint. */
import { Command } from "commander";
import { bytesText } from "../core/diagnostics.ts";
import type { LoadOptions } from "../session.ts";
import {
  type CalibrationOption,
  type CommonOptions,
  MODALITIES,
  nameList,
  nonEmpty,
  weightOptions,
  withCalibrationOption,
  withCommonOptions,
  withRuntime,
} from "./options.ts";
import { print, printJson } from "./terminal.ts";

interface BuildOptions extends CommonOptions, CalibrationOption {
  readonly targets?: readonly string[];
  readonly components?: readonly string[];
  readonly out: string;
}

export function buildCommand(): Command {
  const command = withCalibrationOption(new Command("build"))
    .description("Compile a model for targets, this machine's or others, into a pack. config.json is enough.")
    .argument("<model>", "model folder or hf:organisation/name")
    .option("--targets <names>", "targets, comma-separated; this machine's unless given", nameList)
    .option("--components <names>", `of ${MODALITIES.join(", ")}, comma-separated; all unless given`, nameList)
    .requiredOption("--out <folder>", "where the pack goes", nonEmpty("a folder"));
  return withCommonOptions(command)
    .addHelpText(
      "after",
      "\nExamples:\n  fovea build ./clip --targets wasm-simd128,wasm-relaxed --out pack\n  fovea embed ./clip photo.jpg --pack pack",
    )
    .action(build);
}

async function build(model: string, options: BuildOptions): Promise<void> {
  await withRuntime(options, async ({ runtime, progress }) => {
    const { targets, components, out } = options;
    const manifest = await runtime.buildPack(model, out, {
      ...weightOptions(options),
      ...(targets === undefined ? {} : { targets }),
      ...(components === undefined ? {} : { components: components as NonNullable<LoadOptions["components"]> }),
    });
    progress.stop();
    const bytes = Object.values(manifest.blobs).reduce((a, b) => a + b, 0);
    const built = [...new Set(manifest.entries.map((e) => e.target))];
    if (options.json === true) printJson({ pack: out, entries: manifest.entries.length, targets: built, bytes });
    else print(`${manifest.entries.length} artifacts for ${built.join(", ")}, ${bytesText(bytes)} in ${out}`);
  });
}
