/** `fovea explain --breaks`: everything in a model's or a plugin's components that no graph can say. */
import type { Plugin } from "../abi/plugin.ts";
import { type TraceBreak, traceBreakText } from "../core/diagnostics.ts";
import { countOf } from "../core/figures.ts";
import { placeText } from "../core/source_place.ts";
import { openPlugin } from "../session/registry/plugin_files.ts";
import { findBreaks } from "../session.ts";
import { type CommonOptions, configuredPlugins } from "./options.ts";
import { print, printJson, setExitCode } from "./terminal.ts";

const isPluginFile = (source: string): boolean => /\.[cm]?[jt]s$/.test(source);

/** The plugins of a module. @throws FoveaError `bad_plugin` when it has none or cannot be read */
async function pluginsOf(path: string): Promise<readonly Plugin[]> {
  const opened = await openPlugin(path);
  return "plugins" in opened ? opened.plugins : [opened.plugin];
}

/**
 * Prints all breaks; ends with 1 when there are any.
 * @param source a model of fovea's own plugins or of those that were added, or a module that exports plugins
 */
export async function explainBreaks(
  source: string,
  options: Pick<CommonOptions, "config" | "plugin" | "json">,
): Promise<void> {
  const breaks = isPluginFile(source)
    ? await findBreaks(undefined, await pluginsOf(source))
    : await findBreaks(
        source,
        (await configuredPlugins(options)).map((p) => p.plugin),
      );
  if (breaks.length > 0) setExitCode(1);
  if (options.json === true) printJson({ source, breaks: breaks.map(breakData) });
  else if (breaks.length === 0) print(`${source}: no trace breaks`);
  else print(`${breaks.map(traceBreakText).join("\n")}\n\n${source}: ${countOf(breaks.length, "trace break")}`);
}

function breakData({ place, ...rest }: TraceBreak): object {
  return { ...rest, at: place === undefined ? null : placeText(place) };
}
