/** All trace breaks of components, listed instead of thrown. */
import type { ComponentSpec, EncoderSpec, TowerSpec } from "../../abi/encoder.ts";
import type { Plugin } from "../../abi/plugin.ts";
import { FoveaError, type TraceBreak } from "../../core/diagnostics.ts";
import { splitRanges } from "../../core/range.ts";
import { detectHost } from "../../host/mod.ts";
import type { OpTable } from "../../ir/node.ts";
import { type ModelSource, openModelSource } from "../inputs/source.ts";
import { openModel } from "../models/model_files.ts";
import { encodersOf } from "../registry/encoder_plugins.ts";
import { firstPartyPlugins } from "../registry/first_party.ts";
import { allOps } from "./all_ops.ts";
import { collectBreaks, type PlaceFinder } from "./trace.ts";

/** Towers whose components are traced for their breaks. */
export interface BreakSearch {
  readonly towers: readonly TowerSpec[];
  /** Breaks of components of these towers, in order. @throws FoveaError for what is wrong beside trace breaks */
  breaksOf(components: readonly ComponentSpec[]): Promise<readonly TraceBreak[]>;
}

/** Opens what {@link findBreaks} looks through. */
export async function openForBreaks(
  source: ModelSource | undefined,
  plugins?: readonly Plugin[],
): Promise<BreakSearch> {
  const host = await detectHost();
  const all = plugins ?? (await firstPartyPlugins());
  const files = source === undefined ? undefined : await openModelSource(source, host, { hub: { settings: {} } });
  const towers =
    files === undefined
      ? all.flatMap((p) => p.encoders ?? []).flatMap(towersWithoutModel)
      : (await openModel(files, encodersOf(all))).model.towers;
  return { towers, breaksOf: (components) => breaksOf(components, allOps(all), (place) => host.originalPlace(place)) };
}

/**
 * Every trace break in a model's components, found without a device and without compiling; none for a sound encoder.
 * @param source a model (its `config.json` is enough), or nothing for all encoders of `plugins` that need no model
 * @param plugins first-party plugins unless given
 * @throws FoveaError for what is wrong beside trace breaks
 */
export async function findBreaks(
  source: ModelSource | undefined,
  plugins?: readonly Plugin[],
): Promise<readonly TraceBreak[]> {
  const { towers, breaksOf } = await openForBreaks(source, plugins);
  return breaksOf(towers.flatMap((t) => t.components));
}

/** Breaks of each component over its own ranges, in order. */
async function breaksOf(
  components: readonly ComponentSpec[],
  ops: OpTable,
  find: PlaceFinder,
): Promise<readonly TraceBreak[]> {
  const all: TraceBreak[] = [];
  for (const spec of components) {
    const boxes = splitRanges(spec.symbols, spec.ranges ?? {}, {
      tag: spec.tag,
      relations: spec.relations ?? [],
      ...(spec.maxArtifacts === undefined ? {} : { maxArtifacts: spec.maxArtifacts }),
    });
    all.push(...(await collectBreaks(spec, boxes, ops, find)));
  }
  return all;
}

/** Towers of an encoder that needs no more than its `model_type`. @throws FoveaError `invalid_config` that says so */
function towersWithoutModel(encoder: EncoderSpec): readonly TowerSpec[] {
  try {
    return encoder.open({ model_type: encoder.modelTypes[0] }).towers;
  } catch (error) {
    if (!(error instanceof FoveaError)) throw error;
    throw new FoveaError(
      "invalid_config",
      `The encoder "${encoder.name}" cannot be opened without a model: ${error.message} Give a model folder with its config.json.`,
      { cause: error },
    );
  }
}
