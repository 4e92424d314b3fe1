/** Golden text of `bit_equal_test.ts`. */
import { WEIGHT_DTYPES } from "../../runtime/core/dtype.ts";
import { bitDigests, goldenName } from "./bit_digests.ts";

/** Texts by file name below test/goldens. */
export async function goldens(): Promise<Readonly<Record<string, string>>> {
  const texts: Record<string, string> = {};
  for (const dtype of WEIGHT_DTYPES)
    texts[goldenName(dtype)] = `${JSON.stringify(await bitDigests(0, dtype), undefined, 2)}\n`;
  return texts;
}
