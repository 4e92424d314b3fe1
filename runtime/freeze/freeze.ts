/** `runtime.freeze`: a model as a folder that runs where no code may be made. */
import { FoveaError } from "../core/diagnostics.ts";
import { boxText } from "../core/range.ts";
import { openFrozenDevice } from "../edge/device.ts";
import type { FrozenModel } from "../edge/frozen.ts";
import { ProofError, proveArtifact } from "../exec/prove.ts";
import type { TensorSource } from "../exec/weights/tensor_source.ts";
import { checkOwnFolder } from "../host/own_folder.ts";
import { checkFolderPath } from "../session/check_folder.ts";
import { type CallSettings, weightSettingsOf } from "../session/config/settings.ts";
import type { ModelSource } from "../session/inputs/source.ts";
import { readLogits } from "../session/models/logits.ts";
import { openCalibrated, openFiles, wantedTowers } from "../session/models/model_access.ts";
import { openModel } from "../session/models/model_files.ts";
import type { RuntimeParts } from "../session/runtime_parts.ts";
import { type CompiledModel, compileModel, type ModelToFreeze } from "./compile_model.ts";
import { type ChosenCode, chooseCode } from "./edge_code.ts";
import { folderFiles, type Taken } from "./folder_files.ts";
import { hostFiles, type WasmFile } from "./host_files.ts";
import { type Accounted, accountMemory, type FrozenPlace, fittingRanges, type Remedy, tooLarge } from "./memory.ts";
import type { FreezeOptions, FrozenFolder } from "./options.ts";
import { writeWeights } from "./weight_shards.ts";

/** What Cloudflare Workers have. */
const MEMORY = 128 * 2 ** 20;
/** The first file that is written, and the last. */
const MARKS = ["assets/weights-0.bin", "assets/plan.json"];
/** Letters of a digest that name a file. */
const NAME_LETTERS = 16;

/** A compiled model whose memory is known. */
interface Sized {
  readonly model: CompiledModel;
  readonly accounted: Accounted;
}

/** Tries what would take less memory. */
async function remedies(
  parts: RuntimeParts,
  given: ModelToFreeze,
  options: FreezeOptions,
  sized: Sized,
  call: CallSettings,
): Promise<readonly Remedy[]> {
  const place: FrozenPlace = { limit: sized.accounted.memory.limit, app: options.app === true };
  const found: Remedy[] = [];
  const ranged = (model: CompiledModel, accounted: Accounted, before: string): void => {
    const { total } = accounted.memory;
    if (total <= place.limit) {
      if (before !== "") found.push({ option: before, total });
      return;
    }
    const fits = fittingRanges(parts, model, accounted);
    if (fits === undefined) return;
    const text = [...new Set(fits.map(([symbol, min, max]) => `--ranges ${symbol}=${min}..${max}`))].join(" ");
    found.push({ option: before === "" ? text : `${before} ${text}`, total: place.limit });
  };
  ranged(sized.model, sized.accounted, "");
  const ends = Object.entries(options.ranges ?? {}).filter(([, own]) => own.length > 1);
  if (ends.length > 0) {
    const whole = Object.fromEntries(
      Object.entries(options.ranges ?? {}).map(([name, own]) => [name, [[own[0][0], own.at(-1)?.[1] ?? own[0][1]]]]),
    ) as FreezeOptions["ranges"] & object;
    const fewer = await compileModel(parts, given, { ranges: whole }, call);
    const accounted = accountMemory(parts, fewer, place);
    if (accounted.memory.total <= place.limit) {
      found.push({ option: `one range of ${ends.map(([name]) => name).join(" and ")}`, total: accounted.memory.total });
    }
  }
  if (place.app) {
    const { total } = accountMemory(parts, sized.model, { ...place, app: false }).memory;
    if (total <= place.limit) found.push({ option: "the same without --app", total });
  }
  if (call.dtype !== "int8") {
    const small = await compileModel(parts, given, options, { ...call, dtype: "int8" });
    ranged(small, accountMemory(parts, small, place), "--dtype int8");
  }
  return found;
}

const SLICE_MS = 5;

/**
 * What is frozen was proven in full on the machine that froze it, over the modules and on the device that the folder has.
 * @throws ProofError
 */
async function proveAll(parts: RuntimeParts, { frozen, modules: files }: CompiledModel): Promise<void> {
  const modules = Object.fromEntries(
    [...files].map(([digest, bytes]) => [digest, new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>)]),
  );
  const memory = parts.device.stats().limitBytes;
  const device = await openFrozenDevice(frozen, { modules, memory, sliceMs: SLICE_MS });
  try {
    for (const { tag, ranges } of frozen.components) {
      for (const { box, artifact } of ranges) {
        const { results } = await proveArtifact(device, frozen.artifacts[artifact]);
        const failure = [...results.values()].find((r) => !r.pass);
        if (failure !== undefined) throw new ProofError(tag, boxText(box) || "no symbols", failure);
      }
    }
  } finally {
    await device.close();
  }
}

/** Places without code generation have the device that code is compiled for, on one thread. */
function checkDevice({ device }: RuntimeParts): void {
  if (device.kind === "wasm") return;
  throw new FoveaError(
    "not_freezable",
    `A runtime on the device "${device.kind}" cannot freeze; create it with device: "wasm".`,
  );
}

/** Where plugins of others lie, as far as that was said. */
function sourcesOf({ options: own }: RuntimeParts, { pluginSources = [] }: FreezeOptions): readonly string[] {
  return [...pluginSources, ...(own.plugins ?? []).filter((given) => typeof given === "string")];
}

async function withLogits(
  frozen: FrozenModel,
  { opened }: ModelToFreeze,
  weights: TensorSource,
  dummy: boolean,
): Promise<FrozenModel> {
  const { logitScale, logitBias } = await readLogits(opened.model, dummy ? undefined : weights);
  return { ...frozen, ...(logitScale === undefined ? {} : { logitScale }), logitBias };
}

/** Names of modules by digest, and the codecs'. */
function wasmFiles(model: CompiledModel, code: ChosenCode): ReadonlyMap<WasmFile, Uint8Array> {
  return new Map([
    ...[...model.modules].map(([key, bytes]): [WasmFile, Uint8Array] => [
      { key, file: `${key.slice(0, NAME_LETTERS)}.wasm` },
      bytes,
    ]),
    ...[...code.codecs].map(([key, bytes]): [WasmFile, Uint8Array] => [{ key, file: key }, bytes]),
  ]);
}

/** A name as deployments have them: lower-case letters, digits and dashes. */
const deploymentName = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "") || "encoder";

/** What the processors of a model's towers take. */
function takenBy({ opened: { model, files }, towers }: ModelToFreeze): readonly Taken[] {
  const { pixels, images, texts, audio } = model.processors(files);
  const has = (modality: string): boolean => towers.some((t) => t.modality === modality);
  return [
    ...(has("vision") && (pixels ?? images) !== undefined ? ["images" as const] : []),
    ...(has("text") && texts !== undefined ? ["texts" as const] : []),
    ...(has("audio") && audio !== undefined ? ["audio" as const] : []),
  ];
}

/** @throws FoveaError `not_freezable` for a server that could be asked nothing */
function checkAskable(app: boolean, takes: readonly Taken[]): void {
  if (!app || takes.length > 0) return;
  throw new FoveaError(
    "not_freezable",
    "The routes of a server take pictures, texts and recordings, and this model comes with nothing that makes tensors of them (such as preprocessor_config.json or tokenizer.json). Leave out --app: the example worker takes tensors as JSON.",
  );
}

/**
 * Writes a model as a folder of ES modules: WebAssembly files, plan, shards of weights, the code that runs them, and an example.
 * @throws FoveaError `too_large` with figures and what would fit, `not_freezable`, `invalid_range`, `bad_usage`, `folder_in_use`, and what
 * loading a model throws
 */
export async function freezeModel(
  parts: RuntimeParts,
  source: ModelSource,
  folder: string,
  options: FreezeOptions,
): Promise<FrozenFolder> {
  checkDevice(parts);
  checkFolderPath("freeze", folder);
  const { host } = parts;
  const root = folder.replace(/(?<=.)[/\\]+$/, "");
  await checkOwnFolder(host, root, "assets", MARKS, "frozen", "freeze");
  const dummy = options.loadFormat === "dummy";
  const files = await openFiles(parts, source);
  const opened = await openModel(files, parts.encoders);
  const given: ModelToFreeze = {
    opened,
    towers: wantedTowers(parts, opened, options.components),
    config: opened.config,
  };
  const app = options.app === true;
  const takes = takenBy(given);
  checkAskable(app, takes);
  const formats = options.formats ?? (given.towers.some((t) => t.modality === "vision") ? ["png"] : []);
  const call = weightSettingsOf(options);
  const model = await compileModel(parts, given, options, call);
  const accounted = accountMemory(parts, model, { limit: options.memory ?? MEMORY, app });
  const { memory, deviceBytes, maxPixels } = accounted;
  if (memory.total > memory.limit) {
    throw tooLarge(opened.modelType, memory, await remedies(parts, given, options, { model, accounted }, call));
  }
  const chosen = await chooseCode(host, opened.plugin, sourcesOf(parts, options), {
    formats,
    app,
  });
  await proveAll(parts, model);
  await parts.device.load(model.code);
  const write = writer(parts, root);
  const weights = await openCalibrated(parts, { files, model: opened.model, towers: given.towers }, options);
  let frozen: FrozenModel;
  try {
    const placed = await writeWeights(parts, model, weights, (name, bytes) => write(`assets/${name}`, bytes));
    frozen = await withLogits({ ...model.frozen, deviceBytes, maxPixels, ...placed }, given, weights, dummy);
  } finally {
    await weights.close?.();
  }
  const bundled = options.weights === "bundled";
  const wasm = wasmFiles(model, chosen);
  const name = options.name ?? `${deploymentName(opened.modelType)}-encoder`;
  const request = {
    ...{ name: deploymentName(name), model: name, takes, tensor: given.towers[0].inputs[0] },
    ...{ frozen, memory, formats, bundled },
    ...{ entry: chosen.entry, types: chosen.types, appTypes: chosen.appTypes },
  };
  const texts = [
    ...folderFiles(request),
    ...[
      ...hostFiles({
        target: frozen.target,
        wasm: [...wasm.keys()],
        bundled: bundled ? frozen.shards.map((s) => s.name) : undefined,
      }),
    ].map(([name, text]) => [`hosts/${name}`, text] as const),
    ["assets/plan.json", JSON.stringify(frozen)] as const,
  ];
  for (const [name, bytes] of chosen.files) await write(`lib/${name}`, bytes);
  for (const [{ file }, bytes] of wasm) await write(`wasm/${file}`, bytes);
  for (const [name, text] of texts) await write(name, new TextEncoder().encode(text));
  return {
    ...{
      folder,
      target: frozen.target,
      kernels: model.frozen.code.length,
      shards: frozen.shards.length,
      memory,
      maxPixels,
    },
  };
}

/** Writes below a folder, making folders as they are needed. */
function writer({ host }: RuntimeParts, root: string): (name: string, bytes: Uint8Array) => Promise<void> {
  const made = new Set<string>();
  return async (name, bytes) => {
    const path = `${root}/${name}`;
    const above = path.slice(0, path.lastIndexOf("/"));
    if (!made.has(above)) await host.mkdir(above);
    made.add(above);
    await host.writeFileAtomic(path, bytes);
  };
}
