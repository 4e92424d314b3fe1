/** The small files of a model: configuration, processors, tokenizer. */
import type { EncoderModel, EncoderSpec, ModelFiles, TowerSpec } from "../../abi/encoder.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { parseJson } from "../../core/json_problem.ts";
import { encoderFor, servedType } from "../../core/served_type.ts";
import {
  type ByteSource,
  type CheckpointFiles,
  createNameResolver,
  openCheckpoint,
} from "../../exec/weights/checkpoint.ts";
import { didYouMean, isObject, thrownText } from "../check.ts";
import type { EncoderPlugins } from "../registry/encoder_plugins.ts";
import { checkFamilies } from "../registry/plugins.ts";
import { checkedTower } from "../towers/checked_tower.ts";

/** Larger than any tokenizer that is published. */
const MAX_JSON_BYTES = 256 * 2 ** 20;

/** A file, or nothing when the folder has none. Lists of folders do not show what their own folders hold. */
async function openIfThere(files: CheckpointFiles, name: string): Promise<ByteSource | undefined> {
  if ((await files.list()).includes(name)) return files.open(name);
  if (!name.includes("/")) return undefined;
  return files.open(name).catch((error: unknown) => {
    if (error instanceof FoveaError && error.code === "file.not_found") return undefined;
    throw error;
  });
}

/** A JSON file as it is, or nothing when the folder has none. @throws FoveaError `invalid_json` */
export async function readJson(files: CheckpointFiles, name: string): Promise<unknown> {
  const source = await openIfThere(files, name);
  if (source === undefined) return undefined;
  try {
    if (source.size > MAX_JSON_BYTES) {
      throw new FoveaError(
        "invalid_json",
        `${name} in ${files.description} has ${source.size} bytes, more than any such file needs.`,
      );
    }
    const bytes = new Uint8Array(source.size);
    await source.read(bytes, 0);
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return parseJson(text, `${name} in ${files.description}`, "invalid_json");
  } catch (cause) {
    if (cause instanceof FoveaError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new FoveaError("invalid_json", `${name} in ${files.description} is not valid JSON: ${why}.`, { cause });
  } finally {
    await source.close();
  }
}

export interface OpenedModel {
  readonly modelType: string;
  /** `config.json`, as the weights show it to be. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Plugin that brings the encoder. */
  readonly plugin: string;
  readonly spec: EncoderSpec;
  readonly model: EncoderModel;
  /** The files that the encoder reads beside `config.json`, those that are there. */
  readonly files: ModelFiles;
}

/**
 * Reads `config.json` and opens the encoder plugin that serves its `model_type` with the files that it asks for.
 * @throws FoveaError `no_config`, `unknown_model_type` that lists the known ones, `invalid_config`, `invalid_plugin` for a
 * component whose family its encoder does not list
 */
export async function openModel(files: CheckpointFiles, plugins: EncoderPlugins): Promise<OpenedModel> {
  const config = await readJson(files, "config.json");
  if (config === undefined) {
    throw new FoveaError(
      "no_config",
      `${files.description} has no config.json, so it is no model folder; give the folder that holds config.json and the weights.`,
    );
  }
  if (!isObject(config) || Array.isArray(config))
    throw new FoveaError("invalid_config", `config.json in ${files.description} must be an object.`);
  const modelType = config.model_type;
  const known = plugins.modelTypes;
  if (typeof modelType !== "string") {
    const found = modelType === undefined ? "it is absent" : `found ${JSON.stringify(modelType)}`;
    throw new FoveaError(
      "invalid_config",
      `config.json in ${files.description} needs the text field "model_type"; ${found}. Known: ${known.join(", ")}.`,
    );
  }
  const plugin = await plugins.find(servedType(config, known));
  const spec = encoderFor(config, plugin?.encoders ?? []);
  if (spec === undefined || plugin === undefined) {
    const there = known.length === 0 ? "none of the plugins has an encoder" : `known are ${known.join(", ")}`;
    throw new FoveaError(
      "unknown_model_type",
      `No plugin serves the model_type "${modelType}" of ${files.description}; ${there}.${didYouMean(modelType, known)} A plugin of another family goes into \`plugins\` of createRuntime or, on the command line, into --plugin or the configuration file.`,
    );
  }
  const own = await readModelFiles(files, spec);
  const open = (of: OpenedModel["config"]): EncoderModel => {
    const made: unknown = fromEncoder(plugin.name, spec.name, "open", () => spec.open(of, own));
    if (isObject(made) && Array.isArray(made.towers)) {
      const towers = made.towers.map((tower: TowerSpec) => checkedTower(modelType, tower));
      return Object.assign(Object.create(Object.getPrototypeOf(made)), made, { towers });
    }
    throw encoderProblem(plugin.name, spec.name, "`open` gives no model; expected { prefixes, towers, processors }.");
  };
  const model = open(config);
  const opened = { modelType, plugin: plugin.name, spec, config, model, files: own };
  checkFamilies(plugin.name, spec, model);
  const adapted = await adaptedConfig(files, opened);
  if (adapted === config) return opened;
  return { ...opened, config: adapted, model: open(adapted) };
}

const encoderProblem = (plugin: string, encoder: string, sentence: string, cause?: unknown): FoveaError =>
  new FoveaError("invalid_plugin", `The encoder "${encoder}" of plugin "${plugin}" cannot be used: its ${sentence}`, {
    cause,
  });

/** What an encoder's function gives; what it throws, other than sentences of its own, names it. */
function fromEncoder<T>(plugin: string, encoder: string, what: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof FoveaError) throw error;
    throw encoderProblem(plugin, encoder, `\`${what}\` threw: ${thrownText(error)}`, error);
  }
}

/** The configuration as the weights show it to be; as it is where there are none, or none that can be opened. */
async function adaptedConfig(
  files: CheckpointFiles,
  { plugin, spec, config, model }: OpenedModel,
): Promise<OpenedModel["config"]> {
  if (spec.adapt === undefined) return config;
  const names = await tensorNames(files);
  if (names === undefined) return config;
  const resolve = createNameResolver((name) => names.has(name), model);
  const { adapt } = spec;
  const adapted: unknown = fromEncoder(plugin, spec.name, "adapt", () =>
    adapt(config, (tensor) => resolve(tensor) !== undefined),
  );
  if (isObject(adapted)) return adapted;
  throw encoderProblem(
    plugin,
    spec.name,
    "`adapt` gives no configuration; expected the one that it was given, or another.",
  );
}

async function tensorNames(files: CheckpointFiles): Promise<ReadonlySet<string> | undefined> {
  if (files.tensorNames !== undefined) return files.tensorNames();
  // What is wrong with weights is told by those who read them.
  const checkpoint = await openCheckpoint(files).catch(() => undefined);
  if (checkpoint === undefined) return undefined;
  await checkpoint.close();
  return new Set(checkpoint.names);
}

/** @throws FoveaError `no_component` for one that the model does not have */
export function checkComponents(modelType: string, model: EncoderModel, wanted: readonly string[] | undefined): void {
  const available = model.towers.map((t) => t.modality);
  for (const one of wanted ?? []) {
    if (available.some((a) => a === one)) continue;
    throw new FoveaError(
      "no_component",
      `This ${modelType} model has no "${one}" component; it has ${available.join(", ")}.${didYouMean(one, available)}`,
    );
  }
}

async function readModelFiles(files: CheckpointFiles, spec: EncoderSpec): Promise<ModelFiles> {
  const found: Record<string, unknown> = {};
  for (const name of spec.files) {
    const value = await readJson(files, name);
    if (value !== undefined) found[name] = value;
  }
  return found;
}
