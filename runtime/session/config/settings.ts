/** How components are compiled: what a runtime was given, resolved for each component, with where each value came from. */
import type { ComponentSpec } from "../../abi/encoder.ts";
import type { KeptDType, WeightDType } from "../../core/dtype.ts";
import { literalPattern } from "../../core/literal_pattern.ts";
import { DEFAULT_MAX_ARTIFACTS, type RangeSpec } from "../../core/range.ts";
import type { WeightFacts } from "../../core/weight_facts.ts";
import type { GivenPlugin } from "../registry/plugin_choice.ts";
import type { CutComponent } from "./cut_component.ts";

/** How large a component is: every op alone, as the encoder has it, that many consecutive blocks, or all of the tower's calls. */
export type Granularity = "op" | "block" | "tower" | number;

/** Settings of components; what is left out is inherited. */
export interface CompileSettings {
  /** False runs every op alone, on the same kernels: the debugging mode. True unless given. */
  readonly enabled?: boolean;
  /**
   * Joins consecutive calls to larger components: a number of blocks from 2 on, or all of a tower. `op` is `enabled: false`, and
   * `block`, the encoder's own components, the default.
   */
  readonly granularity?: Granularity;
  /** Compile ranges instead of the component's own. */
  readonly ranges?: RangeSpec;
  /** Type that large weights are kept in on the device; the arithmetic is f32 with each but `int8`, whose products are of integers. */
  readonly dtype?: WeightDType;
  /** Kind of the device that runs the component, such as `reference`; it is opened when first needed. */
  readonly device?: string;
  /** Target of that device that code is generated for; the runtime's on its own device, the best of another unless given. */
  readonly target?: string;
  /** Compiles a range when it is first used instead of at load; false unless given. */
  readonly lazy?: boolean;
  /** Most artifacts of a component, one for each range; the component's own limit, or 8, unless given. */
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

/** What a configuration file holds. */
export interface FoveaConfig {
  /** How components are compiled; `--compile-config` and other options of the command line are stronger. */
  readonly compile?: CompileConfig;
  /**
   * What the command line uses beside the first-party plugins: plugins of a module, folders, modules or packages by name, and
   * `{ plugin, isolation }` with what their code may touch.
   */
  readonly plugins?: readonly GivenPlugin[];
}

/** The configuration as it is, with its type: for `fovea.config.ts` and editors. */
export function defineConfig(config: FoveaConfig): FoveaConfig {
  return config;
}

/** A configuration and whose it is, for people: `--compile-config`, or a file's name. */
export interface NamedCompileConfig {
  /** Where it stands, for messages and `explain`. */
  readonly name: string;
  /** What it says. */
  readonly config: CompileConfig;
}

/** Configurations in the order of precedence: the first that has a value for a component decides about that value. */
export type CompileLayers = readonly (Partial<Pick<NamedCompileConfig, "name">> & Pick<NamedCompileConfig, "config">)[];

/** A value and where it came from, in words. */
export interface Resolved<T> {
  readonly value: T;
  readonly from: string;
}

/** Settings of one component, complete. */
export interface ComponentSettings {
  readonly enabled: Resolved<boolean>;
  readonly granularity: Resolved<Granularity>;
  readonly ranges: Resolved<RangeSpec>;
  readonly dtype: Resolved<KeptDType>;
  readonly device: Resolved<string>;
  /** Nothing where the device's own best target is meant. */
  readonly target: Resolved<string | undefined>;
  readonly lazy: Resolved<boolean>;
  readonly maxArtifacts: Resolved<number>;
  /** What is known of the weights that the component is compiled for. */
  readonly facts?: WeightFacts;
}

/** What the runtime itself computes on. */
export interface Home {
  readonly device: string;
  readonly target: string;
}

/** The layers of a `compile` option. */
export function compileLayers(compile: CompileConfig | readonly NamedCompileConfig[] | undefined): CompileLayers {
  if (compile === undefined) return [];
  return Array.isArray(compile) ? compile : [{ config: compile as CompileConfig }];
}

/** Whether a kernel that fails its proof is an error. */
export function strictly(layers: CompileLayers): boolean {
  return layers.find(({ config }) => config.strict !== undefined)?.config.strict ?? false;
}

/** True when a tag has the form of a pattern, in which `*` stands for any text. */
export function tagMatches(pattern: string, tag: string): boolean {
  const parts = pattern.split("*").map(literalPattern);
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

/** How a place in a layer is called: `fovea.config.json: compile.base`. */
export function placeText({ name }: CompileLayers[number], place: string): string {
  return name === undefined ? place : `${name}: ${place}`;
}

/** What one call of `load` or `compile` asks for: weaker than the first configuration's settings by tag, stronger than its base. */
export interface CallSettings extends Pick<CompileSettings, "dtype" | "lazy"> {
  /** A calibration comes with the weights. */
  readonly calibrated?: boolean;
  /** No setting lets a component wait for its first use; what its encoder itself makes wait does, unless a setting says otherwise. */
  readonly complete?: boolean;
}

/** The settings among a call's options. */
export function dtypeOf({ dtype }: { readonly dtype?: WeightDType | undefined }): CallSettings {
  return dtype === undefined ? {} : { dtype };
}

/** The same for calls that take a calibration. */
export function weightSettingsOf(options: {
  readonly dtype?: WeightDType | undefined;
  readonly calibration?: unknown;
}): CallSettings {
  return { ...dtypeOf(options), calibrated: options.calibration !== undefined };
}

/** All settings that speak about a tag, the strongest first, each with its place in words. */
function settingsFor(
  tag: string,
  layers: CompileLayers,
  call: CallSettings,
): readonly (readonly [string, CompileSettings])[] {
  const all: CompileLayers = layers.length === 0 ? [{ config: {} }] : layers;
  return all.flatMap((layer, at) => {
    const { config } = layer;
    return [
      ...matching(config, tag).map(
        ([pattern, own]) => [placeText(layer, `compile.components["${pattern}"]`), own] as const,
      ),
      ...(at === 0 ? [["the call's options", call] as const] : []),
      [placeText(layer, "compile.base"), config.base ?? {}] as const,
      [placeText(layer, "compile.enabled"), config.enabled === undefined ? {} : { enabled: config.enabled }] as const,
    ];
  });
}

/** `int8` leaves the ends of towers alone, and uses a calibration. */
function keptDType(spec: ComponentSpec, dtype: Resolved<WeightDType>, calibrated: boolean): Resolved<KeptDType> {
  if (dtype.value !== "int8") return dtype;
  if (spec.precise === true) return { value: "f32", from: `component "${spec.tag}"` };
  return calibrated ? { value: "int8-calibrated", from: dtype.from } : dtype;
}

/** The settings of a component under configurations, on a runtime with this device. */
export function resolveSettings(
  spec: CutComponent,
  layers: CompileLayers,
  home: Home,
  call: CallSettings = {},
): ComponentSettings {
  const { parts, instances, spare = [] } = spec;
  if (parts !== undefined) {
    const own = parts.map((part) => resolveOwn(part.spec, layers, home, call));
    const [first] = own;
    return {
      ...first,
      ranges: { value: spec.ranges ?? {}, from: first.ranges.from },
      lazy: own.find((s) => s.lazy.value)?.lazy ?? first.lazy,
      maxArtifacts: own.reduce((a, b) => (b.maxArtifacts.value > a.maxArtifacts.value ? b : a)).maxArtifacts,
    };
  }
  const own = resolveOwn(spec, layers, home, call);
  // Larger components make its calls, all but those of plans for some of the results.
  return spare.length < instances.length || call.complete === true
    ? own
    : { ...own, lazy: { value: true, from: own.granularity.from } };
}

function resolveOwn(spec: ComponentSpec, layers: CompileLayers, home: Home, call: CallSettings): ComponentSettings {
  const said = settingsFor(spec.tag, layers, call);
  const pick = <K extends keyof CompileSettings, T>(
    key: K,
    otherwise: Resolved<T>,
  ): Resolved<NonNullable<CompileSettings[K]> | T> => {
    for (const [from, settings] of said) {
      const value = settings[key];
      if (value !== undefined) return { value: value as NonNullable<CompileSettings[K]>, from };
    }
    return otherwise;
  };
  const usual = <T>(own: T | undefined, fallback: T): Resolved<T> =>
    own === undefined ? { value: fallback, from: "default" } : { value: own, from: `component "${spec.tag}"` };
  const dtype = pick("dtype", usual<WeightDType>(undefined, "f32"));
  const device = pick("device", { value: home.device, from: "runtime" });
  const granularity = pick("granularity", usual<Granularity>(undefined, "block"));
  const enabled = pick("enabled", usual(undefined, true));
  const lazy = pick("lazy", usual(spec.lazy, false));
  const mayWait = call.complete !== true || spec.lazy === true;
  return {
    enabled: granularity.value === "op" && enabled.value ? { value: false, from: granularity.from } : enabled,
    granularity,
    ranges: pick("ranges", usual<RangeSpec>(spec.ranges, {})),
    dtype: keptDType(spec, dtype, call.calibrated === true),
    device,
    target: pick(
      "target",
      device.value === home.device
        ? { value: home.target, from: "runtime" }
        : { value: undefined, from: `device "${device.value}"` },
    ),
    lazy: lazy.value && !mayWait ? { value: false, from: "the call's options" } : lazy,
    maxArtifacts: pick("maxArtifacts", usual(spec.maxArtifacts, DEFAULT_MAX_ARTIFACTS)),
  };
}
