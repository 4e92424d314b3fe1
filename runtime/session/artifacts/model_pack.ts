/** A model's pack in a folder: what `runtime.buildPack` does. */
import { VERSION } from "../../core/version.ts";
import { type PackManifest, writePack } from "../../exec/pack.ts";
import { checkFolderPath } from "../check_folder.ts";
import { compileLayers, weightSettingsOf } from "../config/settings.ts";
import { cutComponents } from "../inputs/pixels.ts";
import type { ModelSource } from "../inputs/source.ts";
import { calibrationOf, cutTowers, openConfigured, wantedTowers } from "../models/model_access.ts";
import type { BuildPackOptions } from "../options.ts";
import { firstPartyPlugins } from "../registry/first_party.ts";
import type { RuntimeParts } from "../runtime_parts.ts";
import { type PackRequest, packItems } from "./build_pack.ts";
import { packFolder } from "./pack_folder.ts";

/** @throws FoveaError `unknown_target`, what compiling throws, `folder_in_use`, `file.*` where the folder cannot be written */
export async function buildModelPack(
  parts: RuntimeParts,
  source: ModelSource,
  folder: string,
  options: BuildPackOptions,
): Promise<PackManifest> {
  checkFolderPath("buildPack", folder);
  const { host, device, ops, places, options: own } = parts;
  const { components, targets, calibration } = options;
  const call = weightSettingsOf(options);
  if (calibration !== undefined) await calibrationOf(parts, calibration);
  const written = await packFolder(host, folder);
  const plugins = own.plugins === undefined ? await firstPartyPlugins() : parts.plugins;
  const opened = await openConfigured(parts, source);
  const towers = cutTowers(parts, wantedTowers(parts, opened, components), call);
  const { pixels } = towers.some((t) => t.modality === "vision") ? opened.model.processors(opened.files) : {};
  const request: Omit<PackRequest, "components"> = {
    targets: targets ?? [device.target],
    layers: compileLayers(own.compile),
    home: places.home,
    ...{ plugins, ops },
    findPlace: (place) => host.originalPlace(place),
    onCompiled: (done, total, item) => own.onProgress?.({ phase: "compile", modality: "", done, total, item }),
  };
  const ofTowers = await packItems({ ...request, components: towers.flatMap((t) => t.components), call });
  // A cut has no weights, and a runtime asks for it without the call's type of them.
  const ofCuts = pixels === undefined ? [] : await packItems({ ...request, components: cutComponents(pixels) });
  return writePack(written, [...ofTowers, ...ofCuts], { fovea: VERSION, model: opened.modelType });
}
