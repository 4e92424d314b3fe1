/** What video processors share: where folders keep their configuration, and what every one of them refuses. */
import { FoveaError } from "../core/diagnostics.ts";
import type { ModelFiles } from "./encoder.ts";

/** The files to list in `EncoderSpec.files`. */
export const VIDEO_FILES: readonly string[] = [
  "preprocessor_config.json",
  "video_preprocessor_config.json",
  "processor_config.json",
];

/** A parsed configuration and the file that it comes from. */
export interface VideoFile {
  /** What it holds, unchecked. */
  readonly json: unknown;
  /** Name, for messages. */
  readonly file: string;
}

/**
 * A video processor's configuration, in the order in which Hugging Face's AutoVideoProcessor looks for it: inside the whole
 * processor's, by itself, or the image processor's, which stands for it.
 */
export function videoFile(files: ModelFiles): VideoFile | undefined {
  const whole = files["processor_config.json"] as { readonly video_processor?: unknown } | null | undefined;
  const known: readonly VideoFile[] = [
    { json: whole?.video_processor, file: "processor_config.json" },
    ...["video_preprocessor_config.json", "preprocessor_config.json"].map((file) => ({ json: files[file], file })),
  ];
  return known.find(({ json }) => json !== undefined && json !== null);
}

/** Refuses a request without a frame. @throws FoveaError `video.empty` */
export function checkVideos(videos: readonly (readonly unknown[])[]): void {
  if (videos.length > 0 && videos.every((frames) => frames.length > 0)) return;
  throw new FoveaError("video.empty", "No frame was given to preprocess; expected at least one video of one frame.");
}
