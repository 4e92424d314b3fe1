/** How components are compiled: what a runtime was given, resolved for each component, with where each value came from. */
import type { ComponentSpec } from "../abi/encoder.ts";
import { DEFAULT_MAX_ARTIFACTS, type RangeSpec } from "../core/range.ts";

/** Settings of components; what is left out is inherited. */
export interface CompileSettings {
  /** False runs every op alone, on the same kernels: the debugging mode. */
  readonly enabled?: boolean;
  /** Compile ranges instead of the component's own. */
  readonly ranges?: RangeSpec;
  /** Compiles a range when it is first used instead of at load. */
  readonly lazy?: boolean;
  /** Most artifacts of a component. */
  readonly maxArtifacts?: number;
}

/** What `createRuntime` takes as `compile`. */
export interface CompileConfig extends Pick<CompileSettings, "enabled"> {
  /** For all components. */
  readonly base?: CompileSettings;
  /** By tag, `*` standing for any text: the most specific pattern wins for each value. */
  readonly components?: Readonly<Record<string, CompileSettings>>;
  /** A kernel that fails its proof is an error instead of being put aside. */
  readonly strict?: boolean;
}

/** A value and where it came from, in words. */
export interface Resolved<T> {
  readonly value: T;
  readonly from: string;
}

/** Settings of one component, complete. */
export interface ComponentSettings {
  readonly enabled: Resolved<boolean>;
  readonly ranges: Resolved<RangeSpec>;
  readonly lazy: Resolved<boolean>;
  readonly maxArtifacts: Resolved<number>;
}

/** True when a tag has the form of a pattern, in which `*` stands for any text. */
export function tagMatches(pattern: string, tag: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(tag);
}

/** Patterns that match, the most specific (longest without its stars) first; of equal ones the one listed last. */
function matching(config: CompileConfig, tag: string): readonly (readonly [string, CompileSettings])[] {
  const length = ([pattern]: readonly [string, unknown]): number => pattern.replaceAll("*", "").length;
  return Object.entries(config.components ?? {})
    .filter(([pattern]) => tagMatches(pattern, tag))
    .reverse()
    .sort((a, b) => length(b) - length(a));
}

/** The settings of a component under a configuration. */
export function resolveSettings(spec: ComponentSpec, config: CompileConfig = {}): ComponentSettings {
  const layers: (readonly [string, CompileSettings])[] = [
    ...matching(config, spec.tag).map(([pattern, own]) => [`compile.components["${pattern}"]`, own] as const),
    ["compile.base", config.base ?? {}],
    ["compile", config.enabled === undefined ? {} : { enabled: config.enabled }],
  ];
  const pick = <K extends keyof CompileSettings>(
    key: K,
    own: CompileSettings[K] | undefined,
    fallback: NonNullable<CompileSettings[K]>,
  ): Resolved<NonNullable<CompileSettings[K]>> => {
    for (const [from, settings] of layers) {
      const value = settings[key];
      if (value !== undefined) return { value: value as NonNullable<CompileSettings[K]>, from };
    }
    return own === undefined ? { value: fallback, from: "default" } : { value: own, from: `component "${spec.tag}"` };
  };
  return {
    enabled: pick("enabled", undefined, true),
    ranges: pick("ranges", spec.ranges, {}),
    lazy: pick("lazy", undefined, false),
    maxArtifacts: pick("maxArtifacts", spec.maxArtifacts, DEFAULT_MAX_ARTIFACTS),
  };
}
