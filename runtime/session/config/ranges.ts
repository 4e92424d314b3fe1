/** The compile ranges of a component under its settings. */
import type { ComponentSpec } from "../../abi/encoder.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import type { Box } from "../../core/dim.ts";
import { splitRanges } from "../../core/range.ts";
import type { ComponentSettings, Resolved } from "./settings.ts";

/** The boxes of a component; what the configuration got wrong is told with its place. @throws FoveaError `invalid_range` */
export function boxesOf(spec: ComponentSpec, { ranges, maxArtifacts }: ComponentSettings): readonly Box[] {
  try {
    return splitRanges(spec.symbols, ranges.value, {
      tag: spec.tag,
      maxArtifacts: maxArtifacts.value,
      relations: spec.relations ?? [],
    });
  } catch (error) {
    const configured = [ranges, maxArtifacts]
      .map((r: Resolved<unknown>) => r.from)
      .filter((from) => from.includes("compile."));
    if (!(error instanceof FoveaError) || configured.length === 0) throw error;
    throw new FoveaError(error.code, `${error.message} See ${[...new Set(configured)].join(" and ")}.`, {
      cause: error,
    });
  }
}
