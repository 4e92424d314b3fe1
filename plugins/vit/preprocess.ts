/** ViT's image processor: an exact size, bilinear, to -1..1. */
import { HALF, imageProcessor, type ProcessImages } from "../../runtime/media/image_processor.ts";

/**
 * ViTImageProcessor of a parsed `preprocessor_config.json`.
 * @throws FoveaError as `parseImageProcessor`; the function it returns as `processImages`
 */
export const vitImageProcessor: (config: unknown) => ProcessImages = imageProcessor({
  size: { height: 224, width: 224 },
  plainSize: "square",
  filter: "bilinear",
  mean: HALF,
  std: HALF,
});
