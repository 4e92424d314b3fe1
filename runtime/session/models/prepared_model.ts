/** Preparing: a model's towers by its configuration alone, traced and as far as wanted compiled, without weights. */
import type { Modality } from "../../abi/encoder.ts";
import { weightSettingsOf } from "../config/settings.ts";
import type { ModelSource } from "../inputs/source.ts";
import type { PrepareModelOptions } from "../options.ts";
import type { RuntimeParts } from "../runtime_parts.ts";
import { type PreparedTower, prepareTower } from "../towers/tower.ts";
import type { ModelTower } from "../towers/tower_facts.ts";
import { calibrationOf, cutTowers, openConfigured, progressTeller, wantedTowers } from "./model_access.ts";

/** A model's towers, traced and, unless lazy, compiled; no weights. */
export interface PreparedModel {
  /** `model_type` of the configuration. */
  readonly modelType: string;
  /** Those that were asked for, in the encoder's order. */
  readonly towers: ReadonlyMap<Modality, ModelTower>;
}

/** A prepared model with its components' ranges and artifacts, for what explains them. */
export interface TracedModel extends PreparedModel {
  readonly towers: ReadonlyMap<Modality, PreparedTower>;
}

/** All of what `runtime.prepare` gave, of which callers see the public part. */
export const tracedModel = (prepared: PreparedModel): TracedModel => prepared as TracedModel;

/** @throws FoveaError that says what is missing or wrong */
export async function prepareModel(
  parts: RuntimeParts,
  source: ModelSource,
  options: PrepareModelOptions,
): Promise<TracedModel> {
  const { artifacts } = parts;
  artifacts.begin();
  const opened = await openConfigured(parts, source);
  const towers = new Map<Modality, PreparedTower>();
  const call = weightSettingsOf(options);
  // Without weights only its presence counts; what cannot be read is told all the same.
  if (options.calibration !== undefined) await calibrationOf(parts, options.calibration);
  for (const tower of cutTowers(parts, wantedTowers(parts, opened, options.components), call)) {
    const prepared = await prepareTower(tower, {
      artifacts,
      plugin: opened.plugin,
      onPrepared: progressTeller(parts, tower.modality, "compile"),
      call,
      defer: options.compile === false,
    });
    towers.set(tower.modality, prepared);
  }
  return { modelType: opened.modelType, towers };
}
