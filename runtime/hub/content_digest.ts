/** Digests of whole files, as the hub lists them. */
import { FoveaError } from "../core/diagnostics.ts";
import type { Digest, Host } from "../host/mod.ts";
import type { RemoteFile } from "./repository.ts";

/** Git's digest of a file has a head; large files have one of their bytes alone. */
export async function startDigest(host: Host, file: RemoteFile): Promise<Digest> {
  if (file.sha256 !== undefined) return host.createDigest();
  const digest = await host.createSha1();
  digest.update(new TextEncoder().encode(`blob ${file.size}\0`));
  return digest;
}

/** @throws FoveaError `hub.wrong_digest` */
export function checkDigest(digest: Digest, file: RemoteFile, name: string): void {
  const [kind, expected] = file.sha256 === undefined ? ["git SHA-1", file.oid] : ["SHA-256", file.sha256];
  const found = digest.hex();
  if (found === expected) return;
  throw new FoveaError(
    "hub.wrong_digest",
    `${name} arrived damaged: its ${kind} is ${found}; expected ${expected}. What came was thrown away; try again.`,
  );
}
