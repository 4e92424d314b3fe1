/** A range compiled once more, beside the cache, with everything that explaining it needs. */
import type { ComponentSpec } from "../../abi/encoder.ts";
import type { CompileResult } from "../../compile/compile.ts";
import type { CompileDetails } from "../../compile/details.ts";
import type { PassReport } from "../../compile/pass_clock.ts";
import { internal } from "../../core/diagnostics.ts";
import type { Box } from "../../core/dim.ts";
import { placeText, type SourcePlace } from "../../core/source_place.ts";
import { encodeWithDigest } from "../../exec/codec.ts";
import { createInterner, type OpTable } from "../../ir/node.ts";
import type { ComponentSettings } from "../config/settings.ts";
import { loadCompiler } from "./compiler.ts";
import type { Place } from "./places.ts";
import { type PlaceFinder, traceComponent } from "./trace.ts";

/** What is compiled, and how. */
export interface Examination {
  readonly spec: ComponentSpec;
  readonly box: Box;
  readonly place: Place;
  readonly settings: Pick<ComponentSettings, "enabled" | "dtype" | "facts">;
  /** Kernels that were put aside. */
  readonly without: readonly string[];
  readonly ops: OpTable;
  readonly now: () => number;
  /** Reads source maps. */
  readonly findPlace: PlaceFinder;
  /** Digest of the artifact that runs; nothing where another compiler made it, such as that of a pack. */
  readonly artifact: string | undefined;
}

export interface Examined extends CompileResult {
  /** With the author's lines, source-mapped. */
  readonly details: CompileDetails;
  /** Tracing first, then the compiler's own. */
  readonly passes: readonly PassReport[];
}

/**
 * Compiles a range with its details; its nodes know the author's lines, which capturing stacks makes slow.
 * @throws Error `internal:` when the artifact is another one than the one that runs
 */
export async function examine(what: Examination): Promise<Examined> {
  const { spec, box, place, settings, without, ops, now, findPlace, artifact } = what;
  const { compileGraph } = await loadCompiler(`explaining component "${spec.tag}"`);
  const interner = createInterner(ops);
  const begin = now();
  const places = new Map<string, SourcePlace>();
  const traced = traceComponent(spec, box, interner, (place) => {
    const key = `${place.file}:${place.line}:${place.column}`;
    places.set(key, place);
    return key;
  });
  const traceMs = now() - begin;
  const made = compileGraph(traced, {
    interner,
    kernels: place.kernels.filter((k) => !without.includes(k.name)),
    target: place.target,
    capabilities: place.capabilities,
    enabled: settings.enabled.value,
    dtype: settings.dtype.value,
    ...(settings.facts === undefined ? {} : { facts: settings.facts }),
    now,
    details: true,
  });
  const { digest } = encodeWithDigest(made.artifact);
  if (artifact !== undefined && digest !== artifact)
    internal(`"${spec.tag}" compiles to ${digest}, and what runs is ${artifact}`);
  const lines = new Map<string, string>();
  for (const [key, place] of places) lines.set(key, placeText((await findPlace(place)) ?? place));
  const details = made.report.details ?? internal("a compile with details brought none");
  const nodes = details.nodes.map(({ source, ...n }) =>
    source === undefined ? n : { ...n, source: lines.get(source) ?? source },
  );
  return {
    ...made,
    details: { ...details, nodes },
    passes: [{ name: "trace", begin, ms: traceMs }, ...made.report.passes],
  };
}
