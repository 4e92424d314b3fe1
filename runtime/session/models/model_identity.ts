/** What tells a model's vectors from those of any other: a commit of the hub, or its files' content. */
import { canonicalJson } from "../../core/canonical_json.ts";
import type { CheckpointFiles } from "../../exec/weights/checkpoint.ts";
import type { Host } from "../../host/mod.ts";
import { openHubFiles } from "../inputs/hub_source.ts";
import { addressOf, type ModelSource } from "../inputs/source.ts";
import type { RuntimeParts } from "../runtime_parts.ts";
import { openFiles } from "./model_access.ts";
import { type OpenedModel, openModel, readJson } from "./model_files.ts";

/** What tells a model from others: of equal digests configuration, processors and weights are the same. */
export interface ModelIdentity {
  /** `model_type` of the configuration. */
  readonly modelType: string;
  /** SHA-256 in hexadecimal: of repository and commit for models of the hub, else of configuration, processors and weights. */
  readonly digest: string;
  /** `organisation/name@commit`, for models of the hub and folders that were pulled from it. */
  readonly revision?: string;
}

/** Files of weights and of what says which of them hold what. */
const WEIGHTS = /^model.*\.safetensors(\.index\.json)?$/;

const SLICE_BYTES = 4 * 2 ** 20;

/** `organisation/name@commit` of a source that is of the hub. */
async function revisionOf({ host, options }: RuntimeParts, source: ModelSource): Promise<string | undefined> {
  const { hub: settings = {}, cache, onProgress, onProblem } = options;
  if (typeof source === "string" && source.startsWith("hf:")) {
    const { repository, commit } = await (
      await openHubFiles(source, host, { settings, cache, onProgress, onProblem })
    ).manifest();
    return `${repository}@${commit}`;
  }
  const folder = folderOf(host, source);
  if (folder === undefined) return undefined;
  const { readManifest } = await import("../../hub/manifest.ts");
  const pulled = await readManifest(host, folder);
  return pulled === undefined ? undefined : `${pulled.repository}@${pulled.commit}`;
}

function folderOf(host: Host, source: ModelSource): string | undefined {
  if (typeof source !== "string" && !(source instanceof URL)) return undefined;
  const url = typeof source === "string" ? addressOf(source, host) : source;
  if (url === undefined) return String(source);
  return url.protocol === "file:" ? host.pathOf(url) : undefined;
}

async function contentDigest(host: Host, files: CheckpointFiles, { files: read, model }: OpenedModel): Promise<string> {
  const digest = host.createDigest();
  const config = await readJson(files, "config.json");
  digest.update(new TextEncoder().encode(canonicalJson({ config, read })));
  const own = (await files.list()).filter((file) => WEIGHTS.test(file));
  for (const name of [...own, ...Object.keys(model.weightFiles ?? {})]) {
    const source = await files.open(name);
    try {
      digest.update(new TextEncoder().encode(`\n${name} ${source.size}\n`));
      const slice = new Uint8Array(Math.min(SLICE_BYTES, source.size));
      for (let at = 0; at < source.size; ) {
        const length = await source.read(slice, at);
        if (length === 0) break;
        digest.update(slice.subarray(0, length));
        at += length;
      }
    } finally {
      await source.close();
    }
  }
  return digest.hex();
}

/** @throws FoveaError as opening a model does */
export async function identifyModel(parts: RuntimeParts, source: ModelSource): Promise<ModelIdentity> {
  const files = await openFiles(parts, source);
  const opened = await openModel(files, parts.encoders);
  const { modelType } = opened;
  const revision = await revisionOf(parts, source);
  if (revision === undefined) return { modelType, digest: await contentDigest(parts.host, files, opened) };
  const digest = parts.host.createDigest();
  digest.update(new TextEncoder().encode(revision));
  return { modelType, digest: digest.hex(), revision };
}
