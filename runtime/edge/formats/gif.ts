/** GIF files of a frozen folder. */
import { decodeGif } from "../../media/gif.ts";
import type { FrozenFormat } from "../media.ts";

export const format: FrozenFormat = { image: decodeGif };
