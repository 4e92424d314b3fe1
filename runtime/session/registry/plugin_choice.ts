/** Plugins as users list them: made, named, or named with what they trust them with. */
import { ISOLATIONS, type Isolation } from "../../abi/isolation.ts";
import type { Plugin } from "../../abi/plugin.ts";
import { FoveaError, nearest } from "../../core/diagnostics.ts";
import { didYouMean, foundText, isObject } from "../check.ts";
import { isPlugin } from "./plugins.ts";

/** What a user trusts a plugin with, whatever its description asks for. */
export interface Trust {
  /** What its code in WebAssembly may touch; what its description asks for unless given, `own-memory` at most. */
  readonly isolation?: Isolation;
  /** Whether glue that its folder brings may run, JavaScript with all that this process may do; false unless given. */
  readonly trustGlue?: boolean;
}

/** A plugin by its folder, module or package, and what it is trusted with. */
export interface PluginChoice extends Trust {
  /** As for `loadPlugin`: a folder with `plugin.json`, that file, a module, or an installed package. */
  readonly plugin: string;
}

/** What lists of plugins hold. */
export type GivenPlugin = Plugin | string | PluginChoice;

/** Names of all isolations, the least trusting first. */
export const ISOLATION_NAMES: readonly string[] = ISOLATIONS;

const MEMBERS = ["plugin", "isolation", "trustGlue"];

const ISOLATION_TEXT = ISOLATIONS.map((i) => JSON.stringify(i)).join(" or ");

/** The end of a sentence about what is wrong with an isolation; nothing where it is right. */
const isolationProblem = (value: unknown): string | undefined =>
  value === undefined || (ISOLATIONS as readonly unknown[]).includes(value)
    ? undefined
    : `is ${foundText(value)}; expected ${ISOLATION_TEXT}.`;

/** Whether an object has a member of a choice, or one that is spelled nearly so. */
const isMeantAsChoice = (value: object): boolean =>
  Object.keys(value).some((name) => MEMBERS.includes(name) || nearest(name, MEMBERS) !== undefined);

/** What is wrong with an entry of a list of plugins: its member, and the end of a sentence about it. */
export function pluginProblem(value: unknown): { readonly member?: string; readonly message: string } | undefined {
  if (typeof value === "string" ? value.trim() !== "" : isPlugin(value)) return undefined;
  if (!isObject(value) || Array.isArray(value) || !isMeantAsChoice(value))
    return {
      message: `is ${foundText(value)}; expected a plugin, as definePlugin makes it, the folder, module or package of one, or { plugin: "its folder", isolation: "worker" }.`,
    };
  const odd = Object.keys(value).find((name) => !MEMBERS.includes(name));
  if (odd !== undefined)
    return { message: `has no setting "${odd}"; it takes ${MEMBERS.join(", ")}.${didYouMean(odd, MEMBERS)}` };
  const { plugin, isolation, trustGlue } = value;
  if (isPlugin(plugin))
    return {
      member: "plugin",
      message: `is the plugin "${plugin.name}", which is loaded already; name its folder, or give the isolation to loadPlugin.`,
    };
  if (typeof plugin !== "string" || plugin.trim() === "")
    return { member: "plugin", message: `is ${foundText(plugin)}; expected a folder, module or package.` };
  if (trustGlue !== undefined && typeof trustGlue !== "boolean")
    return { member: "trustGlue", message: `is ${foundText(trustGlue)}; expected true or false.` };
  const wrong = isolationProblem(isolation);
  return wrong === undefined ? undefined : { member: "isolation", message: wrong };
}

/** What `createRuntime` takes as `plugins`. @throws FoveaError `invalid_options` */
export function checkPluginsOption(plugins: readonly unknown[]): void {
  for (const [i, value] of plugins.entries()) {
    const problem = pluginProblem(value);
    if (problem === undefined) continue;
    const member = problem.member === undefined ? "" : `.${problem.member}`;
    throw new FoveaError(
      "invalid_options",
      `In the options of createRuntime, \`plugins[${i}]${member}\` ${problem.message}`,
    );
  }
}

export const isChoice = (given: GivenPlugin): given is PluginChoice =>
  typeof given !== "string" && "plugin" in given && !isPlugin(given);
