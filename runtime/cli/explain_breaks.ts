/** `fovea explain --breaks`: everything in a model's or a plugin's components that no graph can say. */
import type { Plugin } from "../abi/plugin.ts";
import { FoveaError, type TraceBreak, traceBreakText } from "../core/diagnostics.ts";
import { placeText } from "../core/source_place.ts";
import { detectHost, type Host } from "../host/mod.ts";
import { isPlugin } from "../session/registry/plugins.ts";
import { findBreaks } from "../session.ts";
import { print, printJson, setExitCode } from "./terminal.ts";

const isPluginFile = (source: string): boolean => /\.[cm]?[jt]s$/.test(source);

/** The plugins that a module exports. @throws FoveaError `bad_usage` when it has none or cannot be read */
async function pluginsOf(host: Host, path: string): Promise<readonly Plugin[]> {
  const module = await host.importModule(path).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new FoveaError("bad_usage", `The plugin ${path} cannot be loaded by ${host.name}: ${why}`, { cause: error });
  });
  const found = [...new Set(Object.values(module))].filter(isPlugin);
  if (found.length > 0) return found;
  throw new FoveaError("bad_usage", `${path} exports no plugin; export what definePlugin returns.`);
}

/** Prints all breaks; ends with 1 when there are any. @param source a model, or a module that exports plugins */
export async function explainBreaks(source: string, json: boolean): Promise<void> {
  const host = await detectHost();
  const breaks = isPluginFile(source)
    ? await findBreaks(undefined, await pluginsOf(host, source))
    : await findBreaks(source);
  if (breaks.length > 0) setExitCode(1);
  if (json) printJson({ source, breaks: breaks.map(breakData) });
  else if (breaks.length === 0) print(`${source}: no trace breaks`);
  else print(`${breaks.map(traceBreakText).join("\n")}\n\n${source}: ${breaks.length} trace breaks`);
}

function breakData({ place, ...rest }: TraceBreak): object {
  return { ...rest, at: place === undefined ? null : placeText(place) };
}
