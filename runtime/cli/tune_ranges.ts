/** `fovea tune ranges`: compile ranges learnt from recorded sizes. */
import { Command } from "commander";
import { FoveaError } from "../core/diagnostics.ts";
import { readSizes } from "../session/tune_ranges.ts";
import type { TunedComponent } from "../session.ts";
import { type CommonOptions, nonEmpty, wholeNumber, withCommonOptions, withRuntime } from "./options.ts";
import { table } from "./table.ts";
import { print, printJson, say } from "./terminal.ts";

interface TuneRangesCommandOptions extends CommonOptions {
  readonly fromTrace: string;
  readonly budget?: number;
  readonly measure?: boolean;
  readonly out?: string;
}

export function rangesCommand(): Command {
  const command = new Command("ranges")
    .description("Learn each component's compile ranges from recorded sizes; write them as a configuration.")
    .argument("<model>", "model folder; config.json is enough")
    .requiredOption(
      "--from-trace <file>",
      "sizes as JSON lines, as `fovea embed --record` and `onSizes` give them",
      nonEmpty("a file"),
    )
    .option("--budget <n>", "most artifacts of a component; its maxArtifacts unless given", wholeNumber(1))
    .option("--measure", "compile both divisions and run the sizes that take the most time with each, in turns")
    .option("--out <file>", "write the configuration there, such as fovea.config.json; it is printed otherwise");
  return withCommonOptions(command)
    .addHelpText(
      "after",
      "\nExamples:\n  fovea embed ./clip --text 'a cat' --record sizes.jsonl\n  fovea tune ranges ./clip --from-trace sizes.jsonl --measure --out fovea.config.json",
    )
    .action(tuneRangesOf);
}

/** The configuration that makes components use what was learnt. */
export function configOf(tuned: readonly TunedComponent[]): object {
  const own = tuned.map(({ tag, ranges, artifacts }) => [tag, { ranges, maxArtifacts: artifacts.tuned }]);
  return { compile: { components: Object.fromEntries(own) } };
}

async function tuneRangesOf(model: string, options: TuneRangesCommandOptions): Promise<void> {
  if (options.out !== undefined && !options.out.endsWith(".json")) {
    throw new FoveaError("bad_usage", `--out ${options.out} must end in .json, such as fovea.config.json.`);
  }
  await withRuntime(options, async ({ host, runtime, progress }) => {
    const lines = new TextDecoder().decode(await host.readFile(options.fromTrace));
    const sizes = readSizes(lines, options.fromTrace);
    const tuned = await runtime.tuneRanges(model, sizes, {
      ...(options.budget === undefined ? {} : { budget: options.budget }),
      ...(options.measure === undefined ? {} : { measure: options.measure }),
    });
    progress.stop();
    const config = configOf(tuned);
    if (options.out !== undefined) {
      await host.writeFileAtomic(options.out, new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`));
    }
    if (options.json === true) {
      const { device, target } = runtime;
      printJson({ model, runtime: host.name, device, target, components: tuned, config });
      return;
    }
    print(comparison(tuned));
    if (options.out === undefined) print(`\n${JSON.stringify(config, null, 2)}`);
    else say(`wrote ${options.out}`);
  });
}

/** Milliseconds now and tuned, and what is saved. */
function figures({ now, tuned }: TunedComponent["seconds"]): readonly string[] {
  const saved = now === 0 ? 0 : 1 - tuned / now;
  return [...[now, tuned].map((seconds) => (seconds * 1000).toPrecision(4)), `${(100 * saved).toFixed(1)} %`];
}

function comparison(tuned: readonly TunedComponent[]): string {
  const isMeasured = tuned.some((t) => t.measured !== undefined);
  const head = [
    ...["component", "calls", "outside", "artifacts", "tuned", "expected ms", "tuned", "saved"],
    ...(isMeasured ? ["measured calls", "ms", "tuned", "saved"] : []),
  ];
  const rows = tuned.map(({ tag, calls, outside, artifacts, seconds, measured }) => {
    const own = [tag, calls, outside, artifacts.now, artifacts.tuned].map(String);
    const ran = measured === undefined ? ["0", "", "", ""] : [String(measured.calls), ...figures(measured.seconds)];
    return [...own, ...figures(seconds), ...(isMeasured ? ran : [])];
  });
  return table(head, rows);
}
