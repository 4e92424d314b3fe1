/** One file for each runtime: how its modules come in and its assets are opened. All else in a folder is shared. */

/** A WebAssembly file of the folder. */
export interface WasmFile {
  /** Digest of the code, or name of a picture codec. */
  readonly key: string;
  /** Below `wasm/`. */
  readonly file: string;
}

export interface HostFilesRequest {
  /** Target that the code is for. */
  readonly target: string;
  readonly wasm: readonly WasmFile[];
  /** Files of weights where they are part of the code. */
  readonly bundled: readonly string[] | undefined;
}

const table = (name: string, entries: readonly (readonly [string, string])[]): string =>
  `const ${name} = {\n${entries.map(([key, value]) => `  ${JSON.stringify(key)}: ${value},`).join("\n")}\n};\n`;

const modulesOf = (wasm: readonly WasmFile[], value: (i: number) => string): string =>
  `${table(
    "modules",
    wasm.map(({ key }, i) => [key, value(i)]),
  )}`;

const imports = (wasm: readonly WasmFile[], line: (name: string, file: string) => string): string =>
  wasm.map(({ file }, i) => line(`m${i}`, JSON.stringify(`../wasm/${file}`))).join("\n");

/** Cloudflare Workers and other workerd: modules and bundled files are imported, others are static assets. */
function workerd({ wasm, bundled }: HostFilesRequest): string {
  const code = imports(wasm, (name, file) => `import ${name} from ${file};`);
  const head = `${code}\n\nconst name = "workerd";\nconst sliceMs = Number.POSITIVE_INFINITY;\n${modulesOf(wasm, (i) => `m${i}`)}`;
  if (bundled !== undefined) {
    const files = bundled.map((file, i) => `import a${i} from ${JSON.stringify(`../assets/${file}`)};`).join("\n");
    return `import plan from "../assets/plan.json" with { type: "json" };\n${files}\n${head}
${table("assets", [["plan.json", "plan"], ...bundled.map((file, i) => [file, `a${i}`] as const)])}
const open = async (file) => assets[file];
`;
  }
  return `${head}
function addressOf(file, base) {
  try {
    return new URL(file, base);
  } catch {
    throw new Error(\`The variable ASSETS_URL is no address: \${base}\`);
  }
}

async function open(file, env) {
  const base = env?.ASSETS_URL;
  if (base === undefined && env?.ASSETS === undefined) {
    throw new Error("There are no assets: bind the folder assets as ASSETS, as wrangler.jsonc does, or set ASSETS_URL.");
  }
  const response =
    base === undefined
      ? await env.ASSETS.fetch(new Request(\`https://assets.invalid/\${file}\`))
      : await fetch(addressOf(file, base));
  if (!response.ok) throw new Error(\`The asset \${file} answered with status \${response.status}.\`);
  return response.body;
}
`;
}

/** Deno and Deno Deploy: modules are imported in their source phase, assets lie beside the code. */
function deno({ wasm }: HostFilesRequest): string {
  return `${imports(wasm, (name, file) => `import source ${name} from ${file};`)}

const name = "deno";
const sliceMs = 5;
${modulesOf(wasm, (i) => `m${i}`)}
const open = async (file) => (await Deno.open(new URL(\`../assets/\${file}\`, import.meta.url))).readable;
`;
}

/** Engines differ in what they can compile. */
const compile = (target: string): string => `function compile(bytes) {
  try {
    return new WebAssembly.Module(bytes);
  } catch (cause) {
    throw new Error("This engine cannot run code for the target ${target}; freeze the model with --target edge.", { cause });
  }
}`;

/** Bun has no module imports of WebAssembly: a path is imported, so that bundles carry the file. */
function bun({ wasm, target }: HostFilesRequest): string {
  return `${imports(wasm, (name, file) => `import ${name} from ${file} with { type: "file" };`)}

${compile(target)}
const load = async (path) => compile(await Bun.file(path).bytes());

const name = "bun";
const sliceMs = 5;
${modulesOf(wasm, (i) => `await load(m${i})`)}
const open = async (file) => Bun.file(new URL(\`../assets/\${file}\`, import.meta.url)).stream();
`;
}

/** Node 20 has no module imports of WebAssembly. */
function node({ wasm, target }: HostFilesRequest): string {
  return `import { createReadStream, readFileSync } from "node:fs";
import { Readable } from "node:stream";

${compile(target)}
const load = (file) => compile(readFileSync(new URL(\`../wasm/\${file}\`, import.meta.url)));

const name = "node";
const sliceMs = 5;
${modulesOf(wasm, (i) => `load(${JSON.stringify(wasm[i].file)})`)}
const open = async (file) =>
  Readable.toWeb(createReadStream(new URL(\`../assets/\${file}\`, import.meta.url)));
`;
}

/** How each host file begins. */
const HEAD = `// @ts-self-types="./host.d.ts"
import { encoderFor } from "../encoder.js";
`;

/** How each host file ends. */
const CREATE = `
/** Resolves to the encoder; once for an isolate or process. */
export const createEncoder = encoderFor({ name, sliceMs, modules, open });
`;

/** By name below `hosts/`. */
export function hostFiles(request: HostFilesRequest): ReadonlyMap<string, string> {
  return new Map([
    ["workerd.js", `${HEAD}${workerd(request)}${CREATE}`],
    ["deno.js", `${HEAD}${deno(request)}${CREATE}`],
    ["bun.js", `${HEAD}${bun(request)}${CREATE}`],
    ["node.js", `${HEAD}${node(request)}${CREATE}`],
  ]);
}
