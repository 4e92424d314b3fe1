/** Bodies of requests, JSON or forms, against their schemas. */
import type { Context } from "hono";
import * as v from "valibot";
import { nearest } from "../core/diagnostics.ts";
import { didYouMean, foundText, isObject } from "../session/check.ts";
import { HttpError, short } from "./http_error.ts";
import { orAborted } from "./or_aborted.ts";
import type { RequestSchema } from "./schemas.ts";

/** A body's media type without parameters. */
export const mediaType = (c: Context): string =>
  (c.req.header("content-type") ?? "").split(";")[0].trim().toLowerCase();

const tooLarge = (most: number): HttpError =>
  new HttpError(
    413,
    "body_too_large",
    `The body has more than ${most} bytes, the limit of this server; send fewer or smaller inputs at once.`,
  );

/** How a body is read: bytes at most, and what ends the reading of one that does not come. */
export interface BodyLimits {
  readonly most: number;
  readonly signal: AbortSignal;
}

/** Bytes of a body that is too large which are read all the same, and milliseconds for them. */
const PASSED_OVER = { bytes: 8 * 2 ** 20, ms: 5000 };

/** Reads a body that is not wanted, within bounds: who still sends when the connection is closed may not see the answer. */
export async function passOver(c: Context): Promise<void> {
  if (c.req.raw.bodyUsed) return;
  const reader = c.req.raw.body?.getReader();
  if (reader === undefined) return;
  const timer = setTimeout(() => void reader.cancel().catch(() => {}), PASSED_OVER.ms);
  try {
    for (let left = PASSED_OVER.bytes; left > 0; ) {
      const { done, value } = await reader.read();
      if (done) return;
      left -= value.length;
    }
    await reader.cancel();
  } catch {
    // A client that left has no answer to see.
  } finally {
    clearTimeout(timer);
  }
}

/** All bytes of the body. @throws HttpError `unsupported_encoding`, `body_too_large`; the signal's reason */
async function readBytes(c: Context, limits: BodyLimits): Promise<Uint8Array<ArrayBuffer>> {
  const { most, signal } = limits;
  const coding = (c.req.header("content-encoding") ?? "").trim();
  if (!/^(identity)?$/i.test(coding)) {
    throw new HttpError(
      415,
      "unsupported_encoding",
      `The body's content-encoding is ${short(coding)}, and compressed bodies are not read here; send it as it is.`,
    );
  }
  const length = c.req.header("content-length");
  if (Number(length ?? 0) > most) {
    await passOver(c);
    throw tooLarge(most);
  }
  try {
    if (length === undefined) return await readStream(c, limits);
    // Connections hold bodies to the length that was told, and servers read such a one faster than a stream.
    const bytes = new Uint8Array(await orAborted(c.req.raw.arrayBuffer(), signal));
    if (bytes.length > most) throw tooLarge(most);
    return bytes;
  } catch (error) {
    if (error instanceof HttpError) throw error;
    // Deno tells only here of a connection that ended within the body.
    throw new HttpError(499, "client_left", "The client left before its body was there.", { cause: error });
  }
}

/** The same of a body whose length nobody told. */
async function readStream(c: Context, { most, signal }: BodyLimits): Promise<Uint8Array<ArrayBuffer>> {
  const reader = c.req.raw.body?.getReader();
  if (reader === undefined) return new Uint8Array(0);
  const parts: Uint8Array[] = [];
  let size = 0;
  const stop = (): void => void reader.cancel(signal.reason).catch(() => {});
  signal.addEventListener("abort", stop, { once: true });
  try {
    signal.throwIfAborted();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      size += part.value.length;
      if (size > most) {
        void reader.cancel().catch(() => {});
        throw tooLarge(most);
      }
      parts.push(part.value);
    }
    // A reader that was cancelled ends as if all were read.
    signal.throwIfAborted();
  } finally {
    signal.removeEventListener("abort", stop);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const invalidBody = (what: string, cause: unknown): HttpError =>
  new HttpError(400, "invalid_body", `The body is no ${what}; check it and its content-type.`, { cause });

const pathText = (issue: v.BaseIssue<unknown>): string =>
  (issue.path ?? [])
    .map(({ key }, i) => (typeof key === "number" ? `[${key}]` : i === 0 ? String(key) : `.${String(key)}`))
    .join("");

/** What a body calls fields of JSON that it has under other names. */
export type FieldNames = Readonly<Record<string, string>>;

/** The first thing that is wrong, as a sentence. */
function refusal(
  issues: readonly [v.BaseIssue<unknown>, ...v.BaseIssue<unknown>[]],
  known: readonly string[],
  given: readonly string[],
  names: FieldNames,
): HttpError {
  const [issue] = issues;
  const path = pathText(issue).replace(/^\w+/, (name) => names[name] ?? name);
  const field = String(issue.path?.[0]?.key ?? "");
  if (issue.type === "strict_object" && issue.expected === "never") {
    const isTop = issue.path?.length === 1;
    const sentence = isTop
      ? `There is no field "${short(field)}"; this request takes ${known.join(", ")}.${didYouMean(field, known)}`
      : `There is no field \`${short(path)}\` in this request.`;
    return new HttpError(400, "unknown_field", sentence, { param: short(path) });
  }
  if (issue.received === "undefined") {
    const odd = given.find((name) => !known.includes(name) && nearest(name, [path]) !== undefined);
    const instead = odd === undefined ? "" : `; "${short(odd)}" is no field of this request`;
    return new HttpError(400, "missing_field", `The field \`${path}\` is missing${instead}.`, { param: path });
  }
  return new HttpError(400, "invalid_field", `The field \`${short(path)}\` ${wrong(issue)}.`, { param: short(path) });
}

/** How types read in a sentence; whole numbers are known by their action alone. */
const TYPES: Readonly<Record<string, string>> = {
  Array: "a list",
  Object: "an object",
  string: "a text",
  number: "a number",
  boolean: "true or false",
};

/** What was found and what is expected, as the rest of a sentence. */
function wrong({ type, received, expected, message }: v.BaseIssue<unknown>): string {
  // A schema that has a sentence of its own.
  if (!message.startsWith("Invalid")) return message;
  const plain = type === "integer" ? "a whole number" : TYPES[expected ?? ""];
  if (plain !== undefined) return `is ${TYPES[received] ?? short(received)}; expected ${plain}`;
  const bound = (expected ?? "").replace(/^>=/, "at least ").replace(/^<=/, "at most ");
  if (/_length$/.test(type)) return `has ${received} elements; expected ${bound}`;
  return `is ${short(received)}; expected ${bound.replace(/^\(|\)$/g, "").replaceAll(" | ", " or ")}`;
}

/**
 * The body as its schema has it. A field of null counts as left out: clients in typed languages send those that way.
 * @throws HttpError `unknown_field`, `missing_field`, `invalid_field`
 */
export function checked<T>({ schema, fields }: RequestSchema<T>, value: unknown, names: FieldNames = {}): T {
  if (!isObject(value) || Array.isArray(value)) {
    throw new HttpError(
      400,
      "invalid_field",
      `The body is ${typeof value === "string" ? "a text" : foundText(value)}; expected an object with any of ${fields.join(", ")}.`,
    );
  }
  const given = Object.fromEntries(
    Object.entries(value).filter(([name, own]) => own !== null || !fields.includes(name)),
  );
  const found = v.safeParse(schema, given, { abortEarly: true });
  if (found.success) return found.output;
  throw refusal(found.issues, fields, Object.keys(given), names);
}

/**
 * A body of JSON.
 * @param types what the route takes, for the refusal of other types
 * @throws HttpError `invalid_body`, `unsupported_media_type`, `unsupported_encoding`, `body_too_large`; the signal's reason
 */
export async function readJson(c: Context, limits: BodyLimits, types = "application/json"): Promise<unknown> {
  const type = mediaType(c);
  if (type !== "" && type !== "application/json" && !type.endsWith("+json")) {
    throw new HttpError(415, "unsupported_media_type", `The body's type is ${short(type)}; expected ${types}.`);
  }
  const bytes = await readBytes(c, limits);
  let text: string;
  try {
    // Otherwise bytes that are none would become other characters, and their embedding another text's.
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw invalidBody("text in UTF-8", cause);
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalidBody("JSON", cause);
  }
}

/** Types of bodies of routes that take files. */
export const JSON_OR_FORM: string = "application/json or multipart/form-data";

/** @throws HttpError `invalid_body`, `unsupported_encoding`, `body_too_large`; the signal's reason */
export async function readForm(c: Context, limits: BodyLimits): Promise<FormData> {
  const bytes = await readBytes(c, limits);
  try {
    return await new Response(bytes, { headers: { "content-type": c.req.header("content-type") ?? "" } }).formData();
  } catch (cause) {
    throw invalidBody("multipart form", cause);
  }
}

/** A form's single texts, those of them that it has. */
export function textFields(form: FormData, names: readonly string[]): Readonly<Record<string, string>> {
  const given = names.map((name) => [name, form.get(name)] as const);
  return Object.fromEntries(given.filter((field): field is [string, string] => typeof field[1] === "string"));
}

/** Texts of a form that are separated by commas, over all fields of the name. */
export function listField(form: FormData, name: string): readonly string[] {
  return form.getAll(name).flatMap((value) => (typeof value === "string" ? value.split(",").map((t) => t.trim()) : []));
}

/**
 * Refuses fields that a form does not take, and files in the place of texts.
 * @param files those of `known` that may be files
 * @throws HttpError `unknown_field`, `invalid_field`
 */
export function checkFields(form: FormData, known: readonly string[], files: readonly string[]): void {
  for (const [field, value] of form) {
    if (known.includes(field)) {
      if (typeof value === "string" || files.includes(field)) continue;
      throw new HttpError(
        400,
        "invalid_field",
        `The field \`${field}\` is a file; expected a text (of curl -F '${field}=<file', with < in the place of @).`,
        { param: field },
      );
    }
    throw new HttpError(
      400,
      "unknown_field",
      `There is no field "${short(field)}"; this form takes ${known.join(", ")}.${didYouMean(field, known)}`,
      { param: short(field) },
    );
  }
}
