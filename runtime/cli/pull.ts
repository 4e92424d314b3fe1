/** `fovea pull`: a model of the hub into a folder. */
import { Command } from "commander";
import type { Modality } from "../abi/encoder.ts";
import { bytesText, FoveaError } from "../core/diagnostics.ts";
import { detectHost } from "../host/mod.ts";
import { pullModel } from "../session.ts";
import { type HubOptions, hubSettings, MODALITIES, nameList, nonEmpty, withHubOptions } from "./options.ts";
import { table } from "./table.ts";
import { print, printJson, progressBar } from "./terminal.ts";

interface PullCommandOptions extends HubOptions {
  readonly components?: readonly string[];
  readonly to?: string;
  readonly cache?: string;
  readonly json?: boolean;
}

export function pullCommand(): Command {
  const command = new Command("pull")
    .description("Fetch a model of the Hugging Face hub: what its encoder reads, and of large files only those bytes.")
    .argument("<model>", "hf:organisation/name, or hf:organisation/name@revision")
    .option("--components <names>", "vision, text, audio: the towers to fetch; all unless given", nameList)
    .option("--to <folder>", "a folder of its own, which loads by its path", nonEmpty("a folder"))
    .option("--cache <folder>", "where pulled models are kept (also FOVEA_CACHE_DIR)", nonEmpty("a folder"))
    .option("--json", "print one JSON document on stdout and nothing else")
    .option("--verbose", "stack traces with errors");
  return withHubOptions(command)
    .addHelpText(
      "after",
      "\nExamples:\n  fovea pull hf:openai/clip-vit-base-patch32\n  fovea pull hf:Qwen/Qwen2.5-VL-7B-Instruct --components vision --to ./qwen-vision\n  fovea pull hf:google/siglip2-base-patch16-224@main --offline --json",
    )
    .action(pull);
}

async function pull(model: string, options: PullCommandOptions): Promise<void> {
  if (!model.startsWith("hf:")) {
    const meant = /^\w[\w.-]*\/[\w.-]+(@.+)?$/.test(model) ? `; write hf:${model}` : "";
    throw new FoveaError("bad_usage", `"${model}" is no model of the hub${meant || "; write hf:organisation/name"}.`);
  }
  const { components, to, cache } = options;
  const unknown = components?.find((name) => !MODALITIES.includes(name));
  if (unknown !== undefined) {
    throw new FoveaError("bad_usage", `There is no component "${unknown}"; known are ${MODALITIES.join(", ")}.`);
  }
  const progress = await progressBar(await detectHost(), options.json === true);
  try {
    const pulled = await pullModel(model, {
      hub: hubSettings(options),
      ...(components === undefined ? {} : { components: components as readonly Modality[] }),
      ...(to === undefined ? {} : { to }),
      ...(cache === undefined ? {} : { cache }),
      onProgress: progress.onProgress,
    });
    progress.stop();
    if (options.json === true) {
      printJson({ model, ...pulled });
      return;
    }
    print(
      table(
        ["file", "size"],
        pulled.files.map((f) => [f.name, bytesText(f.bytes)]),
      ),
    );
    const { commit, folder, modelType, bytes, fetchedBytes } = pulled;
    print(`${model} (${modelType}, ${pulled.components.join(", ")}) at commit ${commit.slice(0, 12)}`);
    print(`${bytesText(bytes)} in ${folder}, ${bytesText(fetchedBytes)} of it fetched now`);
  } finally {
    progress.stop();
  }
}
