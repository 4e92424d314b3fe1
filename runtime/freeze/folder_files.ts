/** The files of a frozen folder that people read: its entry, the example, its settings and what to do with it. */
import { bytesText } from "../core/diagnostics.ts";
import { countOf } from "../core/figures.ts";
import { intervalText } from "../core/range.ts";
import type { FrozenModel } from "../edge/frozen.ts";
import { memoryText } from "./memory.ts";
import type { FrozenMemory } from "./options.ts";
import { appTypes, appWorker, EMBED_WORKER } from "./worker_files.ts";

export interface FolderRequest {
  /** Of the deployment: lower-case letters, digits and dashes. */
  readonly name: string;
  /** What requests of a server call the model. */
  readonly model: string;
  /** What it takes of those who call it. */
  readonly takes: readonly Taken[];
  /** A tensor of its first tower. */
  readonly tensor: string;
  readonly frozen: FrozenModel;
  readonly memory: FrozenMemory;
  /** File below `lib/` that exports the encoder's plugin. */
  readonly entry: string;
  readonly formats: readonly string[];
  readonly bundled: boolean;
  /** Types of the encoder, as text. */
  readonly types: string;
  /** Types of the application, as text, where there is one. */
  readonly appTypes: string | undefined;
}

/** Inputs that a model has processors for. */
export type Taken = "images" | "texts" | "audio";

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

const APP = `
\`worker.ts\` is a server with the routes of \`fovea serve\`; \`GET /openapi.json\` describes them. The variables \`TOKENS\` and \`ORIGINS\` hold bearer tokens, and origins of pages that may ask, separated by spaces; everybody may ask unless there are tokens (\`npx wrangler secret put TOKENS\`).
`;

const EXAMPLES: Readonly<Record<Taken, string>> = {
  images: "images: [bytes]",
  texts: 'texts: ["a text"]',
  audio: "audio: [bytes]",
};

/** What may be given, as a sentence or two. */
function takenText({ frozen, takes, formats, tensor }: FolderRequest): string {
  const pictures = formats.filter((name) => name !== "wav");
  const sentences = {
    images: `Pictures may have up to ${(frozen.maxPixels / 1e6).toFixed(1)} million pixels${pictures.length === 0 ? "" : ` and be files of ${pictures.join(", ")}`}.`,
    texts: "Texts are tokenised as the model's own tokenizer does.",
    audio: `Recordings are samples${formats.includes("wav") ? " or WAV files" : ""}.`,
  };
  if (takes.length > 0) return takes.map((name) => sentences[name]).join(" ");
  return `It has no processor and takes its towers' tensors, such as \`${tensor}\`.`;
}

const exampleOf = ({ takes, tensor }: FolderRequest): string =>
  takes.length > 0 ? EXAMPLES[takes[0]] : `${tensor}: { dtype: "f32", shape, data }`;

function readme(request: FolderRequest): string {
  const { name, frozen, memory, bundled, appTypes: app } = request;
  const ranges = frozen.components.map(({ tag, symbols, ranges: own }) => {
    const sizes = Object.entries(symbols).map(([symbol, i]) => `${symbol} ${intervalText(i)}`);
    return `| \`${tag}\` | ${sizes.join(", ") || "one size"} | ${own.length || "left out"} |`;
  });
  return `# ${name}

A ${frozen.modelType} encoder (${frozen.modalities.join(", ")}), frozen by fovea ${frozen.fovea} for \`${frozen.target}\`. It makes no code at run time, starts no workers and needs no Node API.

| component | sizes | ranges |
|---|---|---|
${ranges.join("\n")}

Memory: ${bytesText(memory.total)} of ${bytesText(memory.limit)}: ${memoryText(memory)}. ${takenText(request)}

\`\`\`ts
import { createEncoder } from "./index.ts";

const encoder = await createEncoder(env); // once for an isolate
const results = await encoder.encode({ ${exampleOf(request)} });
\`\`\`
${app === undefined ? "" : APP}
| where | how |
|---|---|
| Cloudflare Workers | \`npx wrangler deploy\` (\`npx wrangler dev\` to try it) |
| Deno, Deno Deploy | \`deno serve -R ${app === undefined ? "" : "-E=TOKENS,ORIGINS "}worker.ts\`; elsewhere import \`hosts/deno.js\` |
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
    ["worker.ts", request.appTypes === undefined ? EMBED_WORKER : appWorker(request.model)],
    ...(request.appTypes === undefined ? [] : [["lib/app.d.ts", appTypes(request.appTypes)] as const]),
  ]);
}
