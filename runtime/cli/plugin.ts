/** `fovea plugin`: what plugins bring, what is enforced about them, and whether their kernels are right. */
import { Command, Option } from "commander";
import type { Isolation } from "../abi/isolation.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { countOf } from "../core/figures.ts";
import { detectHost } from "../host/mod.ts";
import { didYouMean } from "../session/check.ts";
import { checkPlugin, type KernelCheck, type PluginCheck } from "../session/registry/check_plugin.ts";
import { ISOLATION_NAMES } from "../session/registry/plugin_choice.ts";
import { trustOf } from "../session/registry/plugin_files.ts";
import { LOCK_FILE, type PluginLock, readLock, writeLock } from "../session/registry/plugin_lock.ts";
import type { PluginSource } from "../session.ts";
import { configuredPlugins, oneOf, pluginOption } from "./options.ts";
import { buildCommand, newCommand } from "./plugin_new.ts";
import { table } from "./table.ts";
import { print, printJson, setExitCode } from "./terminal.ts";

type Foreign = NonNullable<PluginCheck["foreign"]>;

interface CheckOptions {
  readonly isolation?: Isolation;
  readonly trustGlue?: boolean;
  readonly json?: boolean;
}

/** What code of a form may touch. */
function memoryText({ isolation, manifest }: Foreign): string {
  if (manifest.form === "wgsl") return "memory: its operands and its result, in place; whatever it reaches is bounded";
  const own = "memory: its own; it gets copies of its operands, and its result is copied out";
  if (isolation === "shared-memory") return "memory: not enforced; it is trusted with all of the device's memory";
  return isolation === "worker" ? `${own}; a worker of its own runs it, and is ended where it does not answer` : own;
}

/** Why nobody can give it the device's memory; nothing where a user can. */
function neverShared(manifest: Foreign["manifest"]): string | undefined {
  if (manifest.form === "component") return "a component's memory is always its own";
  if (manifest.form === "wasm" && manifest.memory.reserved > 0)
    return "it reserves memory for data and stack, which only its own memory has";
  return undefined;
}

/** What its description asks for and did not get. */
function askedText({ isolation, asked, manifest }: Foreign): readonly string[] {
  if (asked === undefined || asked === isolation) return [];
  const never = asked === "shared-memory" ? neverShared(manifest) : undefined;
  const how = never === undefined ? `which \`--isolation ${asked}\` gives it` : `which nothing gives it: ${never}`;
  return [`isolation: ${isolation}; its plugin.json asks for ${asked}, ${how}`];
}

/** What code of a form may ask of the host. */
function hostText({ manifest, trustsGlue }: Foreign): string {
  if (trustsGlue) return "not enforced; the glue that it brings is trusted code with all that this process may do";
  return manifest.form === "component"
    ? "no files, network or environment; clocks and randomness alone, where jco links it"
    : "no imports, so no files, network, clock or environment";
}

/** What holds for code of a form, whatever it tries. */
function enforcedText(form: PluginCheck["form"], foreign: Foreign | undefined): readonly string[] {
  if (foreign === undefined) {
    return [
      form === "wasm-pack"
        ? "enforced: nothing; its glue is trusted code with all that this process may do, and so is its module behind it"
        : "enforced: nothing; it is trusted code with all that this process may do",
    ];
  }
  return [
    `enforced: ${memoryText(foreign)}`,
    "          loops: stopped after what its declared work allows",
    "          numbers: compared with the reference at sampled sizes and elements before it serves",
    `          host: ${hostText(foreign)}`,
  ];
}

const features = (list: readonly string[]): string => list.join(" and ") || "plain WebAssembly";

function kernelText({ kernel, points, worst, microseconds, builtIn, problems }: KernelCheck): readonly string[] {
  const right = `  ${points} sizes right, at worst ${(100 * worst).toFixed(1)} % of what passes`;
  const speed = `  ${microseconds.toFixed(1)} us at the largest, the built-in kernels ${builtIn.toFixed(1)} us`;
  return [`kernel ${kernel}`, ...(problems.length === 0 ? [right, speed] : problems.map((p) => `  wrong: ${p}`))];
}

const FORMS: Readonly<Record<PluginCheck["form"], string>> = {
  wasm: "core WebAssembly with plugin.json",
  component: "WebAssembly component of the world fovea:kernel@1.0.0",
  "wasm-pack": "package of wasm-pack, with its glue",
  wgsl: "bundle of WGSL with plugin.json",
  javascript: "JavaScript module",
};

function filesText({ manifest, modules }: Foreign): readonly string[] {
  if (manifest.form === "wgsl") return [...modules].map(([file, bytes]) => `shader: ${file}, ${bytes} bytes`);
  return manifest.builds.map((b) => `build: ${b.file}, ${modules.get(b.file)} bytes, ${features(b.features)}`);
}

function checkText({ form, foreign, plugins, kernels, problems }: PluginCheck): string {
  const lines = plugins.map((p) => {
    const brings = [
      ...(p.kernels ?? []).map((k) => `kernel ${k.name} (${k.device})`),
      ...(p.encoders ?? []).map((e) => `encoder ${e.name}`),
      ...(p.devices ?? []).map((d) => `device ${d.kind}`),
      ...(p.images ?? []).flatMap((i) => [
        ...(i.decode === undefined ? [] : ["decoding of pictures"]),
        ...(i.resize === undefined ? [] : ["resizing of pictures"]),
      ]),
    ];
    return `${p.name} ${p.version}, abi ${p.abi}: ${brings.join(", ") || "nothing"}`;
  });
  return [
    `form: ${FORMS[form]}`,
    ...lines,
    ...(foreign === undefined ? [] : filesText(foreign)),
    ...(foreign === undefined ? [] : askedText(foreign)),
    ...enforcedText(form, foreign),
    ...problems.map((p) => `wrong: ${p}`),
    ...kernels.flatMap(kernelText),
  ].join("\n");
}

function checkData({ form, foreign, plugins, digest, kernels, problems }: PluginCheck): object {
  return {
    form,
    problems,
    isolation: foreign?.isolation ?? null,
    asked: foreign?.asked ?? null,
    digest,
    plugins: plugins.map(({ name, version, abi }) => ({ name, version, abi })),
    kernels: kernels.map((k) => ({ ...k, worst: Number.isFinite(k.worst) ? k.worst : null })),
  };
}

const isRight = ({ kernels, problems }: PluginCheck): boolean =>
  problems.length === 0 && kernels.every((k) => k.problems.length === 0);

async function check(source: PluginSource, options: CheckOptions): Promise<void> {
  const { json } = options;
  const found = await checkPlugin(source, trustOf(options));
  if (json === true) printJson(checkData(found));
  else print(checkText(found));
  if (!isRight(found)) setExitCode(1);
}

/** The plugins that a source in the lock brings, without their versions. */
const namesIn = (lock: PluginLock, source: string): readonly string[] =>
  lock.get(source)?.plugins.map((p) => p.replace(/@[^@]*$/, "")) ?? [];

/** Pins what was checked; what has something wrong is not added. @throws FoveaError `bad_usage` for one that is pinned elsewhere */
async function add(source: string, options: CheckOptions): Promise<void> {
  const { json } = options;
  const found = await checkPlugin(source, trustOf(options));
  const isSound = isRight(found);
  const { digest, form, plugins } = found;
  if (isSound) {
    const host = await detectHost();
    const lock = await readLock(host);
    for (const other of lock.keys()) {
      const twice = plugins.find((p) => namesIn(lock, other).includes(p.name));
      if (other === source || twice === undefined) continue;
      throw new FoveaError(
        "bad_usage",
        `${LOCK_FILE} has the plugin "${twice.name}" already, from ${other}; take it out first with \`fovea plugin remove ${other}\`, or keep to that place.`,
      );
    }
    const names = plugins.map((p) => `${p.name}@${p.version}`);
    const entry = { plugins: names, form, digest, ...trustOf(options) } as const;
    await writeLock(host, new Map([...lock, [source, entry]]));
  }
  if (json === true) printJson({ ...checkData(found), added: isSound });
  else print(`${checkText(found)}\n${isSound ? `added to ${LOCK_FILE} with digest ${digest}` : "not added"}`);
  if (!isSound) setExitCode(1);
}

/** @param plugin its source as it was added, or its name */
async function remove(plugin: string): Promise<void> {
  const host = await detectHost();
  const lock = new Map(await readLock(host));
  const sources = [...lock.keys()];
  const source = lock.has(plugin) ? plugin : sources.find((s) => namesIn(lock, s).includes(plugin));
  if (source === undefined) {
    const there = sources.map((s) => `"${s}" (${namesIn(lock, s).join(", ")})`);
    const known = [...sources, ...sources.flatMap((s) => namesIn(lock, s))];
    throw new FoveaError(
      "bad_usage",
      `${LOCK_FILE} has no plugin "${plugin}"; it has ${there.join(", ") || "none"}.${didYouMean(plugin, known)}`,
    );
  }
  lock.delete(source);
  await writeLock(host, lock);
  print(`${source} is no longer in ${LOCK_FILE}`);
}

const GLUE = new Option(
  "--trust-glue",
  "run glue that a component's folder brings, JavaScript with all that this process may do; without it jco makes glue anew",
);

/** @param what becomes of the choice */
const isolationOption = (what: string): Option =>
  new Option(
    "--isolation <kind>",
    `what its code may touch, which ${what}: worker (copies of its operands, in a worker of its own), own-memory (copies, the default) or shared-memory, which trusts it with the device's memory`,
  ).argParser(oneOf(ISOLATION_NAMES));

function addCommand(): Command {
  return new Command("add")
    .description(
      `Check a plugin and pin it in ${LOCK_FILE}: commands in this folder use it as long as it does not change.`,
    )
    .argument("<plugin>", "folder with plugin.json, module that exports plugins, or installed package")
    .addOption(isolationOption("is remembered"))
    .addOption(GLUE)
    .option("--json", "print one JSON document on stdout and nothing else")
    .option("--verbose", "stack traces with errors")
    .addHelpText(
      "after",
      "\nExamples:\n  fovea plugin add ./my-kernel\n  fovea plugin add @acme/fast-norm --isolation worker",
    )
    .action(add);
}

function removeCommand(): Command {
  return new Command("remove")
    .description(`Take a plugin out of ${LOCK_FILE}.`)
    .argument("<plugin>", "as it was added, or its name")
    .option("--verbose", "stack traces with errors")
    .addHelpText("after", "\nExamples:\n  fovea plugin remove ./my-kernel")
    .action(remove);
}

function checkCommand(): Command {
  return new Command("check")
    .description(
      "Check a plugin: its form, what is enforced, and each kernel against the reference and the built-in ones.",
    )
    .argument("<plugin>", "folder with plugin.json, module that exports plugins, or installed package")
    .addOption(isolationOption("holds for this check"))
    .addOption(GLUE)
    .option("--json", "print one JSON document on stdout and nothing else")
    .option("--verbose", "stack traces with errors")
    .addHelpText("after", "\nExamples:\n  fovea plugin check ./my-kernel\n  fovea plugin check @acme/fast-norm --json")
    .action(check);
}

interface ListOptions {
  readonly plugin?: readonly string[];
  readonly config?: string;
  readonly json?: boolean;
}

async function list(options: ListOptions): Promise<void> {
  const unusable: { readonly source: string; readonly problem: string }[] = [];
  const all = await configuredPlugins(options, (source, { message }) => unusable.push({ source, problem: message }));
  if (unusable.length > 0) setExitCode(1);
  const rows = all.map(({ plugin, source, form, isolation }) => ({
    name: plugin.name,
    version: plugin.version,
    form,
    isolation: isolation ?? null,
    source,
    kernels: plugin.kernels?.length ?? 0,
    encoders: (plugin.encoders ?? []).map((e) => e.name),
    devices: (plugin.devices ?? []).map((d) => d.kind),
    images: (plugin.images ?? []).map((i) => i.name),
  }));
  if (options.json === true) {
    printJson([...rows, ...unusable]);
    return;
  }
  const cells = rows.map((r) => {
    const images = r.images.length === 0 ? [] : ["work on pictures"];
    const brings = [...r.devices, ...r.encoders, ...(r.kernels === 0 ? [] : [countOf(r.kernels, "kernel")]), ...images];
    return [r.name, r.version, r.form, r.isolation ?? "", r.source, brings.join(", ")];
  });
  print(table(["plugin", "version", "form", "isolation", "from", "brings"], cells));
  if (unusable.length > 0) print(["", "cannot be used", ...unusable.map((u) => `  ${u.problem}`)].join("\n"));
}

function listCommand(): Command {
  return pluginOption(new Command("ls"))
    .description(
      "List the plugins that commands use: fovea's own, those of the configuration, of fovea.lock and of --plugin.",
    )
    .option("--config <file>", "configuration file; that of the working directory unless given")
    .option("--json", "print one JSON document on stdout and nothing else")
    .option("--verbose", "stack traces with errors")
    .addHelpText("after", "\nExamples:\n  fovea plugin ls\n  fovea plugin ls --plugin ./my-kernel")
    .action(list);
}

export function pluginCommand(): Command {
  return new Command("plugin")
    .description("Begin, check and see plugins: kernels, encoders and devices from anyone.")
    .addCommand(newCommand())
    .addCommand(buildCommand())
    .addCommand(checkCommand())
    .addCommand(addCommand())
    .addCommand(removeCommand())
    .addCommand(listCommand());
}
