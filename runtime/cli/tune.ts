/** `fovea tune`: what to choose, measured or predicted. One sub-command for each choice. */
import { Command, InvalidArgumentError } from "commander";
import { bytesText } from "../core/diagnostics.ts";
import type { CutReport, Granularity, LoadOptions } from "../session.ts";
import { type ExampleInputs, exampleSizes, withExampleInputs } from "./example_inputs.ts";
import {
  type CommonOptions,
  dtypeOption,
  MODALITIES,
  nameList,
  oneOf,
  wholeNumber,
  withCommonOptions,
  withRuntime,
} from "./options.ts";
import { table } from "./table.ts";
import { print, printJson } from "./terminal.ts";
import { calibrationCommand } from "./tune_calibration.ts";
import { kernelsCommand } from "./tune_kernels.ts";
import { rangesCommand } from "./tune_ranges.ts";

interface GranularityCommandOptions extends CommonOptions, ExampleInputs {
  readonly component?: NonNullable<LoadOptions["components"]>[number];
  readonly cuts?: readonly Granularity[];
  readonly runs: number;
}

function cutList(text: string): readonly Granularity[] {
  return nameList(text).map((name): Granularity => {
    if (name === "op" || name === "block" || name === "tower") return name;
    if (/^\d+$/.test(name) && Number(name) >= 2) return Number(name);
    throw new InvalidArgumentError("Expected op, block, tower and numbers of blocks from 2 on, separated by commas.");
  });
}

function granularityCommand(): Command {
  const command = new Command("granularity")
    .description("Measure one tower cut into components of several sizes, and recommend one.")
    .argument("<model>", "model folder; config.json is enough with --load-format dummy")
    .option("--component <name>", "vision, text or audio; the model's first unless given", oneOf(MODALITIES))
    .option(
      "--cuts <list>",
      "op, block, tower and numbers of blocks, comma-separated; op,block,2,4,tower unless given",
      cutList,
    )
    .option("--runs <n>", "runs of each cut, in turns", wholeNumber(1), 10);
  return withCommonOptions(withExampleInputs(command))
    .addHelpText(
      "after",
      "\nExamples:\n  fovea tune granularity ./clip --component vision\n  fovea tune granularity ./config-only --load-format dummy --cuts block,3,tower --json",
    )
    .action(granularity);
}

export function tuneCommand(): Command {
  return new Command("tune")
    .description("Find out how a model is best compiled.")
    .addCommand(granularityCommand())
    .addCommand(rangesCommand())
    .addCommand(kernelsCommand())
    .addCommand(calibrationCommand());
}

async function granularity(model: string, options: GranularityCommandOptions): Promise<void> {
  // What another run compiled would count as free.
  await withRuntime({ ...options, cache: false }, async ({ host, runtime, progress }) => {
    const { component, cuts, runs, batch, loadFormat } = options;
    const { towers } = await runtime.prepare(model, {
      compile: false,
      ...(component === undefined ? {} : { components: [component] }),
    });
    const [[modality, { spec }]] = towers;
    const report = await runtime.tuneGranularity(model, {
      component: modality,
      loadFormat,
      ...dtypeOption(options),
      runs,
      example: { batch, ...exampleSizes(spec, options) },
      ...(cuts === undefined ? {} : { cuts }),
    });
    progress.stop();
    const { device, target, threads } = runtime;
    if (options.json === true) {
      printJson({ model, runtime: host.name, device, target, threads, batch, ...report });
      return;
    }
    print(`${model} ${modality}, batch ${batch}, on ${host.name} (${device}, ${target}, ${threads} threads)\n`);
    print(cutTable(report.cuts));
    for (const cut of report.cuts) if ("problem" in cut) print(`\n${cut.cut} is not possible: ${cut.problem}`);
    print(`\nrecommended: ${report.recommended}. ${report.why}\n${report.how}`);
    if (report.config.compile !== undefined) print(`\n${JSON.stringify(report.config, undefined, 2)}`);
  });
}

function cutTable(cuts: readonly CutReport[]): string {
  const head = [
    "cut",
    "ms",
    "min",
    "ratio",
    "compile ms",
    "artifacts",
    "their size",
    "steps",
    "weights",
    "arena",
    "peak",
  ];
  const rows = cuts.flatMap((c) => {
    if ("problem" in c) return [];
    const numbers = [c.ms.median, c.ms.min, c.ratio, c.compileMs].map((n) => n.toFixed(2));
    const sizes = [c.weightBytes, c.arenaBytes, c.peakBytes].map(bytesText);
    return [[c.cut, ...numbers, String(c.artifacts), bytesText(c.artifactBytes), String(c.steps), ...sizes]];
  });
  return table(head, rows);
}
