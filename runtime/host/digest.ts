/** Digests of `node:crypto`. Downloads are files of many gigabytes, and a process that begins has optimised no other. */
import { createHash } from "node:crypto";

export interface Digest {
  update(bytes: Uint8Array): void;
  /** Lower-case hexadecimal digits; ends the digest. */
  hex(): string;
}

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

function digestOf(algorithm: "sha1" | "sha256"): Digest {
  const hash = createHash(algorithm);
  return {
    update: (bytes) => {
      hash.update(bytes);
    },
    hex: () => hash.digest("hex"),
  };
}

export const createDigest = (): Digest => digestOf("sha256");

export const createSha1 = async (): Promise<Digest> => digestOf("sha1");
