/** The hono application: routes, who may use them, and the life of the models behind them. */
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { requestId } from "hono/request-id";
import { basePath } from "hono/route";
import { pageAccess, requestLimit, tokenCheck } from "./access.ts";
import type { Call } from "./call.ts";
import { classify } from "./classify.ts";
import { DESCRIBED, openApi } from "./describe.ts";
import { embeddings } from "./embeddings.ts";
import { encode } from "./encode.ts";
import { errorResponse, HttpError, httpError } from "./http_error.ts";
import { failureOf } from "./log.ts";
import { describeModel } from "./model_description.ts";
import { notReady } from "./models.ts";
import type { Settings } from "./options.ts";
import { orAborted } from "./or_aborted.ts";
import { passOver } from "./read_body.ts";
import type { FetchImage } from "./remote_images.ts";
import { type ServerContext, type ServerEnv, Service } from "./service.ts";

/** What an application has beside its routes. */
export interface ServerControls {
  /** Resolves when all models are loaded and the runtime is sealed; rejects with what loading throws. */
  readonly ready: Promise<void>;
  /**
   * Loads a model again, or all; see docs/serving.md. Requests go on meanwhile, and none is dropped.
   * @throws HttpError `model_not_found`, and what loading throws; the old model stays then
   */
  reload(name?: string): Promise<void>;
  /** What is loaded by now, in the order in which it was named. */
  served(): readonly { readonly name: string; readonly modelType: string; readonly modalities: readonly string[] }[];
  /** Takes no more requests and resolves when those that were accepted are answered. */
  drain(): Promise<void>;
  /** Closes the models that were loaded here; the runtime stays its owner's. */
  close(): void;
}

/** A hono application: mount it in another, or give it to {@link serve}, `Bun.serve` or `Deno.serve`. */
export type ServerApp = Hono & ServerControls;

/** Of one model; names may have slashes. */
const MODEL_ROUTE = "/v1/models/{model}";

/** Methods of each route. */
const ROUTES: Readonly<Record<string, string>> = {
  "/v1/embeddings": "POST",
  "/v1/encode": "POST",
  "/v1/classify": "POST",
  "/v1/models": "GET",
  [MODEL_ROUTE]: "GET",
  "/healthz": "GET",
  "/readyz": "GET",
  "/metrics": "GET",
  "/openapi.json": "GET",
};

/**
 * The application of checked settings. Loading begins at once; until `ready` resolves requests are refused with 503.
 * @param fetchImage undefined where remote pictures are off
 */
export function assembleApp(settings: Settings, fetchImage: FetchImage | undefined): ServerApp {
  const service = new Service(settings, fetchImage);
  const app = new Hono<ServerEnv>();
  addMiddleware(app, service);
  addRoutes(app, service);
  const begin = (): void => {
    if (settings.seal) settings.runtime.seal();
    service.ready = true;
  };
  const ready = service.models.load().then(begin);
  let failed = false;
  // Who waits for it hears of it; a server that nobody waits for says it is not ready.
  ready.catch((error: unknown) => {
    failed = true;
    service.log({ level: "error", event: "load_failed", message: messageOf(error) });
  });
  // What middleware leaves for routes is for these alone.
  return Object.assign(app as unknown as Hono, {
    ready,
    reload: async (name?: string) => {
      const model = name === undefined ? {} : { model: name };
      try {
        await service.models.reload(name);
      } catch (error) {
        service.log({ level: "error", event: "reload_failed", ...model, message: messageOf(error) });
        throw error;
      }
      if (failed && !service.ready && service.models.areLoaded) begin();
      service.log({ level: "info", event: "reloaded", ...model });
    },
    served: () =>
      service.models.list().map(({ name, encoder: { modelType, modalities } }) => ({ name, modelType, modalities })),
    drain: () => {
      service.draining = true;
      return service.idle();
    },
    close: () => service.models.close(),
  });
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function addMiddleware(app: Hono<ServerEnv>, service: Service): void {
  const { tokens, rateLimit, cors, place } = service.settings;
  app.use(requestId());
  app.use(async (c, next) => {
    const begin = performance.now();
    const route = routeOf(c);
    await next();
    if (place.readsOn) await passOver(c);
    // Answers of their own making have none of the headers that were prepared.
    c.res.headers.set("x-request-id", c.get("requestId"));
    tell(c, service, route, performance.now() - begin);
  });
  if (cors !== undefined) app.use("/v1/*", pageAccess(cors));
  if (tokens !== undefined) for (const path of ["/v1/*", "/metrics"]) app.use(path, tokenCheck(tokens));
  if (rateLimit !== undefined) app.use("/v1/*", requestLimit(rateLimit.requests, rateLimit.windowMs));
  for (const path of ["/v1/embeddings", "/v1/encode", "/v1/classify"]) {
    app.post(path, async (c, next) => {
      const call = service.open(c);
      c.set("call", call);
      try {
        // A client that left, or a passed deadline, ends it wherever it waits.
        await orAborted(next(), call.signal);
      } finally {
        call.answered();
      }
    });
  }
  app.notFound((c) => refuse(c, notFound()));
  app.onError((error, c) => {
    if (error instanceof HTTPException) return error.getResponse();
    return refuse(c, httpError(error));
  });
}

function refuse(c: ServerContext, error: HttpError): Response {
  c.set("refusal", error);
  return errorResponse(error);
}

const notFound = (): HttpError =>
  new HttpError(404, "not_found", `There is nothing here; this server has ${Object.keys(ROUTES).join(", ")}.`);

/** The path below the one that the application is mounted at, where it is one of its routes. */
function routeOf(c: ServerContext): string {
  const base = basePath(c);
  const path = base === "/" ? c.req.path : c.req.path.slice(base.length);
  if (Object.hasOwn(ROUTES, path)) return path;
  return /^\/v1\/models\/./.test(path) ? MODEL_ROUTE : "unknown";
}

/** A line for the log and a count for the metrics. */
function tell(c: ServerContext, service: Service, route: string, ms: number): void {
  const { method } = c.req;
  const { status } = c.res;
  service.metrics.request(route, status, ms / 1000);
  const [call, refusal]: [Call | undefined, HttpError | undefined] = [c.get("call"), c.get("refusal")];
  service.log({
    level: status >= 500 ? "error" : status >= 400 ? "warn" : "info",
    event: "request",
    request: c.get("requestId"),
    method,
    route,
    status,
    ms: Math.round(ms * 100) / 100,
    ...(call?.model === undefined ? {} : { model: call.model }),
    ...(call?.items === undefined ? {} : { items: call.items }),
    ...(refusal === undefined ? {} : failureOf(refusal)),
  });
}

/** A route as hono writes it. */
const patternOf = (route: string): string => route.replace("{model}", ":model{.+}");

function addRoutes(app: Hono<ServerEnv>, service: Service): void {
  app.post("/v1/embeddings", DESCRIBED.embeddings, (c) => embeddings(c, service));
  app.post("/v1/encode", DESCRIBED.encode, (c) => encode(c, service));
  app.post("/v1/classify", DESCRIBED.classify, (c) => classify(c, service));
  app.get("/v1/models", DESCRIBED.models, (c) =>
    c.json({ object: "list", data: service.models.list().map(describeModel) }),
  );
  app.get(patternOf(MODEL_ROUTE), DESCRIBED.model, (c) =>
    c.json(describeModel(service.models.find(c.req.param("model") ?? ""))),
  );
  app.get("/healthz", DESCRIBED.healthz, (c) => c.json({ status: "ok" }));
  app.get("/readyz", DESCRIBED.readyz, (c) => {
    if (service.draining) {
      throw new HttpError(503, "shutting_down", "The server is shutting down and will not be ready again.", {
        retryAfter: 1,
      });
    }
    if (!service.ready) throw notReady();
    return c.json({ status: "ready", models: service.models.names, sealed: service.settings.runtime.sealed });
  });
  app.get("/metrics", DESCRIBED.metrics, async (c) =>
    c.text(await service.metrics.text(), 200, { "content-type": service.metrics.contentType }),
  );
  app.get("/openapi.json", openApi(app, service.settings.tokens !== undefined));
  // Routes rather than what is done where nothing is found: of an application that is mounted, that is the other's.
  for (const [path, allowed] of Object.entries(ROUTES)) {
    app.all(patternOf(path), (c) => {
      const message = `${path} takes ${allowed}, not ${c.req.method}.`;
      const response = refuse(c, new HttpError(405, "method_not_allowed", message));
      response.headers.set("allow", allowed);
      return response;
    });
  }
}
