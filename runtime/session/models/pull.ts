/** Fetching a model of the hub before it is used. */
import type { Modality } from "../../abi/encoder.ts";
import type { Plugin } from "../../abi/plugin.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { missingWeightFile } from "../../exec/weights/checkpoint.ts";
import { detectHost } from "../../host/mod.ts";
import { allOps } from "../artifacts/all_ops.ts";
import { checkOptions, FUNCTION, isObject, SIGNAL, TEXT, TEXTS } from "../check.ts";
import { type HubContext, modelsFolder, openHubFiles } from "../inputs/hub_source.ts";
import { checkHubSettings, type HubSettings, type Progress } from "../options.ts";
import { encodersOf } from "../registry/encoder_plugins.ts";
import { firstPartyPlugins } from "../registry/first_party.ts";
import { checkComponents, openModel } from "./model_files.ts";
import { createSelect } from "./select_tensors.ts";

/** What is fetched of a model, and where to. */
export interface PullOptions {
  /** Towers to fetch the weights of; all that the configuration has unless given. */
  readonly components?: readonly Modality[];
  /** The model's own folder, instead of one among the pulled models: it can be loaded by its path then. */
  readonly to?: string;
  /** How the hub is reached, and where pulled models lie. */
  readonly hub?: HubSettings;
  /** The cache's folder, in whose `hub` models are pulled; the platform's unless given. */
  readonly cache?: string;
  /** False takes the commit that is there, if one is. */
  readonly refresh?: boolean;
  /** Other files that are fetched as well, by name. */
  readonly also?: (name: string) => boolean;
  /** Encoders; first-party plugins are used when left out. */
  readonly plugins?: readonly Plugin[];
  /** Told of bytes as they come. */
  readonly onProgress?: (progress: Progress) => void;
  /** Ends the download; what came so far is kept, and the next pull goes on from there. */
  readonly signal?: AbortSignal;
}

/** What is in a model's folder now. */
export interface PulledModel {
  /** `organisation/name`. */
  readonly repository: string;
  /** Branch, tag or commit that was asked for. */
  readonly revision: string;
  /** Commit that the revision stands for. */
  readonly commit: string;
  /** Path that `load` takes. */
  readonly folder: string;
  /** `model_type` of the configuration. */
  readonly modelType: string;
  /** Towers whose weights are there. */
  readonly components: readonly Modality[];
  /** Name and bytes of each file. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** Bytes of all files. */
  readonly bytes: number;
  /** Bytes that came over the network this time. */
  readonly fetchedBytes: number;
}

/**
 * Fetches of a model what its encoder reads: configuration, processor and tokenizer files, and the towers' tensors. A newer
 * commit of the revision is looked for unless `refresh` is false or `hub.offline` is set; what is there already stays.
 * @param reference `hf:organisation/name`, with `@revision`
 * @throws FoveaError `bad_source`, `hub.not_found`, `hub.denied`, `hub.busy`, `hub.offline`, `hub.wrong_digest`,
 * `hub.broken`, `fetch_failed`, and those of configurations and files
 */
export async function pullModel(reference: string, options: PullOptions = {}): Promise<PulledModel> {
  checkOptions("pullModel", options, {
    components: TEXTS,
    to: TEXT,
    hub: { text: "an object of settings", holds: isObject },
    cache: TEXT,
    refresh: { text: "true or false", holds: (v) => typeof v === "boolean" },
    also: FUNCTION,
    plugins: { text: "a list of plugins", holds: Array.isArray },
    onProgress: FUNCTION,
    signal: SIGNAL,
  });
  const { hub: settings = {}, to, signal } = options;
  checkHubSettings(settings);
  const host = await detectHost();
  const plugins = options.plugins ?? (await firstPartyPlugins());
  const context: HubContext = { settings, cache: options.cache, onProgress: options.onProgress };
  const folder = to ?? modelsFolder(host, context);
  if (folder === undefined) {
    throw new FoveaError(
      "no_folder",
      `There is no folder to pull ${reference} into: ${settings.folder === false ? "`hub.folder` is false (--no-cache)" : "the platform's folder for caches is unknown or not permitted"}. Name one with --cache, or with --to (\`to\`).`,
    );
  }
  if (to !== undefined) {
    const { OWN_FOLDER } = await import("../../hub/manifest.ts");
    const { checkOwnFolder } = await import("../../host/own_folder.ts");
    await checkOwnFolder(host, to, OWN_FOLDER, [OWN_FOLDER], "pulled", "pull");
  }
  const files = await openHubFiles(reference, host, context, { signal, ...(to === undefined ? {} : { to }) });
  if (settings.offline !== true && options.refresh !== false) await files.refresh();
  const { modelType, model } = await openModel(files, encodersOf(plugins));
  checkComponents(modelType, model, options.components);
  const towers = model.towers.filter((t) => options.components?.includes(t.modality) ?? true);
  const { listing } = await files.manifest();
  const further = Object.keys(model.weightFiles ?? {});
  const absent = further.find((name) => !listing.some((file) => file.name === name));
  if (absent !== undefined) throw missingWeightFile(files.description, absent);
  await files.prepare(createSelect(model, towers, allOps(plugins)));
  for (const name of further) await files.fetch(name);
  for (const { name } of listing) if (options.also?.(name) === true) await files.fetch(name);
  const manifest = await files.manifest();
  const held = Object.entries({ ...manifest.files, ...manifest.weights })
    .map(([name, { size }]) => ({ name, bytes: size }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    repository: manifest.repository,
    revision: manifest.revision,
    commit: manifest.commit,
    folder: files.folder ?? folder,
    modelType,
    components: towers.map((t) => t.modality),
    files: held,
    bytes: held.reduce((n, f) => n + f.bytes, 0),
    fetchedBytes: files.fetchedBytes,
  };
}
