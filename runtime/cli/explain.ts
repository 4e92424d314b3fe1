/** `fovea explain`: what a model compiles to, from its configuration alone. */
import { Command, Option } from "commander";
import { FoveaError } from "../core/diagnostics.ts";
import { didYouMean } from "../session/check.ts";
import { explainEncoder, explanations } from "../session/explain.ts";
import { tagMatches } from "../session/settings.ts";
import type { PreparedModel } from "../session.ts";
import { explainBreaks } from "./explain_breaks.ts";
import { type CommonOptions, dtypeOption, nonEmpty, withCommonOptions, withRuntime } from "./options.ts";
import { table } from "./table.ts";
import { print, printJson } from "./terminal.ts";

interface ExplainOptions extends CommonOptions {
  readonly component?: string;
  readonly breaks?: boolean;
}

const CONFIG: Option = new Option(
  "--config [file]",
  "print each component's settings and where they came from instead; with a file, of that configuration file",
);

export function explainCommand(): Command {
  const command = new Command("explain")
    .description("Show components, ranges, artifacts and kernels of a model; config.json is enough.")
    .argument(
      "<model>",
      "model folder, or hf:organisation/name, or an https address; with --breaks also a plugin's module",
    )
    .option("--breaks", "list instead what in the components' graphs cannot be traced, with the lines; exit 1 for any")
    .option(
      "--component <name>",
      "vision, text, audio, or tags such as 'clip/vision.*'; all unless given",
      nonEmpty("a name"),
    );
  return withCommonOptions(command, CONFIG)
    .addHelpText(
      "after",
      "\nExamples:\n  fovea explain ./clip --component vision\n  fovea explain ./clip --config\n  fovea explain ./clip --component 'clip/*.block' --json\n  fovea explain --breaks ./my_plugin.js",
    )
    .action(explain);
}

async function explain(source: string, options: ExplainOptions): Promise<void> {
  if (options.breaks === true) return explainBreaks(source, options.json === true);
  const settingsAlone = options.config !== undefined;
  await withRuntime(options, async ({ host, runtime, progress }) => {
    const model = chosen(
      await runtime.prepare(source, {
        compile: false,
        ...dtypeOption(options),
      }),
      options.component,
    );
    const { modelType, towers } = model;
    if (!settingsAlone) await compileAll(model);
    progress.stop();
    if (options.json === true) {
      const { device, target } = runtime;
      printJson({ model: source, modelType, runtime: host.name, device, target, components: explanations(towers) });
    } else if (settingsAlone) print(settingsText(model));
    else print(explainEncoder(modelType, towers));
  });
}

/** The towers and components that were named. @throws FoveaError `bad_usage` that lists what there is */
function chosen(model: PreparedModel, name: string | undefined): PreparedModel {
  if (name === undefined) return model;
  const kept = [...model.towers].map(([modality, tower]) => {
    const components = [...tower.components].filter(([tag]) => modality === name || tagMatches(name, tag));
    return [modality, { ...tower, components: new Map(components) }] as const;
  });
  const towers = new Map(kept.filter(([, tower]) => tower.components.size > 0));
  if (towers.size > 0) return { ...model, towers };
  const tags = [...model.towers.values()].flatMap((t) => [...t.components.keys()]);
  const names = [...model.towers.keys(), ...tags];
  throw new FoveaError(
    "bad_usage",
    `This ${model.modelType} model has no component "${name}"; it has ${names.join(", ")}.${didYouMean(name, names)}`,
  );
}

/** Compiles, or takes from the cache, what is shown. */
async function compileAll({ towers }: PreparedModel): Promise<void> {
  for (const { components } of towers.values()) {
    for (const { slots } of components.values()) {
      for (const slot of slots) await slot.obtain({ cause: "load" });
    }
  }
}

function settingsText({ towers }: PreparedModel): string {
  return explanations(towers)
    .map(({ tag, settings }) => {
      const rows = Object.entries(settings).map(([name, { value, from }]) => [
        `  ${name}`,
        JSON.stringify(value),
        from,
      ]);
      return `${tag}\n${table(["  setting", "value", "from"], rows)}`;
    })
    .join("\n\n");
}
