/** Tag patterns of configurations that match nothing: told once, for they are mostly typing mistakes. */
import { nearest } from "../../core/diagnostics.ts";
import { type CompileLayers, placeText, tagMatches } from "./settings.ts";

export interface PatternWatch {
  /** Compares the patterns with all tags of a model that is being loaded. */
  loaded(modelType: string, tags: readonly string[]): void;
}

/** What a pattern was likely meant to be: a tag, or the pattern with the tag's words in place of its own. */
function meant(pattern: string, tags: readonly string[]): string | undefined {
  // A star stands for one part of the tag or for its whole end.
  const shapes = tags.flatMap((tag) => {
    const [family, part = ""] = tag.split("/");
    const [tower] = part.split(".");
    return [tag, `${family}/*`, `${family}/${tower}.*`];
  });
  return nearest(pattern, new Set(shapes));
}

export function createPatternWatch(layers: CompileLayers, onProblem: (sentence: string) => void): PatternWatch {
  const waiting = layers.flatMap((layer) =>
    Object.keys(layer.config.components ?? {}).map((pattern) => ({
      pattern,
      place: placeText(layer, `compile.components["${pattern}"]`),
    })),
  );
  return {
    loaded: (modelType, tags) => {
      // Whether it matched or was told, it is done with.
      for (const { pattern, place } of waiting.splice(0)) {
        if (tags.some((tag) => tagMatches(pattern, tag))) continue;
        const near = meant(pattern, tags);
        const hint = near === undefined ? `Its components are ${tags.join(", ")}.` : `Did you mean "${near}"?`;
        onProblem(`${place} matches no component of this ${modelType} model. ${hint}`);
      }
    },
  };
}
