/** `fovea tune ranges`: compile ranges learnt from recorded sizes. */
import { Command } from "commander";
import { FoveaError } from "../core/diagnostics.ts";
import { countOf } from "../core/figures.ts";
import { dimsText } from "../exec/forward_context.ts";
import { readSizes } from "../session/tune/tune_ranges.ts";
import type { EncodeInputs, RecordedSizes, Runtime, TunedComponent } from "../session.ts";
import { type CommonOptions, nonEmpty, type Opened, wholeNumber, withCommonOptions, withRuntime } from "./options.ts";
import { checkPictures, RECORDING } from "./pictures.ts";
import { table } from "./table.ts";
import { print, printJson, say } from "./terminal.ts";

interface TuneRangesCommandOptions extends CommonOptions {
  readonly fromTrace?: string;
  readonly record?: readonly string[];
  readonly text?: readonly string[];
  readonly budget?: number;
  readonly measure?: boolean;
  readonly out?: string;
}

export function rangesCommand(): Command {
  const command = new Command("ranges")
    .description("Learn each component's compile ranges from recorded sizes; write them as a configuration.")
    .argument("<model>", "model folder; config.json is enough")
    .option(
      "--from-trace <file>",
      "sizes as JSON lines, as `fovea embed --record` and `onSizes` give them",
      nonEmpty("a file"),
    )
    .option("--record <files...>", "instead: pictures and recordings, encoded one by one to learn from their sizes")
    .option("--text <texts...>", "texts to encode with, or in place of, --record")
    .option("--budget <n>", "most artifacts of a component; its maxArtifacts unless given", wholeNumber(1))
    .option("--measure", "compile both divisions and run the sizes that take the most time with each, in turns")
    .option("--out <file>", "write the configuration there, such as fovea.config.json; it is printed otherwise");
  return withCommonOptions(command)
    .addHelpText(
      "after",
      "\nExamples:\n  fovea embed ./clip --text 'a cat' --record sizes.jsonl\n  fovea tune ranges ./clip --from-trace sizes.jsonl --measure --out fovea.config.json\n  fovea tune ranges ./qwen2.5-vl --record *.jpg --budget 6",
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
  const { fromTrace, record = [], text: texts = [] } = options;
  const inputs = inputsOf(record, texts);
  if ((fromTrace === undefined) === (inputs.length === 0)) {
    throw new FoveaError(
      "bad_usage",
      "Sizes come from one place: give either --from-trace with a file of them, or inputs to encode as --record and --text.",
    );
  }
  await checkPictures(record);
  const recorded: RecordedSizes[] = [];
  const onSizes = (one: RecordedSizes): void => void recorded.push(one);
  const run = async ({ host, runtime, progress }: Opened): Promise<void> => {
    if (fromTrace === undefined) await encodeEach(runtime, model, inputs);
    const sizes =
      fromTrace === undefined
        ? [...recorded]
        : readSizes(new TextDecoder().decode(await host.readFile(fromTrace)), fromTrace);
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
    for (const line of tuned.flatMap(leftOutLines)) say(line);
    if (options.out === undefined) print(`\n${JSON.stringify(config, null, 2)}`);
    else say(`wrote ${options.out}`);
  };
  await withRuntime(options, run, fromTrace === undefined ? { onSizes } : {});
}

/** Each file and text as a call of its own. */
function inputsOf(files: readonly string[], texts: readonly string[]): readonly EncodeInputs[] {
  const ofFile = (file: string): EncodeInputs => (RECORDING.test(file) ? { audio: [file] } : { images: [file] });
  return [...files.map(ofFile), ...texts.map((text) => ({ texts: [text] }))];
}

const MODALITY_OF = { images: "vision", audio: "audio", texts: "text" } as const;

/** Runs what the runtime's `onSizes` is told of. */
async function encodeEach(runtime: Runtime, model: string, inputs: readonly EncodeInputs[]): Promise<void> {
  const kinds = Object.keys(MODALITY_OF) as (keyof typeof MODALITY_OF)[];
  const components = kinds.filter((kind) => inputs.some((input) => input[kind] !== undefined));
  const encoder = await runtime.load(model, { components: components.map((kind) => MODALITY_OF[kind]) });
  try {
    for (const input of inputs) await encoder.encode(input);
  } finally {
    encoder.close();
  }
}

/** Sizes of a component that are told one by one. */
const TOLD = 5;

/** Sizes that a component does not take. */
function leftOutLines({ tag, leftOut }: TunedComponent): readonly string[] {
  const lines = leftOut.slice(0, TOLD).map(({ dims, calls, takes }) => {
    return `fovea: left out ${countOf(calls, "call")} of ${tag}${dimsText(dims)}: it takes ${takes}`;
  });
  const more = leftOut.length - lines.length;
  return more === 0 ? lines : [...lines, `fovea: left out ${countOf(more, "more size")} of ${tag}`];
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
