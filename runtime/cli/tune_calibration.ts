/** `fovea tune calibration`: what pictures, texts and recordings tell about the columns that int8 products multiply. */
import { Command } from "commander";
import type { Modality } from "../abi/encoder.ts";
import { isMagnitudesName } from "../core/calibration.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { encodeSafetensors } from "../exec/weights/writer.ts";
import type { EncodeInputs } from "../session.ts";
import { type CommonOptions, nonEmpty, withCommonOptions, withRuntime } from "./options.ts";
import { checkPictures, RECORDING } from "./pictures.ts";
import { print, printJson } from "./terminal.ts";

interface CalibrationCommandOptions extends CommonOptions {
  readonly text?: readonly string[];
  readonly out: string;
}

export function calibrationCommand(): Command {
  const command = new Command("calibration")
    .description("Note how large the columns are that the products of a model's layers multiply, for --dtype int8.")
    .argument("<model>", "model folder, or hf:organisation/name, or an https address")
    .argument("[files...]", "some dozen pictures or recordings such as the model will see")
    .option("--text <text...>", "texts such as the model will see")
    .requiredOption("--out <file>", "safetensors file for `--calibration`", nonEmpty("a file"));
  return withCommonOptions(command)
    .addHelpText(
      "after",
      "\nExamples:\n  fovea tune calibration ./clip photos/*.jpg --text 'a cat' --out clip.calibration.safetensors\n  fovea embed ./clip cat.jpg --dtype int8 --calibration clip.calibration.safetensors",
    )
    .action(calibration);
}

async function calibration(model: string, files: readonly string[], options: CalibrationCommandOptions): Promise<void> {
  const { text: texts = [], out } = options;
  if (!out.endsWith(".safetensors")) throw new FoveaError("bad_usage", `--out ${out} must end in .safetensors.`);
  if (files.length === 0 && texts.length === 0)
    throw new FoveaError(
      "bad_usage",
      "There is nothing to calibrate with; name pictures or recordings, or give --text.",
    );
  await checkPictures(files);
  const images = files.filter((f) => !RECORDING.test(f));
  const audio = files.filter((f) => RECORDING.test(f));
  const given: readonly (readonly [modality: Modality, inputs: EncodeInputs])[] = [
    ...(images.length === 0 ? [] : [["vision", { images }] as const]),
    ...(texts.length === 0 ? [] : [["text", { texts }] as const]),
    // Towers that pad nothing take recordings of one length at a time.
    ...audio.map((one) => ["audio", { audio: [one] }] as const),
  ];
  const components = [...new Set(given.map(([modality]) => modality))];
  await withRuntime(options, async ({ host, runtime, progress }) => {
    const inputs = given.map(([, one]) => one);
    const found = await runtime.calibrate(model, inputs, { components });
    progress.stop();
    const data = Object.fromEntries(
      Object.entries(found).map(([name, t]) => [name, { dtype: t.dtype, shape: t.shape, data: t.data }]),
    );
    await host.writeFileAtomic(out, encodeSafetensors(data));
    const products = Object.keys(found).filter(isMagnitudesName).length;
    if (options.json === true) return printJson({ model, runtime: host.name, files, texts, out, products });
    print(`wrote the columns of ${products} products to ${out}`);
  });
}
