/** Image processors of ViT (an exact size, bilinear, to -1..1) and DeiT (the middle of an exact size, bicubic). */
import { HALF, type ImageProcessor, imageProcessor } from "../../runtime/media/image_processor.ts";

/**
 * ViTImageProcessor of a parsed `preprocessor_config.json`.
 * @throws FoveaError as `parseImageProcessor`; the functions it returns as `createImageProcessor`
 */
export const vitImageProcessor: (config: unknown, file?: string) => ImageProcessor = imageProcessor({
  size: { height: 224, width: 224 },
  plainSize: "square",
  filter: "bilinear",
  mean: HALF,
  std: HALF,
});

/**
 * DeiTImageProcessor of a parsed `preprocessor_config.json`.
 * @throws FoveaError as `parseImageProcessor`; the functions it returns as `createImageProcessor`
 */
export const deitImageProcessor: (config: unknown, file?: string) => ImageProcessor = imageProcessor({
  size: { height: 256, width: 256 },
  plainSize: "square",
  filter: "bicubic",
  cropSize: { height: 224, width: 224 },
  mean: HALF,
  std: HALF,
});

interface Named {
  readonly image_processor_type?: unknown;
  /** Its older spelling. */
  readonly feature_extractor_type?: unknown;
}

/**
 * The class that a configuration names, or the family's. The two may differ: DeiTs without a teacher are published as ViTs
 * with DeiT's processor.
 */
export function processorClass(json: unknown, modelType: string): typeof vitImageProcessor {
  const { image_processor_type: own, feature_extractor_type: older } = (json ?? {}) as Named;
  return String(own ?? older ?? modelType)
    .toLowerCase()
    .startsWith("deit")
    ? deitImageProcessor
    : vitImageProcessor;
}
