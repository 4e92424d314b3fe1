/** Digests of downloads; files of many gigabytes need the runtime's own. */
import { createHash } from "node:crypto";

export interface Digest {
  update(bytes: Uint8Array): void;
  /** Lower-case hexadecimal digits; ends the digest. */
  hex(): string;
}

export function createDigest(algorithm: "sha1" | "sha256"): Digest {
  const hash = createHash(algorithm);
  return {
    update: (bytes) => {
      hash.update(bytes);
    },
    hex: () => hash.digest("hex"),
  };
}
