/** `fovea explain`: what a model compiles to, from its configuration alone. */
import { Command, Option } from "commander";
import { FoveaError } from "../core/diagnostics.ts";
import { VERSION } from "../core/version.ts";
import type { RangeSlot } from "../session/artifacts/ready_component.ts";
import { type ComponentExplanation, type DetailsOf, explainEncoder, explanations } from "../session/explain/explain.ts";
import { explainInFull, type RangeDetails, STAGES, type Stage } from "../session/explain/explain_range.ts";
import { explainProgram, type ProgramExplanation, programText } from "../session/explain/program_stage.ts";
import { type TracedModel, tracedModel } from "../session/models/prepared_model.ts";
import type { PreparedTower } from "../session/towers/tower.ts";
import { type ExampleInputs, knownSizes, withExampleInputs } from "./example_inputs.ts";
import { explainBreaks } from "./explain_breaks.ts";
import { numericsOf, numericsText } from "./explain_numerics.ts";
import { isNamed, noSuchComponent } from "./named_components.ts";
import {
  type CalibrationOption,
  type CommonOptions,
  nonEmpty,
  type Opened,
  oneOf,
  weightOptions,
  withCalibrationOption,
  withCommonOptions,
  withRuntime,
} from "./options.ts";
import { table } from "./table.ts";
import { print, printJson, say } from "./terminal.ts";

interface ExplainOptions extends CommonOptions, CalibrationOption, ExampleInputs {
  readonly numerics?: boolean;
  readonly breaks?: boolean;
  readonly component?: string;
  readonly stage?: Stage | "program";
  readonly html?: string;
}

const CONFIG: Option = new Option(
  "--config [file]",
  "print each component's settings and where they came from instead; with a file, of that configuration file",
);

export function explainCommand(): Command {
  const command = withCalibrationOption(new Command("explain"))
    .description(
      "Show what a model compiles to: components, ranges, kernels and those not taken; config.json is enough.",
    )
    .usage("[options] <model>")
    // Asked for below, where it is known what took it.
    .argument(
      "[model]",
      "model folder, or hf:organisation/name, or an https address; with --breaks also a plugin's module",
    )
    .option("--breaks", "list instead what in the components' graphs cannot be traced, with the lines; exit 1 for any")
    .option(
      "--component <name>",
      "vision, text, audio, or tags such as 'clip/vision.*'; all unless given",
      nonEmpty("a name"),
    )
    .option(
      "--stage <stage>",
      `print one stage's text: ${STAGES.join(", ")}, or program for the arena of one geometry`,
      oneOf([...STAGES, "program"]),
    )
    .option("--numerics", "measure instead what the types of weights cost in precision, by layer; reads the weights")
    .option("--html <file>", "write a page with graphs, sizes and generated code", nonEmpty("a file"));
  return withCommonOptions(withExampleInputs(command), CONFIG)
    .addHelpText(
      "after",
      "\nExamples:\n  fovea explain ./clip --component vision\n  fovea explain ./clip --html clip.html\n  fovea explain ./clip --stage claimed --component clip/vision.block\n  fovea explain ./clip --config\n  fovea explain ./clip --numerics --dtype int8\n  fovea explain ./clip --component 'clip/*.block' --json\n  fovea explain --breaks ./my_plugin.js",
    )
    .action(explain);
}

async function explain(source: string | undefined, options: ExplainOptions, command: Command): Promise<void> {
  if (source === undefined) {
    const took = typeof options.config === "string" ? `: --config took "${options.config}" as its file` : "";
    const remedy = took === "" ? "" : "; put the model before --config, or another option between them";
    return command.error(`error: missing required argument 'model'${took}${remedy}`);
  }
  const settingsAlone = options.config !== undefined;
  if (options.breaks === true) {
    // A file's plugins are used; alone, --config asks for other output.
    if (options.config === true || options.numerics === true || (options.stage ?? options.html) !== undefined) {
      throw new FoveaError(
        "bad_usage",
        "--breaks prints trace breaks and nothing else; leave out --numerics, --stage, --html, and --config without a file.",
      );
    }
    return explainBreaks(source, options);
  }
  if (options.numerics === true && (settingsAlone || (options.stage ?? options.html) !== undefined)) {
    throw new FoveaError("bad_usage", "--numerics prints a table of its own; leave out --config, --stage and --html.");
  }
  if (settingsAlone && (options.stage ?? options.html) !== undefined) {
    throw new FoveaError(
      "bad_usage",
      "--config prints settings and compiles nothing; leave it out for --stage and --html (a fovea.config file of the working directory is read all the same).",
    );
  }
  await withRuntime(options, async (opened) => {
    const { host, runtime, progress } = opened;
    const prepared = await runtime.prepare(source, { compile: false, ...weightOptions(options) });
    const model = chosen(tracedModel(prepared), options.component);
    if (options.stage === "program") checkWhole(model, options.component);
    if (options.numerics === true) {
      const reports = await numericsOf(runtime, source, model, options);
      progress.stop();
      return options.json === true ? printJson({ model: source, towers: reports }) : print(numericsText(reports));
    }
    const { modelType, towers } = model;
    const known = settingsAlone ? new Map<RangeSlot, RangeDetails>() : await examineAll(model);
    const detailsOf: DetailsOf = (slot) => known.get(slot);
    const programs = options.stage === "program" || options.html !== undefined ? await programsOf(model, options) : [];
    progress.stop();
    const components = explanations(towers, detailsOf);
    if (options.html !== undefined) {
      await writePage(options.html, nameOf(source), modelType, components, programs, opened);
      if (options.json !== true && options.stage === undefined) return say(`wrote ${options.html}`);
    }
    if (options.json === true) {
      const { device, target } = runtime;
      const about = { model: source, modelType, runtime: host.name, device, target };
      const shown = components.map((c) => componentData(c, options.stage));
      printJson({ ...about, components: shown, ...(options.stage === "program" ? { programs } : {}) });
    } else if (settingsAlone) print(settingsText(model));
    else if (options.stage === "program") print(programs.map((p) => `${p.name} ${programText(p.program)}`).join("\n"));
    else if (options.stage !== undefined) print(stageText(components, options.stage));
    else print(explainEncoder(modelType, towers, detailsOf));
  });
}

/** Last part of a path or an address: what a page may name. */
const nameOf = (source: string): string =>
  source
    .replace(/[/\\]+$/, "")
    .split(/[/\\]/)
    .at(-1) || "model";

/** The towers and components that were named. @throws FoveaError `bad_usage` that lists what there is */
function chosen(model: TracedModel, name: string | undefined): TracedModel {
  if (name === undefined) return model;
  const kept = [...model.towers].map(([modality, tower]) => {
    const components = [...tower.components].filter(([tag]) => isNamed(name, modality, tag));
    return [modality, { ...tower, components: new Map(components) }] as const;
  });
  const towers = new Map(kept.filter(([, tower]) => tower.components.size > 0));
  if (towers.size > 0) return { ...model, towers };
  const tags = [...model.towers.values()].flatMap((t) => [...t.components.keys()]);
  throw noSuchComponent(`This ${model.modelType} model`, name, [...model.towers.keys()], tags);
}

/** Compiles what is shown beside the cache, with everything about it. */
async function examineAll({ towers }: TracedModel): Promise<ReadonlyMap<RangeSlot, RangeDetails>> {
  const known = new Map<RangeSlot, RangeDetails>();
  for (const { components } of towers.values()) {
    for (const { slots } of components.values()) {
      for (const slot of slots) known.set(slot, await explainInFull(slot));
    }
  }
  return known;
}

interface NamedProgram {
  readonly name: string;
  readonly program: ProgramExplanation;
}

/** A program is of a whole tower. @throws FoveaError `bad_usage` that names the towers of the parts that were asked for */
function checkWhole({ towers }: TracedModel, name = ""): void {
  const parts = [...towers].filter(([, tower]) => !isWhole(tower)).map(([modality]) => modality);
  if (parts.length === 0) return;
  const whole = parts.map((modality) => `--component ${modality}`).join(" or ");
  throw new FoveaError(
    "bad_usage",
    `--stage program shows the arena of a whole tower, and "${name}" is a part of ${parts.join(" and ")}; give ${whole}.`,
  );
}

const isWhole = ({ components, spec }: PreparedTower): boolean => components.size === spec.components.length;

/** One geometry of every tower that is shown whole. */
async function programsOf({ towers }: TracedModel, options: ExplainOptions): Promise<readonly NamedProgram[]> {
  const programs: NamedProgram[] = [];
  for (const [name, tower] of towers) {
    if (!isWhole(tower)) continue;
    const example = tower.spec.example({ batch: options.batch, seed: 1, ...knownSizes(tower.spec, options) });
    programs.push({ name, program: await explainProgram(tower, example) });
  }
  return programs;
}

async function writePage(
  file: string,
  title: string,
  modelType: string,
  components: readonly ComponentExplanation[],
  programs: readonly NamedProgram[],
  { host, runtime }: Opened,
): Promise<void> {
  const { explainPage } = await import("../explain/page.ts");
  const page = await explainPage({
    title,
    modelType,
    place: `${host.name}, ${runtime.device} (${runtime.target})`,
    version: VERSION,
    components,
    programs,
    describe: (device, code) => runtime.describeCode(device, code),
  });
  await host.writeFileAtomic(file, new TextEncoder().encode(page));
}

/** A component without code and, unless one was asked for, without the stages' texts. */
function componentData(component: ComponentExplanation, stage: ExplainOptions["stage"]): object {
  const ranges = component.ranges.map(({ details, ...range }) => {
    if (details === undefined) return range;
    const { code: _code, stages, ...rest } = details;
    return { ...range, ...rest, ...(stage === undefined || stage === "program" ? {} : { [stage]: stages[stage] }) };
  });
  return { ...component, ranges };
}

function stageText(components: readonly ComponentExplanation[], stage: Stage): string {
  return components
    .flatMap(({ tag, ranges }) =>
      ranges.map(({ range, details }) => `== ${tag}, ${range}: ${stage}\n${details?.stages[stage] ?? "lazy"}`),
    )
    .join("\n");
}

function settingsText({ towers }: TracedModel): string {
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
