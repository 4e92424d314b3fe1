/** Tag patterns of configurations that match nothing: told once, for they are mostly typing mistakes. */
import { nearest } from "../../core/diagnostics.ts";
import { type CompileLayers, placeText, tagMatches } from "./settings.ts";

export interface PatternWatch {
  /** Compares the patterns with all tags of a model that is being loaded. */
  loaded(modelType: string, tags: readonly string[]): void;
}

/** Tags, and patterns that match some of them: a star stands for one part of the tag or for its whole end. */
export function patternsOf(tags: readonly string[]): ReadonlySet<string> {
  const shapes = tags.flatMap((tag) => {
    const [family, part = ""] = tag.split("/");
    const [tower, own] = part.split(".");
    return [tag, `${family}/*`, `${family}/${tower}.*`, ...(own === undefined ? [] : [`${family}/*.${own}`])];
  });
  return new Set(shapes);
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
        const near = nearest(pattern, patternsOf(tags));
        const hint = near === undefined ? `Its components are ${tags.join(", ")}.` : `Did you mean "${near}"?`;
        onProblem(`${place} matches no component of this ${modelType} model. ${hint}`);
      }
    },
  };
}
