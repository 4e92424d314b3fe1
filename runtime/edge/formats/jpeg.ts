/** JPEG files of a frozen folder. */
import { decodeJpeg } from "../../media/jpeg.ts";
import type { FrozenFormat } from "../media.ts";

export const format: FrozenFormat = { image: (bytes, limits, loadCodec) => decodeJpeg(bytes, limits, loadCodec) };
