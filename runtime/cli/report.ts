/** `fovea report`: one file for a bug report. No weights, inputs or paths are in it. */
import { Command } from "commander";
import { VERSION } from "../core/version.ts";
import type { RangeSlot } from "../session/artifacts/ready_component.ts";
import { explanations } from "../session/explain/explain.ts";
import { explainInFull, type RangeDetails } from "../session/explain/explain_range.ts";
import { redact } from "../session/explain/redact.ts";
import { type PreparedModel, tracedModel } from "../session/models/prepared_model.ts";
import { probeDevices } from "../session.ts";
import { environmentOf } from "./environment.ts";
import { type CommonOptions, dtypeOption, nonEmpty, type Opened, withCommonOptions, withRuntime } from "./options.ts";
import { print, printJson, say } from "./terminal.ts";

interface ReportOptions extends CommonOptions {
  readonly out?: string;
}

export function reportCommand(): Command {
  const command = new Command("report")
    .description(
      "Write one JSON file for a bug report: versions, devices, settings, graphs, kernels and refusals; no weights, inputs or paths.",
    )
    .argument("<model>", "model folder, or hf:organisation/name, or an https address; config.json is enough")
    .option("--out <file>", "where to write it; stdout unless given", nonEmpty("a file"));
  return withCommonOptions(command)
    .addHelpText("after", "\nExamples:\n  fovea report ./clip --out report.json")
    .action(report);
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Everything about a model's ranges; what fails is told in its place. */
async function modelReport(prepared: PreparedModel): Promise<object> {
  const model = tracedModel(prepared);
  const known = new Map<RangeSlot, RangeDetails>();
  const problems: string[] = [];
  for (const { components } of model.towers.values()) {
    for (const { slots, spec } of components.values()) {
      for (const slot of slots) {
        try {
          known.set(slot, await explainInFull(slot));
        } catch (error) {
          problems.push(`${spec.tag}: ${messageOf(error)}`);
        }
      }
    }
  }
  const components = explanations(model.towers, (slot) => known.get(slot)).map((component) => ({
    ...component,
    ranges: component.ranges.map(({ details, ...range }) => {
      if (details === undefined) return range;
      const { code: _code, nodes: _nodes, ...rest } = details;
      return { ...range, ...rest };
    }),
  }));
  return { modelType: model.modelType, components, problems };
}

async function report(source: string, options: ReportOptions): Promise<void> {
  await withRuntime(options, async ({ host, runtime, progress }: Opened) => {
    const model = await runtime
      .prepare(source, { compile: false, ...dtypeOption(options) })
      .then(modelReport)
      .catch((error: unknown) => ({ problems: [messageOf(error)] }));
    progress.stop();
    const { counters, quarantined, uncompiled, recompiles } = runtime.stats();
    const { name, version, engine, cores } = host;
    const found = {
      fovea: VERSION,
      runtime: { name, version, engine, cores },
      device: { kind: runtime.device, target: runtime.target, threads: runtime.threads },
      devices: await probeDevices(),
      environment: environmentOf(host),
      model,
      stats: { counters, quarantined, uncompiled, recompiles },
    };
    const hidden = [source, host.defaultCacheDir() ?? "", typeof options.cache === "string" ? options.cache : ""];
    const text = `${JSON.stringify(redact(found, hidden), undefined, 2)}\n`;
    if (options.out === undefined) return print(text);
    await host.writeFileAtomic(options.out, new TextEncoder().encode(text));
    if (options.json === true) return printJson({ model: source, runtime: name, out: options.out });
    say(`wrote ${options.out}; read it before you publish it`);
  });
}
