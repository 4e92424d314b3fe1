/** PNG files of a frozen folder. */
import { decodePng } from "../../media/png.ts";
import type { FrozenFormat } from "../media.ts";

export const format: FrozenFormat = { image: decodePng };
