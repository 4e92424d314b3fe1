/**
 * Packages of wasm-pack: a `*_bg.wasm` and JavaScript that wraps it. That glue is trusted code: it may do whatever this process
 * may. What it exports as `decode` or `resize` becomes a plugin's work on pictures.
 */
import type { ImageSpec, RgbaImage } from "../../abi/image.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../abi/plugin.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { digestBytes, digestJson } from "../../core/digest.ts";
import type { Host } from "../../host/mod.ts";
import { isObject } from "../check.ts";

/** Where a package of wasm-pack lies. */
export interface WasmPackFiles {
  readonly folder: string;
  /** Name before `_bg.wasm` and `.js`. */
  readonly stem: string;
}

const WASM = "_bg.wasm";

/** Folders above a package in which its name is looked for: packages keep theirs some levels down. */
const LEVELS_UP = 4;

type Names = {
  readonly name?: unknown;
  readonly version?: unknown;
  readonly main?: unknown;
  readonly module?: unknown;
};

async function readPackage(host: Host, folder: string): Promise<Names | undefined> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(await host.readFile(`${folder}/package.json`)));
    return isObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof FoveaError && error.code === "file.not_found") return undefined;
    throw error;
  }
}

/** What wasm-pack wrote to a folder or to its `pkg`; nothing where it wrote nothing there. */
export async function findWasmPack(host: Host, path: string): Promise<WasmPackFiles | undefined> {
  for (const folder of [path, `${path}/pkg`]) {
    const names: readonly string[] = await host.listDir(folder).then(
      (entries) => entries.map((e) => e.name),
      () => [],
    );
    const wasm = names.filter((name) => name.endsWith(WASM));
    if (wasm.length !== 1) continue;
    const stem = wasm[0].slice(0, -WASM.length);
    if (!names.includes(`${stem}.js`)) continue;
    // A package whose entry is another file only has such a module beside it.
    const own = await readPackage(host, folder);
    const entry = own?.module ?? own?.main;
    if (entry === undefined || entry === `${stem}.js` || entry === `./${stem}.js`) return { folder, stem };
  }
  return undefined;
}

/** Name and version: of its own `package.json`, else of the package that it lies in. */
async function identity(host: Host, { folder, stem }: WasmPackFiles): Promise<{ name: string; version: string }> {
  let at = folder;
  for (let level = 0; level <= LEVELS_UP; level++) {
    const { name, version } = (await readPackage(host, at)) ?? {};
    if (typeof name === "string" && typeof version === "string")
      return { name: level === 0 ? name : `${name}/${stem}`, version };
    at += "/..";
  }
  return { name: stem, version: "0.0.0" };
}

type Glue = Readonly<Record<string, unknown>>;
type AnyFunction = (...args: readonly unknown[]) => unknown;

const functionOf = (glue: Glue, name: string): AnyFunction | undefined =>
  typeof glue[name] === "function" ? (glue[name] as AnyFunction) : undefined;

/** Links the module as the glue of `--target web` (`initSync`) or `--target bundler` (`__wbg_set_wasm`) wants it. */
async function linkGlue(host: Host, { folder, stem }: WasmPackFiles): Promise<Glue> {
  const bytes = await host.readFile(`${folder}/${stem}${WASM}`);
  const module = await WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>);
  const background = `${folder}/${stem}_bg.js`;
  const isBundler = await host.stat(background).then(
    ({ kind }) => kind === "file",
    () => false,
  );
  const glue = await host.importModule(isBundler ? background : `${folder}/${stem}.js`);
  const setWasm = functionOf(glue, "__wbg_set_wasm");
  const initialise = functionOf(glue, "initSync");
  if (isBundler && setWasm !== undefined) {
    const { exports } = new WebAssembly.Instance(module, { [`./${stem}_bg.js`]: glue as WebAssembly.ModuleImports });
    setWasm(exports);
    (exports.__wbindgen_start as (() => void) | undefined)?.();
  } else if (initialise !== undefined) {
    // Glue from before wasm-bindgen 0.2.93 takes the module itself, and that after it alone in an object.
    const takesObject = String(initialise).includes("getPrototypeOf");
    initialise(takesObject ? { module } : module);
  } else {
    throw new FoveaError(
      "bad_plugin",
      `${folder}/${stem}.js has no initSync; build the package with \`wasm-pack build --target web\`.`,
    );
  }
  return glue;
}

function checkedImage(value: unknown, what: string): RgbaImage {
  const { width, height, data } = (isObject(value) ? value : {}) as Partial<RgbaImage>;
  const isArray = data instanceof Uint8Array || data instanceof Uint8ClampedArray;
  if (typeof width === "number" && typeof height === "number" && isArray && data.length === 4 * width * height)
    return { width, height, data };
  throw new FoveaError(
    "bad_plugin",
    `${what} gave no RGBA picture; expected \`width\`, \`height\` and 4 bytes for each pixel in \`data\`.`,
  );
}

/** Lanczos 3 of squoosh's filters, and what follows it: not premultiplied, not in linear light. */
const SQUOOSH_FILTER: readonly unknown[] = [3, false, false];
const PLAIN_ARGUMENTS = 5;

function wrapped(glue: Glue, name: string): ImageSpec {
  const [decode, resize] = [functionOf(glue, "decode"), functionOf(glue, "resize")];
  if (decode === undefined && resize === undefined) {
    const found = Object.keys(glue).filter((key) => functionOf(glue, key) !== undefined);
    throw new FoveaError(
      "bad_plugin",
      `${name} exports ${found.join(", ") || "no function"}; of wasm-pack's packages decode(bytes) and resize(rgba, width, height, toWidth, toHeight) are wrapped.`,
    );
  }
  return {
    name,
    ...(decode === undefined
      ? {}
      : {
          decode: async (bytes) => {
            const picture = await decode(bytes);
            return picture === undefined || picture === null ? undefined : checkedImage(picture, `${name}.decode`);
          },
        }),
    ...(resize === undefined
      ? {}
      : {
          resize: async (image, width, height) => {
            const more = resize.length > PLAIN_ARGUMENTS ? SQUOOSH_FILTER : [];
            const pixels = new Uint8Array(image.data.buffer, image.data.byteOffset, image.data.length);
            const data = await resize(pixels, image.width, image.height, width, height, ...more);
            return checkedImage({ width, height, data }, `${name}.resize`);
          },
        }),
  };
}

/** The digest of its glue and module, which `fovea.lock` pins. */
export async function wasmPackDigest(host: Host, { folder, stem }: WasmPackFiles): Promise<string> {
  const files = (await host.listDir(folder))
    .map((e) => e.name)
    .filter((n) => n.startsWith(stem) && /\.(js|wasm)$/.test(n));
  const digests: Record<string, string> = {};
  for (const file of files) digests[file] = digestBytes(await host.readFile(`${folder}/${file}`));
  return digestJson(digests);
}

/**
 * Loads a package of wasm-pack as a plugin. Its glue runs with all that this process may do.
 * @throws FoveaError `bad_plugin`, `file.*`
 */
export async function openWasmPack(host: Host, files: WasmPackFiles): Promise<Plugin> {
  const { name, version } = await identity(host, files);
  const glue = await linkGlue(host, files).catch((cause: unknown) => {
    if (cause instanceof FoveaError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new FoveaError("bad_plugin", `The package ${files.folder} of wasm-pack cannot be loaded: ${why}.`, { cause });
  });
  return definePlugin({ name, version, abi: ABI_VERSION, images: [wrapped(glue, name)] });
}

/** What is wrong with a resizer, tried on one colour, whose picture stays as it is at any size. */
export async function resizeProblem({ name, resize }: ImageSpec): Promise<string | undefined> {
  const colour = [200, 100, 50, 255];
  const picture = (width: number, height: number): RgbaImage => ({
    ...{ width, height },
    data: Uint8Array.from({ length: 4 * width * height }, (_, i) => colour[i % 4]),
  });
  for (const [width, height] of [
    [9, 4],
    [3, 13],
  ] as const) {
    const found = await resize?.(picture(7, 5), width, height);
    const off = found?.data.findIndex((v, i) => Math.abs(v - colour[i % 4]) > 1) ?? -1;
    if (off >= 0)
      return `${name}.resize of one colour gives ${found?.data[off]} at byte ${off} where ${colour[off % 4]} went in.`;
  }
  return undefined;
}
