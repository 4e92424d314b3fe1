/** The image processors that DINO checkpoints name. */
import {
  CLIP_MEAN,
  CLIP_STD,
  IMAGENET_MEAN,
  IMAGENET_STD,
  type ImageProcessor,
  imageProcessor,
} from "../../runtime/media/image_processor.ts";

/**
 * BitImageProcessor of a parsed `preprocessor_config.json`: shortest edge, centre crop. Where the file is silent it is
 * CLIP's; DINOv2's files state their own numbers.
 * @throws FoveaError as `parseImageProcessor`; the functions it returns as `createImageProcessor`
 */
export const bitImageProcessor: (config: unknown, file?: string) => ImageProcessor = imageProcessor({
  size: { shortestEdge: 224 },
  plainSize: "shortest_edge",
  filter: "bicubic",
  cropSize: { height: 224, width: 224 },
  mean: CLIP_MEAN,
  std: CLIP_STD,
});

/**
 * DINOv3ViTImageProcessor of a parsed `preprocessor_config.json`: an exact size, bilinear over unrounded values.
 * @throws FoveaError as `parseImageProcessor`; the functions it returns as `createImageProcessor`
 */
export const dinov3ImageProcessor: (config: unknown, file?: string) => ImageProcessor = imageProcessor({
  size: { height: 224, width: 224 },
  plainSize: "square",
  filter: "bilinear",
  resizesFloats: true,
  mean: IMAGENET_MEAN,
  std: IMAGENET_STD,
});
