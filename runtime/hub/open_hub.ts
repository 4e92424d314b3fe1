/** The room's front door. */
import type { Host } from "../host/mod.ts";
import { hubAccess } from "./access.ts";
import { HubFiles } from "./hub_files.ts";
import type { HubProgress } from "./hub_options.ts";
import { modelFolder, parseHubReference } from "./reference.ts";

export type { HubFiles } from "./hub_files.ts";
export type { HubProgress, Select, Selection } from "./hub_options.ts";

export interface OpenHubOptions {
  readonly host: Host;
  /** Address of the hub; HF_ENDPOINT or the public one unless given. */
  readonly endpoint?: string | undefined;
  /** HF_TOKEN or that of a login unless given. */
  readonly token?: string | undefined;
  readonly offline: boolean;
  /** Folder with a folder for each model. */
  readonly models: string | undefined;
  /** The model's own folder, in the place of one in `models`. */
  readonly to?: string | undefined;
  /** Milliseconds before a request is tried again. */
  readonly firstWait?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: HubProgress) => void) | undefined;
}

/**
 * @param text `hf:organisation/name`, with `@revision`
 * @throws FoveaError `bad_source`, `bad_token`, `bad_endpoint`
 */
export async function openHub(text: string, options: OpenHubOptions): Promise<HubFiles> {
  const { host, models, to, offline, firstWait, signal, onProgress } = options;
  const reference = parseHubReference(text);
  const folder = to ?? (models === undefined ? undefined : modelFolder(models, reference));
  return new HubFiles({
    host,
    reference,
    access: await hubAccess(host, options),
    folder,
    offline,
    firstWait,
    signal,
    onProgress,
  });
}
