/** Bytes of artifacts: canonical JSON, so that equal artifacts have equal digests everywhere. */
import { ARTIFACT_FORMAT, type Artifact, type StepList } from "../abi/artifact.ts";
import { canonicalJson } from "../core/canonical_json.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { digestBytes } from "../core/digest.ts";

export function encodeArtifact(artifact: Artifact): Uint8Array {
  return new TextEncoder().encode(canonicalJson(artifact));
}

/** An artifact's bytes, and their digest. */
export interface EncodedArtifact {
  readonly bytes: Uint8Array;
  readonly digest: string;
}

export function encodeWithDigest(artifact: Artifact): EncodedArtifact {
  const bytes = encodeArtifact(artifact);
  return { bytes, digest: digestBytes(bytes) };
}

/** @throws FoveaError `invalid_artifact` when the bytes are no artifact of this format. */
export function decodeArtifact(bytes: Uint8Array): Artifact {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new FoveaError("invalid_artifact", "A cached artifact is not readable as JSON; it will be compiled again.", {
      cause,
    });
  }
  const a = value as Partial<Artifact> | null;
  if (a === null || typeof a !== "object" || a.format !== ARTIFACT_FORMAT || !Array.isArray(a.steps)) {
    throw new FoveaError(
      "invalid_artifact",
      `A cached artifact has another format than ${ARTIFACT_FORMAT}; it will be compiled again.`,
    );
  }
  return value as Artifact;
}

function addCode(list: StepList, found: Set<string>): void {
  for (const s of list.steps) found.add(s.code);
  for (const w of list.weights) if (w.prologue !== undefined) addCode(w.prologue, found);
}

/** Digests of every code blob that the artifact's steps and prologues name. */
export function codeDigests(artifact: Artifact): readonly string[] {
  const found = new Set<string>();
  addCode(artifact, found);
  return [...found].sort();
}
