/** ViT's image processor: an exact size, bilinear, to -1..1. */
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
