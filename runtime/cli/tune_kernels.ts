/** `fovea tune kernels`: which of a device's targets runs a model fastest on this machine. */
import { Command } from "commander";
import { FoveaError } from "../core/diagnostics.ts";
import { median } from "../core/figures.ts";
import { keepMeasured, type LoadOptions, probeDevices } from "../session.ts";
import { type ExampleInputs, exampleSizes, withExampleInputs } from "./example_inputs.ts";
import {
  type CommonOptions,
  dtypeOption,
  MODALITIES,
  nameList,
  type Opened,
  oneOf,
  openRuntime,
  wholeNumber,
  withCommonOptions,
} from "./options.ts";
import { table } from "./table.ts";
import { print, printJson } from "./terminal.ts";

interface KernelsOptions extends CommonOptions, ExampleInputs {
  readonly component?: NonNullable<LoadOptions["components"]>[number];
  readonly targets?: readonly string[];
  readonly rounds: number;
  readonly keep: boolean;
}

const WARM_UP = 2;
/** A target that gains less is not worth another set of artifacts. */
const LEAST_GAIN = 1.02;

export function kernelsCommand(): Command {
  const command = new Command("kernels")
    .description("Time one tower on every target of the device, in turns, and keep the fastest for this machine.")
    .argument("<model>", "model folder; config.json is enough with --load-format dummy")
    .option("--component <name>", "vision, text or audio; the model's first unless given", oneOf(MODALITIES))
    .option("--targets <list>", "targets, comma-separated; all that this machine runs unless given", nameList)
    .option("--rounds <n>", "timed runs of each target, in turns", wholeNumber(3), 9)
    .option("--no-keep", "print only; runtimes go on as before");
  return withCommonOptions(withExampleInputs(command))
    .addHelpText(
      "after",
      "\nExamples:\n  fovea tune kernels ./clip --component vision\n  fovea tune kernels ./config-only --load-format dummy --no-keep --json",
    )
    .action(kernels);
}

interface Side {
  readonly target: string;
  readonly opened: Opened;
  /** Milliseconds of one run. */
  readonly run: () => Promise<number>;
  readonly times: number[];
}

async function openSide(model: string, target: string, options: KernelsOptions): Promise<Side> {
  const opened = await openRuntime({ ...options, target });
  try {
    const { component, loadFormat, batch } = options;
    const encoder = await opened.runtime.load(model, {
      loadFormat,
      ...dtypeOption(options),
      ...(component === undefined ? {} : { components: [component] }),
    });
    const [modality] = encoder.modalities;
    const tower = encoder.tower(modality);
    const inputs = tower.spec.example({ batch, seed: 1, ...exampleSizes(tower.spec, options) });
    const run = async (): Promise<number> => {
      await encoder.encode(inputs);
      return tower.stats.modelMs;
    };
    for (let i = 0; i < WARM_UP; i++) await run();
    return { target, opened, run, times: [] };
  } catch (error) {
    await opened.runtime.close();
    throw error;
  } finally {
    opened.progress.stop();
  }
}

async function kernels(model: string, options: KernelsOptions): Promise<void> {
  const kind = (options.device ?? "wasm").split(",")[0];
  const report = (await probeDevices()).find((d) => d.kind === kind);
  if (report === undefined || "unavailable" in report) {
    const why = report === undefined ? "no plugin brings it" : report.unavailable;
    throw new FoveaError("device_unavailable", `The device "${kind}" is not available: ${why}.`);
  }
  const sides: Side[] = [];
  const left: { readonly target: string; readonly problem: string }[] = [];
  try {
    // What runtimes use without a record of this machine is always timed: the others are compared with it.
    for (const target of new Set([report.target, ...(options.targets ?? report.targets)])) {
      try {
        sides.push(await openSide(model, target, { ...options, device: kind }));
      } catch (error) {
        // A target that was asked for by name must run.
        const skips = error instanceof FoveaError && error.code === "unsupported_target";
        if (!skips || options.targets !== undefined) throw error;
        left.push({ target, problem: error.message });
      }
    }
    for (let round = 0; round < options.rounds; round++) for (const side of sides) side.times.push(await side.run());
    await conclude(model, options, { sides, left, found: report.found, used: report.target, kind });
  } finally {
    for (const { opened } of sides) await opened.runtime.close();
  }
}

interface Measured {
  readonly sides: readonly Side[];
  readonly left: readonly { readonly target: string; readonly problem: string }[];
  /** By the probe, and in use without a record of this machine. */
  readonly found: string;
  readonly used: string;
  readonly kind: string;
}

async function conclude(model: string, options: KernelsOptions, measured: Measured): Promise<void> {
  const { sides, left, found, used, kind } = measured;
  const [{ opened }] = sides;
  const { host } = opened;
  const times = sides.map(({ target, times: own }) => ({ target, ms: median(own), min: Math.min(...own) }));
  const own = times.find((t) => t.target === used) ?? times[0];
  const best = times.reduce((a, b) => (b.ms < a.ms ? b : a));
  const winner = own.ms / best.ms >= LEAST_GAIN ? best : own;
  const gain = own.ms / winner.ms;
  const cache = options.cache ?? host.defaultCacheDir() ?? false;
  const keeps = options.keep && cache !== false;
  if (keeps)
    await keepMeasured(cache, { device: kind, engine: host.engine, found, target: winner.target, model, gain });
  const { threads } = opened.runtime;
  if (options.json === true) {
    const result = { model, runtime: host.name, engine: host.engine, device: kind, threads, found };
    printJson({ ...result, targets: times, left, recommended: winner.target, gain, kept: keeps ? cache : null });
    return;
  }
  print(`${model} on ${host.name} (${host.engine}), ${threads} threads, ${options.rounds} rounds in turns\n`);
  const rows = times.map((t) => [t.target, t.ms.toFixed(2), t.min.toFixed(2), (own.ms / t.ms).toFixed(2)]);
  print(table(["target", "ms", "min", `times ${own.target}`], rows));
  for (const { target, problem } of left) print(`\n${target} was left out: ${problem}`);
  const over =
    winner === own
      ? "which is used anyway"
      : `${gain.toFixed(2)} times as fast as ${own.target}, which is used otherwise`;
  print(`\nfastest: ${winner.target}, ${over}.`);
  print(
    keeps
      ? `Kept in ${cache}: runtimes with this cache and no target of their own use it from now on.`
      : "Nothing was kept; `--target` or `target` pins one.",
  );
}
