/** `POST /v1/classify`: the label that fits each picture best, for models that know pictures and texts. */
import { concatRows } from "../session/inputs/batching.ts";
import { checkLabels, labelTexts, noSharedSpace, scoreLabels } from "../session/zero_shot.ts";
import { filesOf, pictureInputs } from "./encode.ts";
import { HttpError } from "./http_error.ts";
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
import { CLASSIFY_REQUEST, type ClassifyRequest } from "./schemas.ts";
import type { ServerContext, Service } from "./service.ts";
import { encodeInOrder, GROWTH, type WorkContext, type WorkResult } from "./work.ts";

const FORM_FIELDS = ["model", "image", "labels", "template"];

/** Fields of a form that have other names in JSON. */
const FORM_NAMES: FieldNames = { images: "image" };

/** A request, and what its body calls the fields of JSON that it has under other names. */
interface Read {
  readonly request: ClassifyRequest;
  readonly names: FieldNames;
}

/** @throws HttpError for what is wrong with the body */
async function readRequest(c: ServerContext, limits: BodyLimits): Promise<Read> {
  if (mediaType(c) !== "multipart/form-data") {
    return { request: checked(CLASSIFY_REQUEST, await readJson(c, limits, JSON_OR_FORM)), names: {} };
  }
  const form = await readForm(c, limits);
  checkFields(form, FORM_FIELDS, ["image"]);
  const images = await filesOf(form, "image");
  const scalars = textFields(form, ["model", "template"]);
  const labels = listField(form, "labels");
  // The schema counts the files; their bytes are no texts.
  const given = {
    ...scalars,
    ...(images.length === 0 ? {} : { images: images.map(() => "") }),
    ...(labels.length === 0 ? {} : { labels }),
  };
  return { request: { ...checked(CLASSIFY_REQUEST, given, FORM_NAMES), images }, names: FORM_NAMES };
}

/** @throws HttpError `invalid_field` */
function checkTemplate(template: string): void {
  if (template.trim() !== "") return;
  throw new HttpError(
    400,
    "invalid_field",
    "The field `template` is empty; give a text with {} in the place of the label, or leave the field out.",
    { param: "template" },
  );
}

const joined = (results: readonly WorkResult[], name: string): WorkResult["outputs"][string] =>
  concatRows(results.map(({ outputs }) => ({ [name]: outputs[name] })))[name];

export async function classify(c: ServerContext, service: Service): Promise<Response> {
  const call = c.get("call");
  const { signal } = call;
  const { request, names } = await readRequest(c, service.bodyLimits(signal));
  const { model, images, labels, template } = request;
  call.bodyRead = true;
  const lease = call.lend(service.models, model);
  const { encoder } = lease;
  checkTemplate(template);
  checkLabels(labels, { template });
  const isShared = ["vision", "text"].every((m) => encoder.modalities.includes(m as "vision"));
  if (!isShared || encoder.logitScale === undefined) throw noSharedSpace(encoder);
  call.items = images.length;
  const pictures = await pictureInputs(images, service.fetchImage, signal, names);
  const texts = labelTexts(labels, template).map((text) => ({ text }));
  const context: WorkContext = {
    ...service.work(call, lease),
    nameOf: (i) => (i < labels.length ? `The label at position ${i}` : `The picture at position ${i - labels.length}`),
    outputs: (modality) => [modality === "text" ? "text_embeds" : "image_embeds"],
  };
  const results = await encodeInOrder([...texts, ...pictures], context, GROWTH.file);
  const found = scoreLabels(
    encoder,
    joined(results.slice(labels.length), "image_embeds"),
    joined(results.slice(0, labels.length), "text_embeds"),
    labels,
  );
  const data = found.map((one, index) => ({ index, ...one }));
  return c.json({ object: "list", model: lease.name, labels, data });
}
