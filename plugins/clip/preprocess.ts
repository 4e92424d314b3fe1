/** CLIP's image processor: shortest edge, centre crop, rescale, normalise. */
import {
  CLIP_MEAN,
  CLIP_STD,
  type ImageProcessor,
  type ImageProcessorDefaults,
  imageProcessor,
} from "../../runtime/media/image_processor.ts";

/** What CLIPImageProcessor does where `preprocessor_config.json` is silent. */
export const CLIP_PROCESSOR: ImageProcessorDefaults = {
  size: { shortestEdge: 224 },
  plainSize: "shortest_edge",
  filter: "bicubic",
  cropSize: { height: 224, width: 224 },
  mean: CLIP_MEAN,
  std: CLIP_STD,
};

/**
 * CLIP's image processor of a parsed `preprocessor_config.json`.
 * @throws FoveaError as `parseImageProcessor`; the functions it returns as `createImageProcessor`
 */
export const clipImageProcessor: (config: unknown, file?: string) => ImageProcessor = imageProcessor(CLIP_PROCESSOR);
