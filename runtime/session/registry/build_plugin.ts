/** What `fovea plugin build` makes: components linked ahead, and the digests of a plugin's files in its description. */
import { digestBytes } from "../../core/digest.ts";
import { parseJson } from "../../core/json_problem.ts";
import { literalPattern } from "../../core/literal_pattern.ts";
import type { Host } from "../../host/mod.ts";
import { isObject } from "../check.ts";
import { transpileSource } from "./transpile_source.ts";

const DESCRIPTION = "plugin.json";

interface Described {
  file: string;
  sha256: string;
}

const isDescribed = (value: unknown): value is Described => isObject(value) && "file" in value && "sha256" in value;

/** Every object with a file and its digest, at any depth. */
function describedIn(value: unknown): readonly Described[] {
  if (typeof value !== "object" || value === null) return [];
  return [...(isDescribed(value) ? [value] : []), ...Object.values(value).flatMap(describedIn)];
}

/** The builds of components with what was linked ahead; nothing where none needs it and none had it. */
async function linkedBuilds(host: Host, folder: string, described: unknown): Promise<readonly unknown[] | undefined> {
  if (!isObject(described) || described.form !== "component" || !Array.isArray(described.builds)) return undefined;
  const { linkAhead } = await import("../../foreign/component/ahead.ts");
  const source = await transpileSource(undefined);
  let changed = false;
  const builds: unknown[] = [];
  for (const build of described.builds as unknown[]) {
    if (!isDescribed(build)) return undefined;
    const { linked: before, ...own } = build as Described & { linked?: unknown };
    const ahead = await linkAhead(await host.readFile(`${folder}/${build.file}`), build.file, source);
    for (const [file, bytes] of ahead?.files ?? []) {
      await host.mkdir(`${folder}/${file.slice(0, file.lastIndexOf("/"))}`);
      await host.writeFileAtomic(`${folder}/${file}`, bytes);
    }
    changed ||= JSON.stringify(before) !== JSON.stringify(ahead?.linked);
    builds.push(ahead === undefined ? own : { ...own, linked: ahead.linked });
  }
  return changed ? builds : undefined;
}

/**
 * Links components ahead that jco links, and writes the digests of all files that a description names into it.
 * @returns each file with its digest
 * @throws FoveaError `invalid_manifest`, `refused_module`, `no_jco`, `file.*`
 */
export async function buildPlugin(host: Host, folder: string): Promise<readonly (readonly [string, string])[]> {
  const path = `${folder}/${DESCRIPTION}`;
  const text = new TextDecoder().decode(await host.readFile(path));
  let described = parseJson(text, path, "invalid_manifest");
  let written = text;
  const builds = await linkedBuilds(host, folder, described);
  if (builds !== undefined) {
    described = { ...(described as object), builds };
    written = `${JSON.stringify(described, undefined, 2)}\n`;
  }
  const digests: (readonly [string, string])[] = [];
  for (const { file, sha256 } of describedIn(described)) {
    const digest = digestBytes(await host.readFile(`${folder}/${file}`));
    // In place, so that the author's own layout stays.
    const entry = new RegExp(
      `("file":\\s*${literalPattern(JSON.stringify(file))},\\s*"sha256":\\s*")${literalPattern(sha256)}"`,
      "g",
    );
    written = written.replace(entry, `$1${digest}"`);
    digests.push([file, digest]);
  }
  if (written !== text) await host.writeFileAtomic(path, new TextEncoder().encode(written));
  return digests;
}
