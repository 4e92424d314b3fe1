/** The published schema of `plugin.json` says what the loader takes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { checkManifest } from "../../runtime/foreign/manifest.ts";
import { checkBundle } from "../../runtime/foreign/wgsl/manifest.ts";
import { repositoryPath } from "../kit/run_cli.ts";

type Schema = Readonly<Record<string, unknown>>;

const read = (path: string): Schema => JSON.parse(readFileSync(repositoryPath(path), "utf8"));

interface Form {
  readonly form: string;
  readonly schema: Schema;
  readonly example: Schema;
  readonly check: (value: unknown, file: string) => unknown;
}

const FORMS: readonly Form[] = [
  {
    form: "modules",
    schema: read("kernels/plugin.schema.json"),
    example: read("examples/kernel-c/plugin.json"),
    check: checkManifest,
  },
  {
    form: "shaders",
    schema: read("kernels/bundle.schema.json"),
    example: read("examples/kernel-wgsl/plugin.json"),
    check: checkBundle,
  },
];

/** Members of an object's schema, each with where it stands in a description. */
function members(
  whole: Schema,
  schema: Schema,
  place: readonly (string | number)[],
): (readonly [readonly (string | number)[], Schema])[] {
  const target =
    typeof schema.$ref === "string" ? (whole.$defs as Record<string, Schema>)[schema.$ref.slice(8)] : schema;
  if (target.type === "array" && place.length < 4) return members(whole, target.items as Schema, [...place, 0]);
  const own = Object.entries((target.properties ?? {}) as Record<string, Schema>);
  return [[place, target], ...own.flatMap(([name, value]) => members(whole, value, [...place, name]))];
}

/** The example with `value` at a place. */
function changed(example: Schema, place: readonly (string | number)[], value: unknown): unknown {
  const copy = structuredClone(example) as Record<string | number, unknown>;
  let at = copy;
  for (const key of place.slice(0, -1)) at = at[key] as typeof at;
  at[place[place.length - 1]] = value;
  return copy;
}

const refused = (check: Form["check"], description: unknown): string => {
  try {
    check(description, "plugin.json");
    return "";
  } catch (error) {
    assert.ok(error instanceof FoveaError);
    return error.message;
  }
};

for (const { form, schema, example, check } of FORMS) {
  test(`the example of ${form} is what the loader takes, and the schema and the loader name the same members`, () => {
    assert.equal(refused(check, example), "");
    for (const [place, { properties, required = [] }] of members(schema, schema, [])) {
      if (properties === undefined) continue;
      const names = Object.keys(properties as object);
      const said = refused(check, changed(example, [...place, "nonsense"], 1));
      assert.match(said, /has no member "nonsense"; it takes /, place.join("."));
      assert.deepEqual(/it takes ([^.]*)\./.exec(said)?.[1].split(", ").sort(), [...names].sort(), place.join("."));
      for (const name of required as string[]) {
        const missing = refused(check, changed(example, [...place, name], undefined));
        assert.match(missing, /is missing|is undefined; expected/, name);
      }
    }
  });

  test(`every member of ${form} that the schema restricts is refused with its place where it holds something else`, () => {
    let tried = 0;
    for (const [place, own] of members(schema, schema, [])) {
      if (place.length === 0) continue;
      if (!("type" in own) && !("const" in own)) continue;
      const said = refused(check, changed(example, place, own.type === "object" ? "text" : { odd: true }));
      assert.match(said, /^In plugin\.json, `/, place.join("."));
      assert.match(said, /\.$/, place.join("."));
      tried++;
    }
    assert.ok(tried > 15, String(tried));
  });
}

test("a description that nests without an end is refused in a sentence", () => {
  let pattern: unknown = "x";
  for (let i = 0; i < 20000; i++) pattern = { op: "neg", inputs: [pattern] };
  const example = read("examples/kernel-c/plugin.json");
  const [kernel] = example.kernels as readonly object[];
  const said = refused(checkManifest, { ...example, kernels: [{ ...kernel, pattern }] });
  assert.match(said, /^plugin\.json nests more than 64 deep; patterns are smaller\.$/);
});
