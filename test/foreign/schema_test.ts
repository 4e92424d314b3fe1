/** The published schema of `plugin.json` says what the loader takes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { checkManifest } from "../../runtime/foreign/manifest.ts";
import { repositoryPath } from "../kit/run_cli.ts";

type Schema = Readonly<Record<string, unknown>>;

const read = (path: string): Schema => JSON.parse(readFileSync(repositoryPath(path), "utf8"));
const SCHEMA = read("kernels/plugin.schema.json");
const EXAMPLE = read("examples/kernel-c/plugin.json");

/** Members of an object's schema, each with where it stands in a description. */
function members(
  schema: Schema,
  place: readonly (string | number)[],
): (readonly [readonly (string | number)[], Schema])[] {
  const target =
    typeof schema.$ref === "string" ? (SCHEMA.$defs as Record<string, Schema>)[schema.$ref.slice(8)] : schema;
  if (target.type === "array" && place.length < 4) return members(target.items as Schema, [...place, 0]);
  const own = Object.entries((target.properties ?? {}) as Record<string, Schema>);
  return [[place, target], ...own.flatMap(([name, value]) => members(value, [...place, name]))];
}

/** The example with `value` at a place. */
function changed(place: readonly (string | number)[], value: unknown): unknown {
  const copy = structuredClone(EXAMPLE) as Record<string | number, unknown>;
  let at = copy;
  for (const key of place.slice(0, -1)) at = at[key] as typeof at;
  at[place[place.length - 1]] = value;
  return copy;
}

const refused = (description: unknown): string => {
  try {
    checkManifest(description, "plugin.json");
    return "";
  } catch (error) {
    assert.ok(error instanceof FoveaError);
    return error.message;
  }
};

test("the example is what the loader takes, and the schema and the loader name the same members", () => {
  assert.equal(refused(EXAMPLE), "");
  for (const [place, { properties, required = [] }] of members(SCHEMA, [])) {
    if (properties === undefined) continue;
    const names = Object.keys(properties as object);
    const said = refused(changed([...place, "nonsense"], 1));
    assert.match(said, /has no member "nonsense"; it takes /, place.join("."));
    assert.deepEqual(/it takes ([^.]*)\./.exec(said)?.[1].split(", ").sort(), [...names].sort(), place.join("."));
    for (const name of required as string[]) {
      assert.match(refused(changed([...place, name], undefined)), /is missing|is undefined; expected/, name);
    }
  }
});

test("every member that the schema restricts is refused with its place where it holds something else", () => {
  let tried = 0;
  for (const [place, schema] of members(SCHEMA, [])) {
    if (place.length === 0 || place[0] === "$schema" || ["description", "license"].includes(place[0] as string))
      continue;
    if (!("type" in schema) && !("const" in schema)) continue;
    const said = refused(changed(place, schema.type === "object" ? "text" : { odd: true }));
    assert.match(said, /^In plugin\.json, `/, place.join("."));
    tried++;
  }
  assert.ok(tried > 15, String(tried));
});
