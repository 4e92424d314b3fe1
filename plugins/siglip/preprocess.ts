/** SigLIP's image processor: an exact size, rescale, normalise; no crop. Gemma 3's is the same with another filter. */
import { createConfigReader } from "../../runtime/abi/config.ts";
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

const gemma = imageProcessor({ ...SIGLIP_PROCESSOR, filter: "bilinear" });

/**
 * Gemma 3's image processor of a parsed `preprocessor_config.json`: one picture is one input, without the crops of pan and scan.
 * @throws FoveaError as {@link siglipImageProcessor}, and `invalid_config` for pan and scan
 */
export function gemmaImageProcessor(config: unknown, file: string = "preprocessor_config.json"): ImageProcessor {
  const c = createConfigReader(config, "", file);
  if (c.boolean("do_pan_and_scan", false))
    throw c.error("do_pan_and_scan", "false or nothing, since crops of a picture are pictures of their own here");
  return gemma(config, file);
}
