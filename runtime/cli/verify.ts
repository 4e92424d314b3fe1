/** `fovea verify`: a model folder against its reference outputs. */
import { Command, InvalidArgumentError } from "commander";
import type { Modality, Tensor } from "../abi/encoder.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { openMediaProcessor, pullModel } from "../session.ts";
import { type Comparison, compare, type Limits } from "./compare.ts";
import {
  type CalibrationOption,
  type CommonOptions,
  dtypeOption,
  hubSettings,
  MODALITIES,
  type Opened,
  oneOf,
  weightOptions,
  withCalibrationOption,
  withCommonOptions,
  withRuntime,
} from "./options.ts";
import { table } from "./table.ts";
import { print, printJson, setExitCode } from "./terminal.ts";
import { type Case, findCases, findProcessorCases, isProcessorFolder, isReference } from "./verify_cases.ts";

interface VerifyOptions extends CommonOptions, CalibrationOption {
  readonly component?: Modality;
  readonly tolerance?: number;
}

interface CaseResult {
  readonly case: string;
  readonly outputs: Readonly<Record<string, Comparison>>;
}

/** Float32 arithmetic in another order: five times the reference's own noise floor. */
const F32_TOLERANCE = 2e-5;

/** Numbers of f16 in between, on devices that keep values so. */
const HALF_TOLERANCE = 2e-2;
const HALF_COSINE = 0.9999;

/** One step of 8-bit pixels is this share of the range before it is divided by the processor's std. */
const PIXEL_STEP = 1 / 255;
const PIXEL_MEAN = 0.002;
/** In units of log-mel features, which lie between about -1 and 1.5. */
const LOG_MEL_WORST = 1e-3;

export function verifyCommand(): Command {
  const command = new Command("verify")
    .description("Compare a model's results with the reference outputs beside it.")
    .argument(
      "<model>",
      "model folder or hf:organisation/name with case-*.safetensors, or reference.safetensors beside images/",
    )
    .option("--component <name>", "vision, text or audio alone", oneOf(MODALITIES))
    .option("--tolerance <x>", "largest difference that passes, in standard deviations of the reference", tolerance);
  return withCommonOptions(withCalibrationOption(command))
    .addHelpText("after", "\nExamples:\n  fovea verify ./clip\n  fovea verify ./clip --device reference --json")
    .action(verify);
}

function tolerance(text: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!(value >= 0)) throw new InvalidArgumentError("Expected a number of at least 0, such as 2e-5.");
  return value;
}

async function verify(model: string, options: VerifyOptions): Promise<void> {
  await withRuntime(options, async (opened) => {
    const { host, runtime, progress } = opened;
    const folder = model.startsWith("hf:") ? await pulledFolder(model, options, opened) : model;
    const cases = (await isProcessorFolder(host, folder))
      ? await verifyProcessor(opened, folder)
      : await verifyModel(opened, folder, options);
    progress.stop();
    const failed = cases.filter((c) => Object.values(c.outputs).some((o) => !o.pass)).length;
    if (options.json === true) {
      const { device, target } = runtime;
      const passed = cases.length - failed;
      printJson({ model, runtime: host.name, device, target, ...dtypeOption(options), cases, passed, failed });
    } else {
      print(report(cases));
      print(`${cases.length - failed} passed, ${failed} failed (${runtime.device}, ${runtime.target}, ${host.name})`);
    }
    if (failed > 0) setExitCode(1);
  });
}

/** A model of the hub as a folder, with what lies beside it to be verified against. */
async function pulledFolder(model: string, options: VerifyOptions, { progress }: Opened): Promise<string> {
  const { folder } = await pullModel(model, {
    hub: hubSettings(options),
    ...(typeof options.cache === "string" ? { cache: options.cache } : {}),
    ...(options.component === undefined ? {} : { components: [options.component] }),
    refresh: false,
    also: isReference,
    onProgress: progress.onProgress,
  });
  return folder;
}

async function verifyModel(
  { host, runtime }: Opened,
  folder: string,
  options: VerifyOptions,
): Promise<readonly CaseResult[]> {
  const all = await findCases(host, folder);
  const cases = options.component === undefined ? all : all.filter((c) => c.modality === options.component);
  if (cases.length === 0) {
    const found = [...new Set(all.map((c) => c.modality))].join(" and ");
    throw new FoveaError(
      "no_cases",
      `${folder} holds no ${options.component} cases, so there is nothing to verify; its cases are of ${found}.`,
    );
  }
  const components = [...new Set(cases.map((c) => c.modality))];
  const encoder = await runtime.load(folder, { components, ...weightOptions(options) });
  const results: CaseResult[] = [];
  try {
    for (const one of cases) {
      const outputs = Object.keys(one.expected);
      const found = (await encoder.encode(one.inputs, { outputs })) as Readonly<Record<string, Tensor>>;
      const isHalf = runtime.device === "webgpu" && options.dtype === "f16";
      const least = isHalf ? HALF_TOLERANCE : F32_TOLERANCE;
      const limits: Limits = {
        tolerance: options.tolerance ?? Math.max(least, one.tolerance ?? 0),
        ...(isHalf ? { cosine: HALF_COSINE } : {}),
      };
      results.push({
        case: one.name,
        outputs: Object.fromEntries(
          outputs.map((n) => [n, compare(n, found[n], one.expected[n], limits, rowFilter(one, n))]),
        ),
      });
    }
  } finally {
    encoder.close();
  }
  return results;
}

/** Hidden tokens hold whatever the model made of them: only rows of visible ones count. */
function rowFilter({ mask, expected }: Case, name: string): ((row: number) => boolean) | undefined {
  const { shape } = expected[name];
  if (mask === undefined || shape.length !== 3 || shape[0] * shape[1] !== mask.data.length) return undefined;
  return (row) => mask.data[row] !== 0;
}

async function verifyProcessor({ host }: Opened, folder: string): Promise<readonly CaseResult[]> {
  const { kind, run, std } = await openMediaProcessor(folder);
  const results: CaseResult[] = [];
  for (const one of await findProcessorCases(host, folder)) {
    const found = await run(one.file);
    const outputs: Record<string, Comparison> = {};
    for (const [name, expected] of Object.entries(one.expected)) {
      const c = compare(name, found[name], expected, { tolerance: Number.POSITIVE_INFINITY });
      const worst = kind === "audio" ? LOG_MEL_WORST : PIXEL_STEP / Math.min(...std);
      const mean = meanDifference(found[name], expected);
      const pass = c.maxAbs <= worst && (kind === "audio" || mean <= PIXEL_MEAN);
      outputs[name] = { ...c, tolerance: worst, pass };
    }
    results.push({ case: one.name, outputs });
  }
  return results;
}

function meanDifference(found: Tensor, expected: Tensor): number {
  let sum = 0;
  for (let i = 0; i < expected.data.length; i++) sum += Math.abs(found.data[i] - expected.data[i]);
  return sum / expected.data.length;
}

function report(cases: readonly CaseResult[]): string {
  const rows = cases.flatMap((c) =>
    Object.entries(c.outputs).map(([name, o]) => [
      c.case,
      name,
      o.maxAbs.toExponential(2),
      o.maxRel.toExponential(2),
      o.tolerance.toExponential(2),
      o.cosine.toFixed(7),
      o.pass ? `pass, ${margin(o)}` : "FAIL",
    ]),
  );
  return table(["case", "output", "max abs", "max abs / std", "tolerance", "cosine", "verdict"], rows);
}

/** How many times the result could be further off. */
function margin({ maxRel, tolerance }: Comparison): string {
  return maxRel === 0 ? "equal" : `margin ${(tolerance / maxRel).toFixed(1)}x`;
}
