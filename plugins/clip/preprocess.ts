/** CLIP's image processor: shortest edge, centre crop, rescale, normalise. LLaVA's is the same where it does not pad. */
import { createConfigReader } from "../../runtime/abi/config.ts";
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

/**
 * LLaVA's image processor of a parsed `preprocessor_config.json`.
 * @throws FoveaError as {@link clipImageProcessor}, and `invalid_config` where pictures are padded to squares
 */
export function llavaImageProcessor(config: unknown, file: string = "preprocessor_config.json"): ImageProcessor {
  const c = createConfigReader(config, "", file);
  // CLIP's class, which most folders name, does not know the field.
  const pads = !c.string("image_processor_type", "").startsWith("CLIP") && c.boolean("do_pad", false);
  if (pads) throw c.error("do_pad", "false or nothing, since pictures are not padded to squares here");
  return clipImageProcessor(config, file);
}
