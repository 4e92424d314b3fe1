/** Made-up vectors for tests of their files. */
import type { VectorHead, VectorTable } from "../../runtime/bulk/mod.ts";

export const HEAD: VectorHead = {
  model: "hf:acme/eyes",
  modelType: "clip",
  modelDigest: "ab".repeat(32),
  revision: `acme/eyes@${"c".repeat(40)}`,
  modality: "vision",
  output: "image_embeds",
  dtype: "f32",
};

/** Rows whose vectors hold numbers of all sizes, -0 and subnormal ones included. */
export function madeUpTable(count: number, width: number): VectorTable {
  const rows = Array.from({ length: count }, (_, i) => ({
    path: i % 7 === 3 ? `fotos/größe ${i} "x", y.png` : `photos/${i}.png`,
    digest: i.toString(16).padStart(64, "0"),
    size: i === 0 ? 2 ** 40 + 1 : i,
  }));
  const vectors = new Float32Array(count * width);
  const special = [-0, 1e-42, -3.4e38, 1, 0];
  for (let i = 0; i < vectors.length; i++) {
    vectors[i] = i < special.length ? special[i] : Math.fround(((i * 2654435761) % 2 ** 32) / 2 ** 31 - 1);
  }
  return { head: HEAD, rows, width, vectors };
}
