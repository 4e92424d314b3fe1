/** SigLIP's image processor: an exact size, rescale, normalise; no crop. */
import {
  HALF,
  type ImageProcessor,
  type ImageProcessorDefaults,
  imageProcessor,
} from "../../runtime/media/image_processor.ts";

/** What SiglipImageProcessor does where `preprocessor_config.json` is silent. */
export const SIGLIP_PROCESSOR: ImageProcessorDefaults = {
  size: { height: 224, width: 224 },
  plainSize: "shortest_edge",
  filter: "bicubic",
  mean: HALF,
  std: HALF,
};

/**
 * SigLIP's image processor of a parsed `preprocessor_config.json`.
 * @throws FoveaError as `parseImageProcessor`; the functions it returns as `createImageProcessor`
 */
export const siglipImageProcessor: (config: unknown, file?: string) => ImageProcessor =
  imageProcessor(SIGLIP_PROCESSOR);
