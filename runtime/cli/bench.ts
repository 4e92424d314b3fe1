/** `fovea bench`: model time of one component. */
import { Command } from "commander";
import type { Modality } from "../abi/encoder.ts";
import { bytesText } from "../core/diagnostics.ts";
import { checkFinite } from "./compare.ts";
import { type ExampleInputs, exampleSizes, withExampleInputs } from "./example_inputs.ts";
import {
  type CalibrationOption,
  type CommonOptions,
  MODALITIES,
  nameList,
  type Opened,
  oneOf,
  weightOptions,
  wholeNumber,
  withCalibrationOption,
  withCommonOptions,
  withRuntime,
} from "./options.ts";
import { print, printJson } from "./terminal.ts";
import { type TraceOptions, traceFile, withTraceOption } from "./trace_file.ts";

interface BenchOptions extends CommonOptions, CalibrationOption, ExampleInputs, TraceOptions {
  readonly component?: string;
  readonly outputs?: readonly string[];
  readonly runs: number;
}

/** Runs that let caches fill and engines optimise. */
const WARM_UP = 2;

export function benchCommand(): Command {
  const command = withCalibrationOption(new Command("bench"))
    .description("Measure one component's model time on made-up inputs.")
    .argument("<model>", "model folder or hf:organisation/name; config.json is enough with --load-format dummy")
    .option("--component <name>", "vision, text or audio; the model's first unless given", oneOf(MODALITIES))
    .option("--outputs <names>", "results that are read back, comma-separated", nameList)
    .option("--runs <n>", "runs that are measured", wholeNumber(1), 20);
  return withCommonOptions(withTraceOption(withExampleInputs(command)))
    .addHelpText(
      "after",
      "\nExamples:\n  fovea bench ./clip --component vision --batch 4\n  fovea bench ./config-only --load-format dummy --threads 1 --json",
    )
    .action(bench);
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits));

/** The value below which a share of the sorted times lies. */
const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];

async function bench(model: string, options: BenchOptions): Promise<void> {
  const trace = await traceFile(options);
  const run = async ({ host, runtime, progress }: Opened): Promise<void> => {
    const { modalities } = await runtime.inspect(model);
    const modality = (options.component as Modality | undefined) ?? modalities[0];
    const encoder = await runtime.load(model, {
      components: [modality],
      loadFormat: options.loadFormat,
      ...weightOptions(options),
    });
    progress.stop();
    const tower = encoder.tower(modality);
    const inputs = tower.spec.example({ batch: options.batch, seed: 1, ...exampleSizes(tower.spec, options) });
    const { outputs } = options;
    const times: number[] = [];
    for (let run = -WARM_UP; run < options.runs; run++) {
      const result = await encoder.encode(inputs, outputs === undefined ? {} : { outputs });
      if (run >= 0) times.push(tower.stats.modelMs);
      else checkFinite(result as Readonly<Record<string, { readonly data: ArrayLike<number> }>>);
    }
    await trace.close();
    times.sort((a, b) => a - b);
    const median = quantile(times, 0.5);
    const { counters } = runtime.stats();
    const stats = encoder.stats();
    const result = {
      model,
      component: modality,
      runtime: host.name,
      device: runtime.device,
      target: runtime.target,
      dtype: [...new Set(Object.values(stats.dtypes))].join(", "),
      threads: runtime.threads,
      batch: options.batch,
      ms: { median: round(median, 3), min: round(times[0], 3), p95: round(quantile(times, 0.95), 3) },
      gflops: round(tower.stats.flops / median / 1e6, 2),
      planMs: round(tower.stats.planMs, 3),
      preprocessMs: round(stats.preprocessMs, 3),
      loadMs: round(stats.loadMs, 1),
      compileMs: round(counters.compileMs, 1),
      cacheHits: counters.cacheHits,
      weightBytes: stats.weightBytes,
      peakBytes: stats.device.peakBytes,
      segments: tower.stats.segments,
      crossedBytes: tower.stats.crossedBytes,
    };
    if (options.json === true) printJson(result);
    else {
      print(
        `${model} ${modality}, batch ${options.batch}, on ${result.runtime} (${result.device}, ${result.target}, ${result.threads} threads)`,
      );
      print(
        `model    ${result.ms.median} ms median, ${result.ms.min} min, ${result.ms.p95} p95 of ${options.runs} runs; ${result.gflops} GFLOP/s`,
      );
      print(
        `load     ${result.loadMs} ms; compiled ${counters.compiled} artifacts in ${result.compileMs} ms, ${result.cacheHits} from the cache`,
      );
      print(
        `memory   ${bytesText(result.weightBytes)} of weights (${result.dtype}), ${bytesText(result.peakBytes)} at most`,
      );
      if (result.segments.some((s) => s.device !== result.device)) {
        const parts = result.segments.map(({ device, calls }) => `${calls} on ${device}`);
        print(`devices  calls in turn: ${parts.join(", ")}; ${bytesText(result.crossedBytes)} carried between them`);
      }
    }
  };
  await withRuntime(options, run, trace.sink);
}
