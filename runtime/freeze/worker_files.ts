/** The worker of a frozen folder: an example with one route, or an application with those of `fovea serve`. */

/** Opens what all requests share, once. */
const once = (type: string, call: string): string => `let opening: Promise<${type}> | undefined;

/** One for all requests; a failure is not kept. */
function opened(env: Env): Promise<${type}> {
  if (opening === undefined) {
    opening = ${call};
    opening.catch(() => {
      opening = undefined;
    });
  }
  return opening;
}
`;

/** `POST /embed`, `GET /healthz`. */
export const EMBED_WORKER: string = `/**
 * An example: POST a picture, a text as text/plain, or a tower's own tensors as JSON ({ "name": { "shape", "data" } }) to /embed;
 * GET /healthz says what was loaded and proven.
 */
import { createEncoder, type Env, type FrozenEncoder, type FrozenInputs, type FrozenResult, type FrozenTensor } from "./index.ts";

${once("FrozenEncoder", "createEncoder(env)")}
const EMBEDDINGS = ["image_embeds", "text_embeds", "sentence_embedding", "pooler_output", "last_hidden_state"];

function answer(result: FrozenResult): Response {
  const tensors = new Map<string, FrozenTensor>(Object.entries(result));
  const name = [...EMBEDDINGS, ...tensors.keys()].find((n) => tensors.has(n)) ?? "";
  const tensor = tensors.get(name);
  return Response.json({ output: name, shape: tensor?.shape, embedding: Array.from(tensor?.data ?? []) });
}

const JSON_FORM =
  'JSON holds a tower\\'s own tensors, such as { "pixel_values": { "shape": [1, 2], "data": [0.5, 1] } }; a text goes as text/plain.';

interface GivenTensor {
  readonly dtype?: "f32" | "i64";
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

const isNumber = (value: unknown): boolean => typeof value === "number";
/** Towers take whole numbers as 32 bits. */
const isWhole = (value: unknown): boolean => Number.isInteger(value) && Math.abs(value as number) < 2 ** 31;

const isTensor = (value: unknown): value is GivenTensor => {
  const { dtype = "f32", shape, data } = (value ?? {}) as Partial<Record<string, unknown>>;
  if (!Array.isArray(shape) || !Array.isArray(data)) return false;
  return dtype === "f32" ? data.every(isNumber) : dtype === "i64" && data.every(isWhole);
};

/** Tensors of f32, or of i64 where that is said; nothing where the text holds none. */
function inputsOf(text: string): FrozenInputs | undefined {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return undefined;
  }
  const entries = Array.isArray(given) ? [] : Object.entries(given ?? {});
  if (entries.length === 0 || !entries.every(([, value]) => isTensor(value))) return undefined;
  return Object.fromEntries(
    (entries as [string, GivenTensor][]).map(([name, { dtype, shape, data }]) => [
      name,
      dtype === "i64"
        ? { dtype, shape, data: Int32Array.from(data) }
        : { dtype: "f32" as const, shape, data: Float32Array.from(data) },
    ]),
  );
}

async function embed(request: Request, encoder: FrozenEncoder): Promise<Response> {
  const type = request.headers.get("content-type") ?? "";
  try {
    if (type.startsWith("text/")) return answer(await encoder.encode({ texts: [await request.text()] }));
    if (type.startsWith("application/json")) {
      const inputs = inputsOf(await request.text());
      if (inputs === undefined) return Response.json({ error: JSON_FORM, code: "invalid_json" }, { status: 400 });
      return answer(await encoder.encode(inputs));
    }
    return answer(await encoder.encode({ images: [await request.arrayBuffer()] }));
  } catch (error) {
    const { code, message } = error as { readonly code?: string; readonly message: string };
    return Response.json({ error: message, code }, { status: code === undefined ? 500 : 400 });
  }
}

export default {
  async fetch(request: Request, env: Env, context?: { waitUntil?(work: Promise<unknown>): void }): Promise<Response> {
    const { pathname } = new URL(request.url);
    const encoder = opened(env);
    // Loading goes on when the client that asked first has left.
    context?.waitUntil?.(encoder.catch(() => undefined));
    if (pathname === "/healthz") return Response.json((await encoder).report);
    if (pathname === "/embed" && request.method === "POST") return embed(request, await encoder);
    return Response.json({ error: "POST a picture or a text to /embed." }, { status: 404 });
  },
};
`;

/** The routes of `fovea serve`. @param name what requests call the model */
export const appWorker = (name: string): string => `/**
 * The routes of \`fovea serve\` over the frozen encoder: POST /v1/embeddings, /v1/encode and /v1/classify; GET /v1/models, /readyz,
 * /metrics and /openapi.json, which describes them.
 */
import { createEncoder, type Env as Assets } from "./index.ts";
import { createApp, type FrozenApp } from "./lib/app.js";

/** Beside the encoder's own: secrets and variables of the place. */
interface Env extends Assets {
  /** Bearer tokens, separated by spaces. Everybody may ask unless given. */
  readonly TOKENS?: string;
  /** Origins whose pages may ask, separated by spaces; \`*\` is everybody. None unless given. */
  readonly ORIGINS?: string;
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** A list that a Worker's \`env\` holds; other runtimes have it in their environment. */
function listOf(name: "TOKENS" | "ORIGINS", env: Env): readonly string[] | undefined {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  let list: readonly string[] | undefined;
  try {
    list = (env?.[name] ?? process?.env?.[name])?.split(" ").filter((one) => one !== "");
  } catch (error) {
    throw new Error(\`The variable \${name} cannot be read: \${reasonOf(error)}\`);
  }
  if (list?.length === 0) throw new Error(\`The variable \${name} is empty; give it a value, or remove it.\`);
  return list;
}

async function open(env: Env): Promise<FrozenApp> {
  const [tokens, cors] = [listOf("TOKENS", env), listOf("ORIGINS", env)];
  return createApp({
    models: { [${JSON.stringify(name)}]: await createEncoder(env) },
    ...(tokens === undefined ? {} : { tokens }),
    ...(cors === undefined ? {} : { cors }),
    log: (line) => console.log(JSON.stringify(line)),
  });
}

${once("FrozenApp", "open(env)")}
/** What went wrong is for the log, and not for clients. */
function notOpened(error: unknown): Response {
  console.error(JSON.stringify({ level: "error", event: "not_opened", message: reasonOf(error) }));
  const message = "The server cannot open its model; its log says why.";
  return Response.json({ error: { message, type: "server_error", param: null, code: "not_opened" } }, { status: 503 });
}

export default {
  async fetch(request: Request, env: Env, context?: { waitUntil?(work: Promise<unknown>): void }): Promise<Response> {
    const opening = opened(env);
    // Loading goes on when the client that asked first has left.
    context?.waitUntil?.(opening.catch(() => undefined));
    let app: FrozenApp;
    try {
      app = await opening;
    } catch (error) {
      return notOpened(error);
    }
    return app.fetch(request, env);
  },
};
`;

/** Types of `lib/app.js`. */
export const appTypes = (types: string): string => `${types.trimEnd()}

/** @throws Error with the code \`invalid_options\` */
export declare function createApp(options: FrozenAppOptions): FrozenApp;
`;
