/** `--component`: the tower or the tags that somebody named. */
import { FoveaError } from "../core/diagnostics.ts";
import { didYouMean } from "../session/check.ts";
import { patternsOf } from "../session/config/patterns.ts";
import { tagMatches } from "../session/config/settings.ts";

/** Whether a component is meant. @param name a modality, a tag, or a pattern of tags */
export const isNamed = (name: string, modality: string, tag: string): boolean =>
  modality === name || tagMatches(name, tag);

/** The error of a name that nothing has. @param of whose components they are, such as `This clip model` */
export function noSuchComponent(
  of: string,
  name: string,
  modalities: readonly string[],
  tags: readonly string[],
): FoveaError {
  const known = [...new Set([...modalities, ...tags])];
  const near = didYouMean(name, new Set([...modalities, ...patternsOf(tags)]));
  return new FoveaError("bad_usage", `${of} has no component "${name}"; it has ${known.join(", ")}.${near}`);
}
