/** Pictures and recordings as requests hold them: data URIs, bare base64, addresses. */
import { decodeBytes } from "./base64.ts";
import { HttpError } from "./http_error.ts";
import type { FetchImage } from "./remote_images.ts";

/** How pictures by address are fetched: not where no host is allowed, and nowhere where addresses cannot be checked. */
export type ImageFetching = FetchImage | "not allowed" | "not possible";

/** A text whose first characters make it a data URI, which holds a picture whatever type it names, or nothing that can be encoded. */
export const isDataUri = (text: string): boolean =>
  /^data:(?:image\/|[a-z]+\/[\w.+-]+(?:;[^;,]*)*,|(?:;[^;,]*)*;base64,)/i.test(text);

const isAddress = (text: string): boolean => /^[a-z][a-z\d+.-]*:\/\//i.test(text);

const notInline = (what: string, param: string): HttpError =>
  new HttpError(
    400,
    "invalid_base64",
    `${what} is neither a data URI nor base64; send the file's bytes as data:image/png;base64,… or as base64 alone.`,
    { param },
  );

/** Percent-encoded characters as they are; nothing for what is encoded wrongly. */
function unescaped(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** The bytes of a data URI (RFC 2397) or of bare base64. @throws HttpError `invalid_base64` */
export function inlineBytes(text: string, what: string, param: string): Uint8Array {
  const [head, base64] = /^data:[^,]*?(;base64)?,/i.exec(text) ?? ["", ";base64"];
  const body = head === "" ? text : unescaped(text.slice(head.length));
  const bytes =
    body === undefined ? undefined : base64 === undefined ? new TextEncoder().encode(body) : decodeBytes(body);
  if (bytes === undefined || bytes.length === 0) throw notInline(what, param);
  return bytes;
}

/**
 * The bytes of a picture.
 * @throws HttpError `invalid_base64`, `image_url.*`
 */
export async function imageBytes(
  text: string,
  what: string,
  param: string,
  fetchImage: ImageFetching,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (!isAddress(text)) return inlineBytes(text, what, param);
  if (typeof fetchImage === "string") {
    const advice = fetchImage === "not allowed" ? ", or start the server with --allow-images-from" : "";
    throw new HttpError(
      400,
      "image_url.off",
      `${what} is an address, and this server fetches none. Send the picture as a data URI${advice}.`,
      { param },
    );
  }
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new HttpError(400, "image_url.invalid", `${what} is not a valid address.`, { param });
  }
  return fetchImage(url, signal);
}

/** Pictures that are fetched at once for a request. */
const AT_ONCE = 8;

/** Does `work` for each element, a few at a time; results in their order. */
export async function inTurns<T, R>(list: readonly T[], work: (one: T, index: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < list.length) {
      const index = next++;
      results[index] = await work(list[index], index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, list.length) }, worker));
  return results;
}
