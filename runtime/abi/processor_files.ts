/** Where model folders keep the configuration of their image processor or feature extractor. */
import type { ModelFiles } from "./encoder.ts";

/** The files to list in `EncoderSpec.files`. */
export const PROCESSOR_FILES: readonly string[] = ["preprocessor_config.json", "processor_config.json"];

/**
 * A processor's parsed configuration, unchecked, in the order in which Hugging Face looks for it: inside the whole
 * processor's, whose other fields say nothing of it, or by itself. Nothing where a folder has neither.
 * @param field that holds it in `processor_config.json`
 */
export function processorFile(files: ModelFiles, field: "image_processor" | "feature_extractor"): unknown {
  const whole = files["processor_config.json"] as Readonly<Record<string, unknown>> | null | undefined;
  return whole?.[field] ?? files["preprocessor_config.json"];
}

/** The file that {@link processorFile} answers from, for messages. */
export function processorFileName(files: ModelFiles, field: "image_processor" | "feature_extractor"): string {
  const json = processorFile(files, field);
  return json === files["preprocessor_config.json"] ? "preprocessor_config.json" : "processor_config.json";
}
