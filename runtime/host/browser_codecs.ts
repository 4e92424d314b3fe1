/** The WASM of the picture codecs, which lies beside the browser's bundle. */
import { FoveaError } from "../core/diagnostics.ts";

/** Addresses are literals, so that bundlers find the files. */
const FILES: ReadonlyMap<string, () => URL> = new Map([
  ["@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm", () => new URL("./mozjpeg_dec.wasm", import.meta.url)],
  ["@jsquash/webp/codec/dec/webp_dec.wasm", () => new URL("./webp_dec.wasm", import.meta.url)],
]);

/** @throws FoveaError `package.missing`, `fetch_failed` */
export async function codecFile(specifier: string): Promise<Uint8Array> {
  const url = FILES.get(specifier)?.();
  if (url === undefined) throw new FoveaError("package.missing", `The browser's bundle has no file ${specifier}.`);
  const response = await fetch(url);
  if (response.ok) return new Uint8Array(await response.arrayBuffer());
  throw new FoveaError(
    "fetch_failed",
    `${url.href} answered with status ${response.status}; serve the whole folder of fovea's browser bundle.`,
  );
}
