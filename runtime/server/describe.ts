/** What `/openapi.json` says of each route, from the schemas that requests are checked by. */
import { toJsonSchema } from "@valibot/to-json-schema";
import type { Hono, MiddlewareHandler } from "hono";
import { describeRoute, openAPIRouteHandler } from "hono-openapi";
import type { GenericSchema } from "valibot";
import { VERSION } from "../core/version.ts";
import type { ErrorStatus } from "./http_error.ts";
import {
  CLASSIFY_ANSWER,
  CLASSIFY_FORM,
  CLASSIFY_REQUEST,
  EMBEDDINGS_ANSWER,
  EMBEDDINGS_REQUEST,
  ENCODE_ANSWER,
  ENCODE_FORM,
  ENCODE_REQUEST,
  ENCODED_ITEM,
  ERROR_ANSWER,
  MODELS_ANSWER,
} from "./schemas.ts";
import type { ServerEnv } from "./service.ts";

type Description = Parameters<typeof describeRoute>[0];
type Content = Readonly<Record<string, { readonly schema: object }>>;

/** What a client sends: fields with a value of their own may be left out. */
function schemaOf(schema: GenericSchema): object {
  const { $schema: _, ...json } = toJsonSchema(schema, { typeMode: "input", target: "draft-2020-12" });
  return json;
}

const json = (schema: GenericSchema): Content => ({ "application/json": { schema: schemaOf(schema) } });
const form = (schema: GenericSchema): Content => ({ "multipart/form-data": { schema: schemaOf(schema) } });
const BYTES: { readonly schema: object } = { schema: { type: "string", format: "binary" } };

const REFUSALS: Readonly<Partial<Record<ErrorStatus, string>>> = {
  400: "The request is wrong; the sentence says what to change.",
  401: "A bearer token is missing or wrong.",
  404: "There is no such model.",
  413: "The body, a picture or the work is too large.",
  429: "Too many requests at once or in a window; Retry-After says when to ask again.",
  503: "Not ready, or shutting down; Retry-After says when to ask again.",
  504: "Not done within the time.",
};

function route(summary: string, request: Content | undefined, answer: Content): MiddlewareHandler {
  const refusals = Object.entries(REFUSALS).map(([status, description]) => [
    status,
    { description, content: json(ERROR_ANSWER) },
  ]);
  const description = {
    summary,
    ...(request === undefined ? {} : { requestBody: { required: true, content: request } }),
    responses: { 200: { description: "Done.", content: answer }, ...Object.fromEntries(refusals) },
  };
  return describeRoute(description as Description);
}

export const DESCRIBED: Readonly<Record<"embeddings" | "encode" | "classify" | "models", MiddlewareHandler>> = {
  embeddings: route(
    "Vectors of texts and pictures, compatible with OpenAI's API.",
    json(EMBEDDINGS_REQUEST.schema),
    json(EMBEDDINGS_ANSWER),
  ),
  encode: route(
    "Any results of pictures, texts and recordings.",
    { ...json(ENCODE_REQUEST.schema), ...form(ENCODE_FORM) },
    {
      ...json(ENCODE_ANSWER),
      "application/x-ndjson": { schema: schemaOf(ENCODED_ITEM) },
      "application/x-npy": BYTES,
      "application/vnd.safetensors": BYTES,
      "application/x-torch": BYTES,
    },
  ),
  classify: route(
    "The label that fits each picture best.",
    { ...json(CLASSIFY_REQUEST.schema), ...form(CLASSIFY_FORM) },
    json(CLASSIFY_ANSWER),
  ),
  models: route("The served models.", undefined, json(MODELS_ANSWER)),
};

export function openApi(app: Hono<ServerEnv>, secured: boolean): MiddlewareHandler {
  const security = secured
    ? {
        components: { securitySchemes: { bearer: { type: "http" as const, scheme: "bearer" } } },
        security: [{ bearer: [] }],
      }
    : {};
  const info = { title: "fovea", version: VERSION, description: "Encoders of multimodal models over HTTP." };
  return openAPIRouteHandler(app as unknown as Hono, { documentation: { info, ...security } });
}
