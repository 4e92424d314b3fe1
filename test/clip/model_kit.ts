/** CLIP models of the repository, opened through the plugin. */
import { join } from "node:path";
import { clipPlugin } from "../../plugins/clip/plugin.ts";
import type { EncoderModel } from "../../runtime/abi/encoder.ts";
import { type Json, openModelOf } from "../kit/tower_fixtures.ts";

export { checkpointOf, deviation, FIXTURES, type Json, readJson, towerOf } from "../kit/tower_fixtures.ts";

export const DIGITS: string = join(process.cwd(), "examples/models/digits-clip");

export function openClip(config: Json): EncoderModel {
  return openModelOf(clipPlugin, config);
}
