/** `fovea explain --breaks`: everything in a model's or a plugin's components that no graph can say. */
import type { ComponentSpec, TowerSpec } from "../abi/encoder.ts";
import type { Plugin } from "../abi/plugin.ts";
import { type TraceBreak, traceBreakText } from "../core/diagnostics.ts";
import { countOf } from "../core/figures.ts";
import { placeText } from "../core/source_place.ts";
import { openForBreaks } from "../session/artifacts/breaks.ts";
import { openPlugin } from "../session/registry/plugin_files.ts";
import { isNamed, noSuchComponent } from "./named_components.ts";
import { type CommonOptions, configuredPlugins } from "./options.ts";
import { print, printJson, setExitCode } from "./terminal.ts";

const isPluginFile = (source: string): boolean => /\.[cm]?[jt]s$/.test(source);

/** The plugins of a module. @throws FoveaError `bad_plugin` when it has none or cannot be read */
async function pluginsOf(path: string): Promise<readonly Plugin[]> {
  const opened = await openPlugin(path);
  return "plugins" in opened ? opened.plugins : [opened.plugin];
}

/**
 * Prints all breaks, or those of the components that were named; ends with 1 when there are any.
 * @param source a model of fovea's own plugins or of those that were added, or a module that exports plugins
 */
export async function explainBreaks(
  source: string,
  options: Pick<CommonOptions, "config" | "plugin" | "json"> & { readonly component?: string },
): Promise<void> {
  const { towers, breaksOf } = isPluginFile(source)
    ? await openForBreaks(undefined, await pluginsOf(source))
    : await openForBreaks(
        source,
        (await configuredPlugins(options)).map((p) => p.plugin),
      );
  const breaks = await breaksOf(componentsOf(towers, source, options.component));
  if (breaks.length > 0) setExitCode(1);
  if (options.json === true) printJson({ source, breaks: breaks.map(breakData) });
  else if (breaks.length === 0) print(`${source}: no trace breaks`);
  else print(`${breaks.map(traceBreakText).join("\n")}\n\n${source}: ${countOf(breaks.length, "trace break")}`);
}

/** The components that were named, or all. @throws FoveaError `bad_usage` that lists what there is */
function componentsOf(
  towers: readonly TowerSpec[],
  source: string,
  name: string | undefined,
): readonly ComponentSpec[] {
  const all = towers.flatMap(({ modality, components }) => components.map((spec) => ({ modality, spec })));
  if (name === undefined) return all.map(({ spec }) => spec);
  const named = all.filter(({ modality, spec }) => isNamed(name, modality, spec.tag));
  if (named.length > 0) return named.map(({ spec }) => spec);
  throw noSuchComponent(
    source,
    name,
    towers.map((t) => t.modality),
    all.map(({ spec }) => spec.tag),
  );
}

function breakData({ place, ...rest }: TraceBreak): object {
  return { ...rest, at: place === undefined ? null : placeText(place) };
}
