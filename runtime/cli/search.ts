/** `fovea search`: the files whose vectors are nearest to a text or a picture. */
import { Command } from "commander";
import type { SearchHit } from "../bulk/mod.ts";
import { FoveaError } from "../core/diagnostics.ts";
import {
  type CalibrationOption,
  type CommonOptions,
  nonEmpty,
  weightOptions,
  wholeNumber,
  withCalibrationOption,
  withCommonOptions,
  withRuntime,
} from "./options.ts";
import { checkPictures } from "./pictures.ts";
import { table } from "./table.ts";
import { print, printJson } from "./terminal.ts";

interface SearchOptions extends CommonOptions, CalibrationOption {
  readonly image?: string;
  readonly top: number;
  readonly model?: string;
}

export function searchCommand(): Command {
  const command = new Command("search")
    .description("Find the files whose vectors are nearest to a text or a picture.")
    .argument("<vectors>", "file that `fovea embed` wrote, a folder of them, or a pattern such as 'photos-*.parquet'")
    .argument("[text]", "what is looked for")
    .option("--image <file>", "look for what is like this picture, a path or an address", nonEmpty("a picture"))
    .option("--top <n>", "results, the nearest first", wholeNumber(1), 10)
    .option("--model <model>", "where the model lies now, if not where the vectors say", nonEmpty("a model"));
  return withCommonOptions(withCalibrationOption(command))
    .addHelpText(
      "after",
      "\nExamples:\n  fovea search photos.parquet 'a red bicycle'\n  fovea search photos.parquet --image cat.jpg --top 3 --json",
    )
    .action(search);
}

async function search(vectors: string, text: string | undefined, options: SearchOptions): Promise<void> {
  const { image, top, model } = options;
  if ((text === undefined) === (image === undefined)) {
    throw new FoveaError(
      "bad_usage",
      'Name one thing to look for: a text, such as "a red bicycle", or --image with a picture.',
    );
  }
  if (image !== undefined) await checkPictures([image]);
  const query = image === undefined ? { text: text ?? "" } : { image };
  await withRuntime(options, async ({ runtime, progress }) => {
    const { searchVectors } = await import("../bulk/mod.ts");
    const found = await searchVectors(runtime, [vectors], query, {
      top,
      ...weightOptions(options),
      ...(model === undefined ? {} : { model }),
    });
    progress.stop();
    if (options.json === true) printJson({ vectors, query, ...found });
    else print(table(["cosine", "file"], found.hits.map(hitRow)));
  });
}

const hitRow = ({ score, path }: SearchHit): readonly string[] => [score.toFixed(4), path];
