/** WebP files of a frozen folder. */
import { decodeWebp } from "../../media/webp.ts";
import type { FrozenFormat } from "../media.ts";

export const format: FrozenFormat = { image: (bytes, limits, loadCodec) => decodeWebp(bytes, limits, loadCodec) };
