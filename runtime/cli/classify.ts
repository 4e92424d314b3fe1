/** `fovea classify`: pictures against labels, without training. */
import { Command } from "commander";
import { checkLabels } from "../session/zero_shot.ts";
import { classifyImages } from "../session.ts";
import { oneShot } from "./one_shot.ts";
import {
  type CalibrationOption,
  type CommonOptions,
  dtypeOption,
  type JpegOption,
  jpegOption,
  jpegReport,
  labelList,
  type Opened,
  sayReduced,
  weightOptions,
  withCalibrationOption,
  withCommonOptions,
  withJpegOption,
  withRuntime,
} from "./options.ts";
import { checkPictures } from "./pictures.ts";
import { table } from "./table.ts";
import { print, printJson } from "./terminal.ts";

interface ClassifyOptions extends CommonOptions, CalibrationOption, JpegOption {
  readonly labels: readonly string[];
  readonly template: string;
}

export function classifyCommand(): Command {
  const command = new Command("classify")
    .description("Find the label that fits each picture best, by image-text similarity.")
    .argument("<model>", "model folder, or hf:organisation/name, or an https address")
    .argument("<images...>", "PNG, JPEG or WebP files")
    .requiredOption("--labels <list>", "labels, comma-separated", labelList)
    .option("--template <text>", "text around a label; {} stands for it", "a photo of {}");
  return withCommonOptions(withJpegOption(withCalibrationOption(command)))
    .addHelpText("after", "\nExample:\n  fovea classify ./clip *.jpg --labels 'a cat,a dog' --template 'a photo of {}'")
    .action(classify);
}

async function classify(model: string, images: readonly string[], options: ClassifyOptions): Promise<void> {
  const { labels, template } = options;
  checkLabels(labels, { template });
  await checkPictures(images);
  const once = await oneShot(model, images.length + labels.length, options);
  const run = async ({ host, runtime, progress }: Opened): Promise<void> => {
    const wanted = {
      components: ["vision", "text"] as const,
      ...weightOptions(options),
      ...jpegOption(options),
      ...once.load,
    };
    const encoder = await runtime.load(model, wanted);
    const found = await classifyImages(encoder, images, labels, {
      template,
      onProgress: progress.onEncoded,
    });
    progress.stop();
    sayReduced(encoder);
    const results = images.map((image, i) => ({ image, ...found[i] }));
    if (options.json === true) {
      const { device, target } = runtime;
      printJson({
        model,
        runtime: host.name,
        device,
        target,
        ...dtypeOption(options),
        ...jpegReport(encoder),
        labels,
        results,
      });
      return;
    }
    print(
      table(
        ["image", "label", "probability"],
        results.map((r) => [r.image, r.label, `${(100 * r.probability).toFixed(1)}%`]),
      ),
    );
  };
  await withRuntime(options, run, once.runtime);
}
