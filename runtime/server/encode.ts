/** `POST /v1/encode`: any results of any inputs, as JSON, line by line, as files, or for a vLLM server. */
import { accepts } from "hono/accepts";
import type { Modality } from "../abi/encoder.ts";
import { didYouMean } from "../session/check.ts";
import type { Encoder } from "../session.ts";
import { HttpError, short } from "./http_error.ts";
import { jsonItem, jsonLines } from "./json_lines.ts";
import type { Lease } from "./models.ts";
import { type ImageFetching, imageBytes, inlineBytes, inTurns } from "./pictures.ts";
import {
  type BodyLimits,
  checked,
  checkFields,
  type FieldNames,
  JSON_OR_FORM,
  listField,
  mediaType,
  readForm,
  readJson,
  textFields,
} from "./read_body.ts";
import { ENCODE_REQUEST, type EncodeRequest, type Format } from "./schemas.ts";
import type { ServerContext, Service } from "./service.ts";
import { fileAnswer, joinedResults } from "./tensor_answers.ts";
import { embedsOutputs, embedsPart } from "./vllm.ts";
import { encodeInOrder, GROWTH, modalityOf, type WorkContext, type WorkInput } from "./work.ts";

const ACCEPTED: Readonly<Record<string, Format>> = {
  "application/json": "json",
  "application/x-ndjson": "ndjson",
  "application/x-npy": "npy",
  "application/vnd.safetensors": "safetensors",
  "application/x-torch": "torch",
};

const formatOf = (c: ServerContext, { format }: EncodeRequest): Format =>
  format ??
  ACCEPTED[accepts(c, { header: "Accept", supports: Object.keys(ACCEPTED), default: "application/json" })] ??
  "json";

const FORM_FIELDS = ["model", "image", "text", "audio", "outputs", "format", "encoding_format", "dtype"];

/** Files of a form as bytes; texts stay data URIs or base64. */
export async function filesOf(form: FormData, name: string): Promise<(string | Uint8Array)[]> {
  return Promise.all(
    form
      .getAll(name)
      .map(async (value) => (typeof value === "string" ? value : new Uint8Array(await value.arrayBuffer()))),
  );
}

/** Fields of a form that have other names in JSON. */
const FORM_NAMES: FieldNames = { images: "image", texts: "text" };

/** A request, and what its body calls the fields of JSON that it has under other names. */
interface Read {
  readonly request: EncodeRequest;
  readonly names: FieldNames;
}

/** @throws HttpError for what is wrong with the body */
async function readRequest(c: ServerContext, limits: BodyLimits): Promise<Read> {
  if (mediaType(c) !== "multipart/form-data") {
    return { request: checked(ENCODE_REQUEST, await readJson(c, limits, JSON_OR_FORM)), names: {} };
  }
  const form = await readForm(c, limits);
  checkFields(form, FORM_FIELDS, ["image", "audio"]);
  const scalars = textFields(form, ["model", "format", "encoding_format", "dtype"]);
  const outputs = listField(form, "outputs");
  const texts = form.getAll("text");
  const [images, audio] = [await filesOf(form, "image"), await filesOf(form, "audio")];
  // The schema counts the files; their bytes are no texts.
  const counted = { images: images.map(() => ""), audio: audio.map(() => "") };
  const given = { ...scalars, texts, ...counted, ...(outputs.length === 0 ? {} : { outputs }) };
  const request = { ...checked(ENCODE_REQUEST, given, FORM_NAMES), images, audio };
  return { request, names: FORM_NAMES };
}

/** The pictures of a request: files of a form, or texts. @throws what {@link imageBytes} throws */
export function pictureInputs(
  images: readonly (string | Uint8Array)[],
  fetchImage: ImageFetching,
  signal: AbortSignal,
  { images: field = "images" }: FieldNames,
): Promise<readonly WorkInput[]> {
  return inTurns(images, async (image, i) => {
    if (typeof image !== "string") return { image };
    const what = `The picture at position ${i} of \`${field}\``;
    return { image: await imageBytes(image, what, field, fetchImage, signal) };
  });
}

/** @throws HttpError `nothing_to_encode`, and what reading pictures throws */
async function workInputs(
  { request, names }: Read,
  service: Service,
  signal: AbortSignal,
): Promise<readonly WorkInput[]> {
  const { images, texts, audio } = request;
  if (images.length + texts.length + audio.length === 0) {
    const [image, text] = [names.images ?? "images", names.texts ?? "texts"];
    throw new HttpError(
      400,
      "nothing_to_encode",
      `There is nothing to encode; give \`${image}\`, \`${text}\` or \`audio\`.`,
    );
  }
  return [
    ...(await pictureInputs(images, service.fetchImage, signal, names)),
    ...texts.map((text) => ({ text })),
    ...audio.map((clip, i) => ({
      audio:
        typeof clip === "string" ? inlineBytes(clip, `The recording at position ${i} of \`audio\``, "audio") : clip,
    })),
  ];
}

/** The wanted results by tower. @throws HttpError `unknown_output`, `no_output` */
function outputsOf(
  request: EncodeRequest,
  format: Format,
  encoder: Encoder,
  modalities: readonly Modality[],
): WorkContext["outputs"] {
  const { outputs: named } = request;
  if (format === "vllm") {
    if (modalities.some((m) => m !== "vision")) {
      throw new HttpError(400, "images_only", "Format vllm is for pictures; give `images` alone.", { param: "format" });
    }
    if (named !== undefined) {
      throw new HttpError(
        400,
        "invalid_field",
        "Format vllm holds what a vLLM server reads, whatever `outputs` names; leave `outputs` out, or ask for another format.",
        { param: "outputs" },
      );
    }
    const names = embedsOutputs(encoder.modelType);
    return () => names;
  }
  if (named === undefined) return () => undefined;
  const available = new Map(
    modalities.map((m) => {
      const { outputs, layout = [] } = encoder.tower(m).spec;
      return [m, [...outputs, ...layout]];
    }),
  );
  const all = [...new Set([...available.values()].flat())];
  const unknown = named.find((name) => !all.includes(name));
  if (unknown !== undefined) {
    throw new HttpError(
      400,
      "unknown_output",
      `There is no output "${short(unknown)}"; these inputs give ${all.join(", ")}.${didYouMean(short(unknown), all)}`,
      { param: "outputs" },
    );
  }
  const wanted = (modality: Modality): readonly string[] =>
    (available.get(modality) ?? []).filter((name) => named.includes(name));
  const idle = modalities.find((modality) => wanted(modality).length === 0);
  if (idle !== undefined) {
    throw new HttpError(
      400,
      "no_output",
      `None of \`outputs\` is a result of the ${idle} tower, which gives ${(available.get(idle) ?? []).join(", ")}; name one of these as well, or send the other inputs alone.`,
      { param: "outputs" },
    );
  }
  return wanted;
}

/** Formats that hold numbers of other types than f32. */
const TYPED: readonly Format[] = ["torch", "vllm", "safetensors"];

/** @throws HttpError `invalid_field` for a type that the format does not have */
function checkType(format: Format, { dtype }: EncodeRequest): void {
  if (dtype === "f32" || TYPED.includes(format)) return;
  throw new HttpError(
    400,
    "invalid_field",
    `An answer of format ${format} has no ${dtype}; leave \`dtype\` out, or ask for one of ${TYPED.join(", ")}.`,
    { param: "dtype" },
  );
}

export async function encode(c: ServerContext, service: Service): Promise<Response> {
  const call = c.get("call");
  const { signal } = call;
  const read = await readRequest(c, service.bodyLimits(signal));
  const { request } = read;
  call.bodyRead = true;
  const lease: Lease = call.lend(service.models, request.model);
  const format = formatOf(c, request);
  checkType(format, request);
  const inputs = await workInputs(read, service, signal);
  call.items = inputs.length;
  const modalities = [...new Set(inputs.map((input) => modalityOf(input, lease.encoder)))];
  for (const modality of modalities) lease.encoder.tower(modality);
  const outputs = outputsOf(request, format, lease.encoder, modalities);
  const context = { ...service.work(call, lease), outputs };
  if (format === "ndjson") return jsonLines(inputs, context, request.encoding_format, call, service.log);
  const growth = format === "json" ? GROWTH[request.encoding_format] : format === "vllm" ? GROWTH.base64 : GROWTH.file;
  const results = await encodeInOrder(inputs, context, growth);
  if (format === "json") {
    const data = results.map((result) => jsonItem(result, request.encoding_format));
    return c.json({ object: "list", model: lease.name, data });
  }
  if (format === "vllm") {
    const content = results.map((r) => embedsPart(lease.encoder.modelType, r.outputs, request.dtype));
    return c.json({ object: "list", model: lease.name, content });
  }
  const { type, bytes } = fileAnswer(joinedResults(results, lease.encoder), format, request.dtype);
  return new Response(bytes as Uint8Array<ArrayBuffer>, { headers: { "content-type": type } });
}
