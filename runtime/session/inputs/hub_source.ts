/** Models of the hub as sources: kept in a folder where one can be had, else read over the network. */
import { FoveaError } from "../../core/diagnostics.ts";
import type { Host } from "../../host/mod.ts";
import type { HubFiles } from "../../hub/open_hub.ts";
import type { HubSettings, Progress, RuntimeOptions } from "../options.ts";

/** What of a runtime's options a source of the hub needs. */
export interface HubContext {
  readonly settings: HubSettings;
  readonly cache?: RuntimeOptions["cache"] | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly onProblem?: ((sentence: string) => void) | undefined;
}

/** The folder of pulled models: the one given, else `hub` in the cache's folder, else in the platform's. */
export function modelsFolder(host: Host, { settings, cache }: HubContext): string | undefined {
  // Files of a page are written whole; what it fetches the browser keeps.
  if (settings.folder === false || host.base !== undefined) return undefined;
  const caches = typeof cache === "string" ? cache : host.defaultCacheDir();
  return settings.folder ?? (caches === undefined ? undefined : `${caches}/hub`);
}

/** @param to the model's own folder, in the place of one among the pulled models */
export async function openHubFiles(
  reference: string,
  host: Host,
  context: HubContext,
  { signal, to }: { readonly signal?: AbortSignal | undefined; readonly to?: string } = {},
): Promise<HubFiles> {
  const { openHub } = await import("../../hub/open_hub.ts");
  const { settings, onProgress } = context;
  return openHub(reference, {
    host,
    endpoint: settings.endpoint,
    token: settings.token,
    offline: settings.offline ?? false,
    models: modelsFolder(host, context),
    ...(to === undefined ? {} : { to }),
    signal,
    onProgress: ({ done, total, file }) => onProgress?.({ phase: "download", modality: "", done, total, item: file }),
  });
}

const UNWRITABLE: ReadonlySet<string> = new Set(["file.denied", "file.read_only"]);

/** As {@link openHubFiles}; where the folder cannot be written, files that keep nothing, and that is told once. */
export async function openKeptOrStreamed(
  reference: string,
  host: Host,
  context: HubContext,
  signal: AbortSignal | undefined,
): Promise<HubFiles> {
  const files = await openHubFiles(reference, host, context, { signal });
  try {
    await files.manifest();
    return files;
  } catch (error) {
    if (!(error instanceof FoveaError) || !UNWRITABLE.has(error.code)) throw error;
    context.onProblem?.(`${error.message} ${reference} is read over the network and not kept.`);
    const streamed = { ...context, settings: { ...context.settings, folder: false as const } };
    return openHubFiles(reference, host, streamed, { signal });
  }
}
