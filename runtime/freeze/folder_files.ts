/** The files of a frozen folder that people read: its entry, the example, its settings and what to do with it. */
import { bytesText } from "../core/diagnostics.ts";
import { countOf } from "../core/figures.ts";
import { intervalText } from "../core/range.ts";
import type { FrozenModel } from "../edge/frozen.ts";
import { memoryText } from "./memory.ts";
import type { FrozenMemory } from "./options.ts";

export interface FolderRequest {
  readonly name: string;
  readonly frozen: FrozenModel;
  readonly memory: FrozenMemory;
  /** File below `lib/` that exports the encoder's plugin. */
  readonly entry: string;
  readonly formats: readonly string[];
  readonly bundled: boolean;
  /** Types of the encoder, as text. */
  readonly types: string;
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

/** What all runtimes share. */
function encoder({ entry, formats }: FolderRequest): string {
  return `import { openFrozen } from "./lib/encoder.js";
import { plugin } from ${JSON.stringify(`./lib/${entry}`)};
${formats.map((name) => `import { format as ${name} } from "./lib/${name}.js";\n`).join("")}
/** \`createEncoder\` of a runtime: reads plan and weights, proves the kernels on this machine, resolves to the encoder. */
export const encoderFor = (host) => (env) =>
  openFrozen({ host, env, plugin, formats: { ${formats.join(", ")} } });
`;
}

/** Types of each host file. */
const hostTypes = ({ types }: FolderRequest): string => `${types.trimEnd()}

export declare function createEncoder(env?: unknown): Promise<FrozenEncoder>;
`;

const ENV_FETCHED = `  /** Static assets: wrangler.jsonc binds the folder \`assets\`. Other runtimes read it from beside the code. */
  readonly ASSETS?: { fetch(request: Request): Promise<Response> };
  /** Address of a copy of the folder \`assets\`, with a slash at its end, instead of the binding. */
  readonly ASSETS_URL?: string;
`;

const index = ({ bundled }: FolderRequest): string => `/** The frozen encoder, with its types. */
import { createEncoder as create, type FrozenEncoder } from "#host";

export type * from "#host";

/** What \`createEncoder\` takes of its place: a Worker's \`env\`, or nothing elsewhere. */
export interface Env {
${bundled ? "" : ENV_FETCHED}}

/**
 * Reads plan and weights, compares the kernels' results with what was expected when the model was frozen, and resolves to the
 * encoder. Call it once for an isolate or process.
 */
export function createEncoder(env: Env = {}): Promise<FrozenEncoder> {
  return create(env);
}
`;

const WORKER = `/**
 * An example: POST a picture, a text as text/plain, or a tower's own tensors as JSON ({ "name": { "shape", "data" } }) to /embed;
 * GET /healthz says what was loaded and proven.
 */
import { createEncoder, type Env, type FrozenEncoder, type FrozenInputs, type FrozenResult, type FrozenTensor } from "./index.ts";

let opening: Promise<FrozenEncoder> | undefined;

/** One encoder for all requests; a failure is not kept. */
function encoderOf(env: Env): Promise<FrozenEncoder> {
  if (opening === undefined) {
    opening = createEncoder(env);
    opening.catch(() => {
      opening = undefined;
    });
  }
  return opening;
}

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

const isTensor = (value: unknown): value is GivenTensor => {
  const { dtype = "f32", shape, data } = (value ?? {}) as Partial<Record<string, unknown>>;
  return Array.isArray(shape) && Array.isArray(data) && (dtype === "f32" || dtype === "i64");
};

/** Tensors of f32, or of i64 where that is said; nothing where the text holds none. */
function inputsOf(text: string): FrozenInputs | undefined {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return undefined;
  }
  const entries = Object.entries(given ?? {});
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
    const opened = encoderOf(env);
    // Loading goes on when the client that asked first has left.
    context?.waitUntil?.(opened.catch(() => undefined));
    if (pathname === "/healthz") return Response.json((await opened).report);
    if (pathname === "/embed" && request.method === "POST") return embed(request, await opened);
    return Response.json({ error: "POST a picture or a text to /embed." }, { status: 404 });
  },
};
`;

/** Day from which on workerd behaves as this folder was tested with. */
const COMPATIBILITY_DATE = "2026-04-01";

const wrangler = ({ name, bundled }: FolderRequest): string =>
  json({
    name,
    main: "worker.ts",
    compatibility_date: COMPATIBILITY_DATE,
    ...(bundled
      ? { rules: [{ type: "Data", globs: ["**/*.bin"], fallthrough: true }] }
      : // Without it anyone could fetch the weights.
        { assets: { directory: "./assets", binding: "ASSETS", run_worker_first: true } }),
  });

const packageJson = ({ name, frozen }: FolderRequest): string =>
  json({
    name,
    version: frozen.fovea,
    private: true,
    type: "module",
    imports: {
      "#host": {
        types: "./hosts/host.d.ts",
        workerd: "./hosts/workerd.js",
        bun: "./hosts/bun.js",
        deno: "./hosts/deno.js",
        node: "./hosts/node.js",
        default: "./hosts/workerd.js",
      },
    },
    exports: {
      ".": { types: "./index.ts", deno: "./hosts/deno.js", node: "./hosts/node.js", default: "./index.ts" },
    },
  });

/** Deno reads conditions of packages alone. */
const denoJson = (): string => json({ imports: { "#host": "./hosts/deno.js" } });

function readme({ name, frozen, memory, formats, bundled }: FolderRequest): string {
  const ranges = frozen.components.map(({ tag, symbols, ranges: own }) => {
    const sizes = Object.entries(symbols).map(([symbol, i]) => `${symbol} ${intervalText(i)}`);
    return `| \`${tag}\` | ${sizes.join(", ") || "one size"} | ${own.length || "left out"} |`;
  });
  return `# ${name}

A ${frozen.modelType} encoder (${frozen.modalities.join(", ")}), frozen by fovea ${frozen.fovea} for \`${frozen.target}\`. It makes no code at run time, starts no workers and needs no Node API.

| component | sizes | ranges |
|---|---|---|
${ranges.join("\n")}

Memory: ${bytesText(memory.total)} of ${bytesText(memory.limit)}: ${memoryText(memory)}. Pictures may have up to ${(frozen.maxPixels / 1e6).toFixed(1)} million pixels${formats.length === 0 ? "" : ` and be files of ${formats.join(", ")}`}.

\`\`\`ts
import { createEncoder } from "./index.ts";

const encoder = await createEncoder(env); // once for an isolate
const { image_embeds } = await encoder.encode({ images: [bytes] });
\`\`\`

| where | how |
|---|---|
| Cloudflare Workers | \`npx wrangler deploy\` (\`npx wrangler dev\` to try it) |
| Deno, Deno Deploy | \`deno serve -R worker.ts\`; elsewhere import \`hosts/deno.js\` |
| Bun | \`bun worker.ts\`, on port 3000 or that of \`PORT\` |
| Node | import \`hosts/node.js\`; docs/edge.md of fovea has a server |

\`hosts/\` holds one file for each runtime; everything else is shared. \`assets/\` holds the plan and the weights (${countOf(frozen.shards.length, "shard")}), ${bundled ? "which are part of the worker's code" : "which are read when the encoder is created"}.
`;
}

/** By path in the folder. */
export function folderFiles(request: FolderRequest): ReadonlyMap<string, string> {
  return new Map([
    ["README.md", readme(request)],
    ["package.json", packageJson(request)],
    ["deno.json", denoJson()],
    ["wrangler.jsonc", wrangler(request)],
    ["encoder.js", encoder(request)],
    ["hosts/host.d.ts", hostTypes(request)],
    ["index.ts", index(request)],
    ["worker.ts", WORKER],
  ]);
}
