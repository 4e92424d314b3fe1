/** `fovea cache`: what the compile cache holds, why something missed, checks, cleaning, carrying it elsewhere. */
import { Command } from "commander";
import { bytesText, FoveaError } from "../core/diagnostics.ts";
import { countOf } from "../core/figures.ts";
import { boxText } from "../core/range.ts";
import { VERSION } from "../core/version.ts";
import { bytesOfEntries, cacheEntries, clear, collect, dayOf, undescribed } from "../exec/cache_entries.ts";
import { entriesAsItems, importPack, importTuning, tuningRecords } from "../exec/cache_pack.ts";
import { writePack } from "../exec/pack.ts";
import { createDirectoryStore } from "../exec/store/directory_store.ts";
import type { Store } from "../exec/store/store.ts";
import { collectWeights, keptWeights } from "../exec/weight_cache.ts";
import { detectHost, type Host } from "../host/mod.ts";
import { packFolder } from "../session/artifacts/pack_folder.ts";
import { openPackSource } from "../session/artifacts/pack_source.ts";
import type { CheckedEntry, LoadOptions } from "../session.ts";
import {
  byteSize,
  type CalibrationOption,
  type CommonOptions,
  MODALITIES,
  nonEmpty,
  oneOf,
  weightOptions,
  withCalibrationOption,
  withCommonOptions,
  withRuntime,
} from "./options.ts";
import { oneLine, table } from "./table.ts";
import { print, printJson, setExitCode } from "./terminal.ts";

interface PlaceOptions {
  readonly json?: boolean;
  readonly cache?: string;
}

interface Opened {
  readonly host: Host;
  readonly store: Store;
  readonly folder: string;
}

/** A folder that is absent is an empty cache. @throws FoveaError for a file in its place and what cannot be listed */
async function checkFolder(host: Host, folder: string): Promise<void> {
  try {
    await host.listDir(folder);
  } catch (error) {
    if (!(error instanceof FoveaError)) throw error;
    if (error.code === "file.not_found") return;
    throw new FoveaError("bad_usage", `The cache ${folder} is no folder that can be read: ${error.message}`, {
      cause: error,
    });
  }
}

/** @throws FoveaError `bad_usage` where no folder is known, and for what is no folder */
async function openCache(options: PlaceOptions): Promise<Opened> {
  const host = await detectHost();
  const folder = options.cache ?? host.defaultCacheDir();
  if (folder === undefined)
    throw new FoveaError("bad_usage", "No cache folder is known here; give one with --cache or FOVEA_CACHE_DIR.");
  await checkFolder(host, folder);
  return {
    host,
    folder,
    store: createDirectoryStore(host, folder, { strict: true }),
  };
}

/** The same for commands that ask a runtime, which does without a cache. @returns the folder, if there is one */
async function checkCache(host: Host, options: CommonOptions): Promise<string | undefined> {
  const folder = options.cache ?? host.defaultCacheDir() ?? false;
  if (folder === false) return undefined;
  await checkFolder(host, folder);
  return folder;
}

const withPlace = (command: Command): Command =>
  command
    .option("--json", "print one JSON document on stdout and nothing else")
    .option("--cache <folder>", "the cache's folder (also FOVEA_CACHE_DIR)", nonEmpty("a folder"))
    .option("--verbose", "stack traces with errors");

/** An entry for people and programs. */
function entryData({ key, tag, box, device, request, artifact, blobs, usedOn }: CheckedEntry): Record<string, unknown> {
  const bytes = Object.values(blobs).reduce((a, b) => a + b, 0);
  const { target, enabled } = request;
  return { key, tag, range: boxText(box), device, target, enabled, artifact, bytes, usedOn: usedOn || null };
}

const ageText = (usedOn: number): string => {
  if (usedOn === 0) return "unknown";
  const days = dayOf(Date.now()) - usedOn;
  return days <= 0 ? "today" : days === 1 ? "yesterday" : `${days} days ago`;
};

function listCommand(): Command {
  return withPlace(new Command("ls").description("List what the cache holds, last used first.")).action(
    async (options: PlaceOptions) => {
      const { store, folder } = await openCache(options);
      const entries = await cacheEntries(store);
      const bytes = bytesOfEntries(entries);
      const kept = await keptWeights(store);
      if (options.json === true)
        return printJson({ cache: folder, bytes, entries: entries.map(entryData), weights: kept });
      if (entries.length === 0 && kept.weights === 0) return print(`The cache ${folder} is empty.`);
      const rows = entries.map((e) => [
        e.tag,
        oneLine(boxText(e.box) || "no symbols", 48),
        e.request.target,
        bytesText(Object.values(e.blobs).reduce((a, b) => a + b, 0)),
        ageText(e.usedOn),
        e.key.slice(0, 12),
      ]);
      print(table(["component", "range", "target", "size", "used", "request"], rows));
      print(`\n${countOf(entries.length, "artifact")}, ${bytesText(bytes)} in ${folder}`);
      if (kept.weights > 0) print(`${countOf(kept.weights, "packed weight")}, ${bytesText(kept.bytes)}`);
    },
  );
}

interface WhyOptions extends CommonOptions, CalibrationOption {
  readonly component?: NonNullable<LoadOptions["components"]>[number];
}

function whyCommand(): Command {
  const command = withCalibrationOption(new Command("why"))
    .description("Say for each range of a model whether the cache has it, and what a miss differs in.")
    .argument("<model>", "model folder or hf:organisation/name; config.json is enough")
    .option("--component <name>", "vision, text or audio; all unless given", oneOf(MODALITIES));
  return withCommonOptions(command)
    .addHelpText(
      "after",
      "\nExamples:\n  fovea cache why ./clip\n  fovea cache why ./clip --target wasm-simd128 --json",
    )
    .action(async (model: string, options: WhyOptions) =>
      withRuntime(options, async ({ host, runtime, progress }) => {
        await checkCache(host, options);
        const { component } = options;
        const found = await runtime.cacheMisses(model, {
          ...weightOptions(options),
          ...(component === undefined ? {} : { components: [component] }),
        });
        progress.stop();
        if (options.json === true) return printJson({ model, ranges: found });
        for (const { tag, range, hit, nearest } of found) {
          if (hit) print(`hit   ${tag} ${range}`);
          else if (nearest === undefined) print(`miss  ${tag} ${range}: the cache has nothing of this component`);
          else {
            const { path, before = "nothing", after = "nothing" } = nearest.difference;
            print(
              `miss  ${tag} ${range}: \`${path}\` is ${oneLine(after, 80)}; the nearest entry, ${nearest.request.slice(0, 12)}, has ${oneLine(before, 80)}`,
            );
          }
        }
      }),
    );
}

function verifyCommand(): Command {
  const command = new Command("verify")
    .description("Check every byte of the cache, and prove on this device what it holds for this target.")
    .option("--full", "compile again from the recorded graphs and compare far more, at the true corners of ranges");
  return withCommonOptions(command)
    .addHelpText("after", "\nExamples:\n  fovea cache verify\n  fovea cache verify --full --target wasm-simd128")
    .action(async (options: CommonOptions & { readonly full?: boolean }) =>
      withRuntime(options, async ({ host, runtime, progress }) => {
        const folder = await checkCache(host, options);
        const nameless = folder === undefined ? [] : await undescribed(createDirectoryStore(host, folder));
        const checks = await runtime.verifyCache({ full: options.full === true });
        progress.stop();
        const bad = checks.filter((c) => c.problem !== undefined);
        if (bad.length + nameless.length > 0) setExitCode(1);
        const proven = checks.reduce((n, c) => n + c.proven, 0);
        if (options.json === true) {
          return printJson({
            entries: checks.map(({ entry, problem, proven: compared, worst }) => ({
              ...entryData(entry),
              ...{ problem: problem ?? null, proven: compared, worst },
            })),
            undescribed: nameless,
          });
        }
        for (const { entry, problem } of bad)
          print(`BAD   ${entry.tag} ${boxText(entry.box)} (${entry.key.slice(0, 12)}): ${problem}`);
        for (const key of nameless)
          print(
            `BAD   ${key.slice(0, 12)}: its description is damaged, so that nothing else of it is checked; \`fovea cache gc\` drops it.`,
          );
        const elsewhere = checks.filter((c) => c.proven === 0 && c.problem === undefined).length;
        print(
          `${checks.length + nameless.length} entries, ${bad.length + nameless.length} bad; ${proven} expectations compared${elsewhere === 0 ? "" : `; ${elsewhere} entries are for other devices or targets, and only their bytes were checked`}`,
        );
      }),
    );
}

function collectCommand(): Command {
  return withPlace(
    new Command("gc")
      .description("Drop what no entry needs, and beyond a size the entries and packed weights used longest ago.")
      .option("--max-size <size>", "most bytes to keep, such as 100m", byteSize),
  ).action(async (options: PlaceOptions & { readonly maxSize?: number }) => {
    const { store, folder } = await openCache(options);
    const gone = await collect(store, options.maxSize);
    const left = bytesOfEntries(await cacheEntries(store));
    const weights = await collectWeights(store, options.maxSize ?? Number.POSITIVE_INFINITY);
    if (options.json === true) return printJson({ cache: folder, ...gone, left, weights });
    if (weights.weights > 0) print(`dropped ${countOf(weights.weights, "packed weight")}, ${bytesText(weights.bytes)}`);
    print(`dropped ${gone.entries} entries and ${gone.blobs} blobs; ${bytesText(left)} are left in ${folder}`);
  });
}

function clearCommand(): Command {
  return withPlace(
    new Command("clear").description("Delete everything that was compiled. Models of the hub stay."),
  ).action(async (options: PlaceOptions) => {
    const { store, folder } = await openCache(options);
    const files = await clear(store);
    if (options.json === true) return printJson({ cache: folder, files });
    print(`deleted ${countOf(files, "file")} of ${folder}`);
  });
}

const tuningText = (records: number): string => (records === 0 ? "" : ` and ${countOf(records, "tuning record")}`);

function exportCommand(): Command {
  return withPlace(
    new Command("export")
      .description("Write the cache's artifacts, and what `fovea tune kernels` kept, as a pack.")
      .argument("<folder>", "where the pack goes"),
  ).action(async (target: string, options: PlaceOptions) => {
    const { host, store } = await openCache(options);
    const folder = await packFolder(host, target);
    const items = await entriesAsItems(store, await cacheEntries(store));
    const tuning = await tuningRecords(store);
    const { entries, blobs } = await writePack(folder, items, { fovea: VERSION }, tuning);
    const bytes = Object.values(blobs).reduce((a, b) => a + b, 0);
    if (options.json === true) return printJson({ pack: target, entries: entries.length, bytes, tuning: tuning.size });
    print(`${countOf(entries.length, "artifact")}${tuningText(tuning.size)}, ${bytesText(bytes)} in ${target}`);
  });
}

function importCommand(): Command {
  return withPlace(
    new Command("import")
      .description(
        "Put a pack's artifacts into the cache, and what was measured of devices that were not measured here.",
      )
      .argument("<pack>", "a folder or an address"),
  ).action(async (source: string, options: PlaceOptions) => {
    const { host, store, folder } = await openCache(options);
    const pack = await openPackSource(source, host);
    const added = await importPack(pack, store);
    const tuning = await importTuning(pack, store);
    if (options.json === true) return printJson({ cache: folder, added, of: pack.manifest.entries.length, tuning });
    print(`${added} of ${pack.manifest.entries.length} artifacts${tuningText(tuning)} were new to ${folder}`);
  });
}

export function cacheCommand(): Command {
  return new Command("cache")
    .description("Look into the compile cache, check, clean or carry it.")
    .addHelpText("after", "\nExamples:\n  fovea cache ls\n  fovea cache why ./clip\n  fovea cache gc --max-size 100m")
    .addCommand(listCommand())
    .addCommand(whyCommand())
    .addCommand(verifyCommand())
    .addCommand(collectCommand())
    .addCommand(clearCommand())
    .addCommand(exportCommand())
    .addCommand(importCommand());
}
