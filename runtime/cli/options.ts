/** Options that commands share, and the runtime that they ask for. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Isolation } from "../abi/isolation.ts";
import type { Plugin } from "../abi/plugin.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { WEIGHT_DTYPES, type WeightDType } from "../core/dtype.ts";
import { detectHost, type Host } from "../host/mod.ts";
import { LOG_TOPICS, type LogTopic } from "../session/artifacts/journal.ts";
import { didYouMean } from "../session/check.ts";
import { readConfiguration } from "../session/config/config_file.ts";
import { type LogOptions, MAX_THREADS } from "../session/options.ts";
import { firstPartyPlugins } from "../session/registry/first_party.ts";
import { type GivenPlugin, isChoice } from "../session/registry/plugin_choice.ts";
import { openPlugin, trustOf } from "../session/registry/plugin_files.ts";
import { readLock } from "../session/registry/plugin_lock.ts";
import { createRuntime, type Encoder, type HubSettings, type Runtime, type RuntimeOptions } from "../session.ts";
import { type ProgressBar, progressBar, say } from "./terminal.ts";

export interface HubOptions {
  readonly offline?: boolean;
  readonly token?: string;
  readonly cache?: string | false;
}

export interface CommonOptions extends HubOptions {
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly device?: string;
  readonly handover?: boolean;
  readonly target?: string;
  readonly threads?: number;
  readonly memory?: number;
  readonly unsafeWebgpu?: boolean;
  readonly compile: boolean;
  readonly pack?: readonly string[];
  readonly plugin?: readonly string[];
  /** Path of a configuration file; `true` where a command's `--config` was given without one. */
  readonly config?: string | true;
  readonly compileConfig?: string;
  readonly dtype?: WeightDType;
}

/** A parser of whole numbers in an interval. */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    const interval = most === Number.MAX_SAFE_INTEGER ? `>= ${least}` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`Expected a whole number ${interval}.`);
  };
}

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** `512m`, `2g` or a number of bytes. */
export function byteSize(text: string): number {
  const found = /^(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?$/i.exec(text.trim());
  if (found === null) throw new InvalidArgumentError("Expected bytes, such as 512m or 2g.");
  const bytes = Math.floor(Number(found[1]) * UNITS[found[2].toLowerCase()]);
  if (bytes === 0) throw new InvalidArgumentError("Expected more than 0 bytes, such as 512m or 2g.");
  return bytes;
}

/** A parser of texts that name something. */
export function nonEmpty(what: string): (text: string) => string {
  return (text) => {
    if (text.trim() === "") throw new InvalidArgumentError(`Expected ${what}.`);
    return text;
  };
}

/** A parser of names that are separated by commas. */
export function nameList(text: string): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  const known = names.filter((name) => name !== "");
  if (known.length === 0) throw new InvalidArgumentError("Expected names, separated by commas.");
  return known;
}

/** Labels that are separated by commas, behind those given before. An empty one is the end of a list without quotes. */
export function labelList(text: string, before: readonly string[] = []): readonly string[] {
  const labels = text.split(",").map((label) => label.trim());
  if (!labels.includes("")) return [...before, ...labels];
  throw new InvalidArgumentError('Expected labels separated by commas, with quotes around the list: "a cat,a dog".');
}

/** A parser of one of these names. */
export function oneOf(names: readonly string[]): (text: string) => string {
  return (text) => {
    if (!names.includes(text)) throw new InvalidArgumentError(`Expected one of ${names.join(", ")}.`);
    return text;
  };
}

/** Parts of models that a command may ask for. */
export const MODALITIES: readonly string[] = ["vision", "text", "audio"];

/** Adds `--plugin`. */
export function pluginOption(command: Command): Command {
  return command.option(
    "--plugin <source>",
    "a plugin's folder (with plugin.json), module or package; may be repeated",
    repeated,
  );
}

/** Collects the values of an option that may be given several times. */
function repeated(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

const HUB_TOKEN: Option = new Option("--token <token>", "token for private and gated models (also HF_TOKEN)").argParser(
  nonEmpty("a token"),
);

/** Adds the options of every command that may need the hub. @param token where `--token` is the command's own */
export function withHubOptions(command: Command, token: Option = HUB_TOKEN): Command {
  return command.option("--offline", "never use the hub: models of it must have been pulled").addOption(token);
}

export function hubSettings({ offline, token, cache }: HubOptions): HubSettings {
  return {
    ...(offline === undefined ? {} : { offline }),
    ...(token === undefined ? {} : { token }),
    ...(cache === false ? { folder: false } : {}),
  };
}

export const CONFIG_FILE: Option = new Option(
  "--config <file>",
  "configuration file; fovea.config.ts, .js, .mjs or .json of the working directory unless given",
).argParser(nonEmpty("a file"));

/** Adds the options of every command that runs a model. */
export function withCommonOptions(command: Command, config: Option = CONFIG_FILE, token: Option = HUB_TOKEN): Command {
  return pluginOption(withHubOptions(command, token))
    .option("--json", "print one JSON document on stdout and nothing else")
    .option(
      "--device <kind>",
      "device to compute on: wasm, webgpu or reference; the first available of several with commas",
      "wasm",
    )
    .option(
      "--handover",
      "with two devices: answer on the second until the first is ready, such as --device webgpu,wasm",
    )
    .option("--target <name>", "pin a target, such as wasm-simd128")
    .option("--threads <n>", "workers that compute; 0 computes on the main thread", wholeNumber(0, MAX_THREADS))
    .option("--memory <size>", "most device memory, such as 512m or 2g", byteSize)
    .option("--unsafe-webgpu", "let webgpu use features that are no standard yet: subgroup matrices")
    .option(
      "--cache <folder>",
      "where compiled artifacts and models of the hub are kept (also FOVEA_CACHE_DIR)",
      nonEmpty("a folder"),
    )
    .addOption(new Option("--no-cache", "keep nothing on disk"))
    .option("--pack <folder>", "a pack that `fovea build` made, asked before the cache; may be repeated", repeated)
    .option("--no-compile", "run every op alone, for debugging (also FOVEA_COMPILE=0)")
    .addOption(config)
    .option("--compile-config <json>", 'settings over the configuration file\'s, such as \'{"base": {"lazy": true}}\'')
    .option(
      "--dtype <type>",
      "type that large weights are kept in: f32 (the default), f16, bf16, or int8, whose products are of integers",
      oneOf(WEIGHT_DTYPES),
    )
    .option("--verbose", "stack traces with errors");
}

/** Topics of FOVEA_LOG, separated by commas. @throws FoveaError `bad_usage` naming the nearest topic */
export function logOption(topics: string | undefined): { readonly log?: LogOptions } {
  const names = (topics ?? "").split(",").flatMap((name) => (name.trim() === "" ? [] : [name.trim()]));
  if (names.length === 0) return {};
  const odd = names.find((name) => !(LOG_TOPICS as readonly string[]).includes(name));
  if (odd !== undefined) {
    throw new FoveaError(
      "bad_usage",
      `FOVEA_LOG names the topic "${odd}"; there are ${LOG_TOPICS.join(", ")}.${didYouMean(odd, LOG_TOPICS)}`,
    );
  }
  const write: LogOptions["write"] = ({ topic, tag, text }) =>
    say(`fovea ${topic}: ${tag === undefined ? "" : `${tag}: `}${text}`);
  return { log: { topics: names as readonly LogTopic[], write } };
}

/** @throws FoveaError `bad_usage` for anything but 0 and 1 */
function isSwitchedOff(compile: string | undefined): boolean {
  if (compile === undefined || ["", "0", "1"].includes(compile)) return compile === "0";
  throw new FoveaError(
    "bad_usage",
    `FOVEA_COMPILE is ${JSON.stringify(compile)}; expected 0, which runs every op alone, or 1.`,
  );
}

export interface Opened {
  readonly host: Host;
  readonly runtime: Runtime;
  readonly progress: ProgressBar;
}

/** Opens the runtime that the options ask for. @param more what a command adds */
export async function openRuntime(options: CommonOptions, more: RuntimeOptions = {}): Promise<Opened> {
  const host = await detectHost();
  const progress = await progressBar(host, options.json === true);
  const switchedOff = isSwitchedOff(host.env("FOVEA_COMPILE")) ? "FOVEA_COMPILE=0" : undefined;
  const off = options.compile ? switchedOff : "--no-compile";
  const { layers, plugins } = await readConfiguration(host, {
    ...(typeof options.config === "string" ? { file: options.config } : {}),
    ...(options.compileConfig === undefined ? {} : { json: options.compileConfig }),
    ...(off === undefined ? {} : { off }),
  });
  const cache = options.cache ?? host.defaultCacheDir() ?? false;
  const added = (await addedPlugins(host, plugins, options.plugin)).map((p) => p.plugin);
  const runtime = await createRuntime({
    device: (options.device ?? "wasm").split(",").map((kind) => kind.trim()),
    cache,
    hub: hubSettings(options),
    ...(options.pack === undefined ? {} : { packs: options.pack }),
    ...(layers.length === 0 ? {} : { compile: layers }),
    ...(added.length === 0 ? {} : { plugins: [...(await firstPartyPlugins()), ...added] }),
    onProgress: progress.onProgress,
    onProblem: (sentence) => say(`fovea: ${sentence}`),
    ...logOption(host.env("FOVEA_LOG")),
    ...(options.handover === true ? { handover: true } : {}),
    ...(options.target === undefined ? {} : { target: options.target }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.memory === undefined ? {} : { memory: options.memory }),
    ...(options.unsafeWebgpu === true ? { webgpu: { unsafe: true } } : {}),
    ...more,
  });
  return { host, runtime, progress };
}

/** Source of plugins that the configuration gives as objects. */
const CONFIGURED = "configuration";

const FORMS = { wasm: "WebAssembly", component: "component", wgsl: "WGSL" } as const;

/** A plugin that commands use, and where it comes from. */
export interface ConfiguredPlugin {
  readonly plugin: Plugin;
  readonly source: string;
  readonly form:
    | "built in"
    | "JavaScript"
    | "WebAssembly"
    | "component"
    | "component, trusted glue"
    | "wasm-pack, trusted glue"
    | "WGSL";
  /** What its code may touch, of plugins of files. */
  readonly isolation?: Isolation;
}

/** Hears of a plugin, by its source, that cannot be used. */
export type OnUnusable = (source: string, error: FoveaError) => void;

const throwUnusable: OnUnusable = (_, error) => {
  throw error;
};

/**
 * Plugins beside fovea's own: those of the configuration, of `fovea.lock` and of `--plugin`, in this order. What the lock pins
 * must be what was added. What its code may touch says the configuration, else the lock, else its description.
 * @param unusable is told of a plugin that cannot be used, which is left out then
 * @throws FoveaError `changed_plugin`, and what loading them throws
 */
async function addedPlugins(
  host: Host,
  configured: readonly GivenPlugin[],
  named: readonly string[] = [],
  unusable: OnUnusable = throwUnusable,
): Promise<readonly ConfiguredPlugin[]> {
  const lock = await readLock(host);
  const chosen = new Map(configured.flatMap((p) => (isChoice(p) ? [[p.plugin, trustOf(p)] as const] : [])));
  const listed = configured.map((p) => (isChoice(p) ? p.plugin : p));
  const open = async (given: string): Promise<readonly ConfiguredPlugin[]> => {
    const pin = lock.get(given);
    const trust = { ...trustOf(pin ?? {}), ...chosen.get(given) };
    const opened = await openPlugin(given, { pinned: pin?.digest, ...trust });
    if ("plugins" in opened) {
      const form = opened.form === "javascript" ? "JavaScript" : "wasm-pack, trusted glue";
      return opened.plugins.map((plugin) => ({ plugin, source: given, form }));
    }
    const { plugin, manifest, isolation, trustsGlue } = opened;
    const form = trustsGlue ? "component, trusted glue" : FORMS[manifest.form];
    return [{ plugin, source: given, form, isolation }];
  };
  const all = await Promise.all(
    [...new Set([...listed, ...lock.keys(), ...named])].map(async (given): Promise<readonly ConfiguredPlugin[]> => {
      if (typeof given !== "string") return [{ plugin: given, source: CONFIGURED, form: "JavaScript" }];
      try {
        return await open(given);
      } catch (error) {
        if (!(error instanceof FoveaError)) throw error;
        unusable(given, error);
        return [];
      }
    }),
  );
  return all.flat();
}

/**
 * fovea's own plugins and those that were added, in order.
 * @param unusable is told of those that cannot be used, which throw otherwise
 * @throws FoveaError as for every command
 */
export async function configuredPlugins(
  options: Pick<CommonOptions, "config" | "plugin">,
  unusable?: OnUnusable,
): Promise<readonly ConfiguredPlugin[]> {
  const host = await detectHost();
  const file = typeof options.config === "string" ? { file: options.config } : {};
  const { plugins } = await readConfiguration(host, file);
  const own = (await firstPartyPlugins()).map((plugin) => ({ plugin, source: "fovea", form: "built in" as const }));
  return [...own, ...(await addedPlugins(host, plugins, options.plugin, unusable))];
}

/** Where plugins in JavaScript lie that are named, each once. */
export async function pluginModules(options: Pick<CommonOptions, "config" | "plugin">): Promise<readonly string[]> {
  const named = (await configuredPlugins(options)).filter((p) => p.form === "JavaScript" && p.source !== CONFIGURED);
  return [...new Set(named.map((p) => p.source))];
}

/** Runs `work` with a runtime and closes it, also when it fails. */
export async function withRuntime(
  options: CommonOptions,
  work: (opened: Opened) => Promise<void>,
  more: RuntimeOptions = {},
): Promise<void> {
  const opened = await openRuntime(options, more);
  try {
    await work(opened);
  } finally {
    opened.progress.stop();
    await opened.runtime.close();
  }
}

/** Of commands that load models. */
export interface CalibrationOption {
  readonly calibration?: string;
}

export function withCalibrationOption(command: Command): Command {
  return command.option(
    "--calibration <file>",
    "for --dtype int8, and f16 on webgpu: what `fovea tune calibration` wrote",
    nonEmpty("a file"),
  );
}

/** How weights are to be kept, as options of `load`. */
export function weightOptions(options: CommonOptions & CalibrationOption): CalibrationOption & { dtype?: WeightDType } {
  const { calibration } = options;
  return { ...dtypeOption(options), ...(calibration === undefined ? {} : { calibration }) };
}

/** Of commands that encode pictures. */
export interface JpegOption {
  readonly jpegShrinkOnLoad?: true;
}

export function withJpegOption(command: Command): Command {
  return command.option(
    "--jpeg-shrink-on-load",
    "read JPEG files at a reduced size where the model's own is far smaller: faster, other pixels than the reference (needs sharp)",
  );
}

/** How JPEG files are read, as an option of `load` and for what is printed. */
export function jpegOption({ jpegShrinkOnLoad }: JpegOption): JpegOption {
  return jpegShrinkOnLoad === undefined ? {} : { jpegShrinkOnLoad };
}

/** What JSON says of reading JPEG files at a reduced size; nothing where that was not asked for. */
export function jpegReport(encoder: Encoder): { readonly reducedJpegs?: number } {
  return encoder.jpegShrinkOnLoad ? { reducedJpegs: encoder.stats().reducedJpegs } : {};
}

/** Says on stderr that pictures have other pixels than the reference's. */
export function sayReduced(encoder: Encoder): void {
  const { reducedJpegs } = encoder.stats();
  if (reducedJpegs === 0) return;
  const [files, were] = reducedJpegs === 1 ? ["file", "was"] : ["files", "were"];
  say(`fovea: ${reducedJpegs} JPEG ${files} ${were} read at a reduced size (--jpeg-shrink-on-load)`);
}

/** The type of weights that was asked for, as an option of `load`. */
export function dtypeOption({ dtype }: CommonOptions): { readonly dtype?: WeightDType } {
  return dtype === undefined ? {} : { dtype };
}
