/** The bytes behind a path or an address, with their digest. */
import { FoveaError } from "../core/diagnostics.ts";
import type { Host } from "../host/mod.ts";
import { isAddress } from "./find_files.ts";

export interface Content {
  readonly bytes: Uint8Array;
  /** SHA-256, lower-case hexadecimal. */
  readonly digest: string;
}

const TIMEOUT_MS = 60_000;

async function fetched(address: string, signal: AbortSignal): Promise<Uint8Array> {
  try {
    const response = await fetch(address, { signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) });
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    await response.body?.cancel();
    throw new FoveaError("fetch_failed", `${address} answered with status ${response.status}. Check the address.`);
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof FoveaError) throw cause;
    const why = (cause instanceof Error ? cause.message : String(cause)).replace(/[.!?]$/, "");
    throw new FoveaError(
      "fetch_failed",
      `${address} cannot be fetched: ${why}. Check the address and the connection.`,
      {
        cause,
      },
    );
  }
}

/** @throws FoveaError `file.not_found` and others of files, `fetch_failed` */
export async function readContent(host: Host, path: string, signal: AbortSignal): Promise<Content> {
  const bytes = /^https?:/i.test(path)
    ? await fetched(path, signal)
    : await host.readFile(isAddress(path) ? host.pathOf(new URL(path)) : path);
  const digest = host.createDigest();
  digest.update(bytes);
  return { bytes, digest: digest.hex() };
}
