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
  ENCODED_LINE,
  ERROR_ANSWER,
  HEALTH_ANSWER,
  MODEL_ANSWER,
  MODELS_ANSWER,
  READY_ANSWER,
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

const REFUSALS = {
  400: "The request is wrong; the sentence says what to change.",
  401: "A bearer token is missing or wrong.",
  404: "There is no such model.",
  408: "The body did not arrive within the time.",
  413: "The body, a picture or the work is too large.",
  415: "The body is of another type, or compressed.",
  429: "Too many requests at once or in a window; Retry-After says when to ask again.",
  500: "An error of the server's own, which its log has.",
  503: "Not ready, or shutting down; Retry-After says when to ask again.",
  504: "Not done within the time.",
} satisfies Readonly<Partial<Record<ErrorStatus, string>>>;

type Refusal = keyof typeof REFUSALS;

/** What every route that encodes may refuse. */
const ALL = Object.keys(REFUSALS).map(Number) as Refusal[];

interface RouteText {
  readonly summary: string;
  readonly request?: Content;
  readonly answer: Content;
  readonly refusals: readonly Refusal[];
  /** Needs no token where the others do. */
  readonly open?: boolean;
}

function route({ summary, request, answer, refusals, open }: RouteText): MiddlewareHandler {
  const described = refusals.map((status) => [status, { description: REFUSALS[status], content: json(ERROR_ANSWER) }]);
  const description = {
    summary,
    ...(request === undefined ? {} : { requestBody: { required: true, content: request } }),
    ...(open === true ? { security: [] } : {}),
    responses: { 200: { description: "Done.", content: answer }, ...Object.fromEntries(described) },
  };
  return describeRoute(description as Description);
}

type Described = "embeddings" | "encode" | "classify" | "models" | "model" | "healthz" | "readyz" | "metrics";

/** Of each route but the description itself, without the 405 that all give to other methods. */
export const DESCRIBED: Readonly<Record<Described, MiddlewareHandler>> = {
  embeddings: route({
    summary: "Vectors of texts and pictures, compatible with OpenAI's API.",
    request: json(EMBEDDINGS_REQUEST.schema),
    answer: json(EMBEDDINGS_ANSWER),
    refusals: ALL,
  }),
  encode: route({
    summary: "Any results of pictures, texts and recordings.",
    request: { ...json(ENCODE_REQUEST.schema), ...form(ENCODE_FORM) },
    answer: {
      ...json(ENCODE_ANSWER),
      "application/x-ndjson": { schema: schemaOf(ENCODED_LINE) },
      "application/x-npy": BYTES,
      "application/vnd.safetensors": BYTES,
      "application/x-torch": BYTES,
    },
    refusals: ALL,
  }),
  classify: route({
    summary: "The label that fits each picture best.",
    request: { ...json(CLASSIFY_REQUEST.schema), ...form(CLASSIFY_FORM) },
    answer: json(CLASSIFY_ANSWER),
    refusals: ALL,
  }),
  models: route({ summary: "The served models.", answer: json(MODELS_ANSWER), refusals: [400, 401, 429] }),
  model: route({ summary: "One of them.", answer: json(MODEL_ANSWER), refusals: [400, 401, 404, 429, 503] }),
  healthz: route({ summary: "The process lives.", answer: json(HEALTH_ANSWER), refusals: [], open: true }),
  readyz: route({
    summary: "The models are loaded, and nothing is being shut down.",
    answer: json(READY_ANSWER),
    refusals: [503],
    open: true,
  }),
  metrics: route({
    summary: "What Prometheus reads.",
    answer: { "text/plain": { schema: { type: "string" } } },
    refusals: [400, 401],
  }),
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
