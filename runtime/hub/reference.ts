/** `hf:organisation/name@revision`: a model of the Hugging Face hub. */
import { FoveaError } from "../core/diagnostics.ts";

export interface HubReference {
  /** `organisation/name` */
  readonly repository: string;
  /** Branch, tag or commit. */
  readonly revision: string;
  /** As it was written. */
  readonly text: string;
}

const REFERENCE = /^hf:([\w][\w.-]*\/[\w][\w.-]*)(?:@([\w][\w./-]*))?$/;

/** @throws FoveaError `bad_source` */
export function parseHubReference(text: string): HubReference {
  const found = REFERENCE.exec(text);
  if (found === null || text.includes("..")) {
    throw new FoveaError(
      "bad_source",
      `"${text}" is no model of the hub; write hf:organisation/name or hf:organisation/name@revision.`,
    );
  }
  return { repository: found[1], revision: found[2] ?? "main", text };
}

/** The folder of a model's revision in a folder of models. */
export function modelFolder(models: string, { repository, revision }: HubReference): string {
  return `${models}/${repository.replace("/", "--")}@${encodeURIComponent(revision)}`;
}
