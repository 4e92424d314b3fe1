/** `fovea explain`: what a model compiles to. */
import { Command } from "commander";
import { explainBreaks } from "./explain_breaks.ts";
import { type CommonOptions, withCommonOptions, withRuntime } from "./options.ts";
import { print, printJson } from "./terminal.ts";

interface ExplainOptions extends CommonOptions {
  readonly breaks?: boolean;
}

export function explainCommand(): Command {
  const command = new Command("explain")
    .description("Show components, ranges, artifacts and kernels of a model; config.json is enough.")
    .argument(
      "<model>",
      "model folder, or hf:organisation/name, or an https address; with --breaks also a plugin's module",
    )
    .option("--breaks", "list instead what in the components' graphs cannot be traced, with the lines; exit 1 for any");
  return withCommonOptions(command)
    .addHelpText("after", "\nExamples:\n  fovea explain ./clip\n  fovea explain --breaks ./my_plugin.js")
    .action(explain);
}

async function explain(source: string, options: ExplainOptions): Promise<void> {
  if (options.breaks === true) return explainBreaks(source, options.json === true);
  await withRuntime(options, async ({ runtime, progress }) => {
    const encoder = await runtime.load(source, { loadFormat: "dummy" });
    progress.stop();
    if (options.json === true) printJson({ model: source, text: encoder.explain() });
    else print(encoder.explain().trimEnd());
  });
}
