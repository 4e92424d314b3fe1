/** The published schemas and the loader's own checks take and refuse the same documents. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { checkManifest } from "../../runtime/foreign/manifest.ts";
import { checkBundle } from "../../runtime/foreign/wgsl/manifest.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { accepts, isObject, type Schema } from "./json_schema.ts";

const read = (path: string): Schema => JSON.parse(readFileSync(repositoryPath(path), "utf8"));

const HASH = "0123456789abcdef".repeat(4);
const component = read("examples/kernel-component/plugin.json");
const [build] = component.builds as readonly Schema[];
const linked = {
  glue: { file: "product.linked/kernel.js", sha256: HASH },
  cores: [{ file: "product.linked/kernel.core.wasm", sha256: HASH }],
  imports: ["wasi:clocks/wall-clock"],
};
const wordy = { $schema: "a.json", description: "It multiplies.", license: "MIT" };
const modules = read("examples/kernel-c/plugin.json");

interface Form {
  readonly form: string;
  readonly schema: Schema;
  /** Documents that both take, from which others are made. */
  readonly documents: readonly Schema[];
  readonly check: (value: unknown, file: string) => unknown;
}

const FORMS: readonly Form[] = [
  {
    form: "components",
    schema: read("kernels/component.schema.json"),
    documents: [component, { ...component, ...wordy, isolation: "worker", builds: [{ ...build, linked }, build] }],
    check: checkManifest,
  },
  {
    form: "modules",
    schema: read("kernels/plugin.schema.json"),
    documents: [modules, { ...modules, ...wordy, isolation: "shared-memory" }],
    check: checkManifest,
  },
  {
    form: "shaders",
    schema: read("kernels/bundle.schema.json"),
    documents: [read("examples/kernel-wgsl/plugin.json")],
    check: checkBundle,
  },
];

/** What stands where something else should, or the same again. */
const ODD: readonly unknown[] = [
  ...[undefined, null, true, false, 0, 1, 2, -1, 1.5, 2 ** 31, 1e300],
  ...["", " ", "x", "a b", "9x", "...rows", "rows * 4", "f32", "f64", "simd128", "worker", "own-memory", "none"],
  ...["1.0.0", "1.0.0-beta", "1.0", "@acme/x", "@Acme/x", "x.wasm", "a/x.wasm", "/x.wasm", "../x.wasm", "x.js"],
  ...["x.wgsl", "wasm", "component", "wgsl", HASH, HASH.slice(1), HASH.toUpperCase(), "wasi:io/streams@0.2.3"],
  ...[
    [],
    [1],
    [-1],
    [0],
    [""],
    ["x"],
    ["x", "x"],
    ["simd128"],
    [null],
    {},
    { odd: 1 },
    { x: 1 },
    { x: "1" },
    { "9 x": 1 },
  ],
  ...[{ constant: 2 }, { constant: "2" }, { bind: "eps" }, { file: "x.wasm", sha256: HASH }],
];

type Place = readonly (string | number)[];

/** Every place of a document, the innermost last. */
function places(value: unknown, at: Place = []): readonly Place[] {
  if (typeof value !== "object" || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([key, item]) => places(item, [...at, key]))];
}

const valueAt = (document: unknown, place: Place): unknown =>
  place.reduce<unknown>((at, key) => (at as Record<string | number, unknown>)[key], document);

/** A copy with another value at a place; without it for `undefined`. */
function changed(document: unknown, place: Place, value: unknown): unknown {
  if (place.length === 0) return value;
  const copy = structuredClone(document) as Record<string | number, unknown>;
  let at = copy;
  for (const key of place.slice(0, -1)) at = at[key] as typeof at;
  const last = place[place.length - 1];
  if (value !== undefined) at[last] = value;
  else if (Array.isArray(at)) at.splice(Number(last), 1);
  else delete at[last];
  return copy;
}

for (const { form, schema, documents, check } of FORMS) {
  test(`schema and loader agree about descriptions of ${form}`, () => {
    const taken = (document: unknown): boolean => {
      try {
        check(document, "plugin.json");
        return true;
      } catch (error) {
        assert.ok(error instanceof FoveaError);
        return false;
      }
    };
    const counts = { taken: 0, refused: 0 };
    const differing = new Set<string>();
    const compare = (document: unknown, what: string): void => {
      const own = taken(document);
      counts[own ? "taken" : "refused"]++;
      if (accepts(schema, document) !== own) differing.add(`${what}: the loader ${own ? "takes" : "refuses"} it`);
    };
    for (const document of documents) {
      assert.ok(taken(document) && accepts(schema, document));
      for (const place of places(document)) {
        for (const value of ODD)
          compare(changed(document, place, value), `${place.join(".")} = ${JSON.stringify(value)}`);
        if (!isObject(valueAt(document, place))) continue;
        for (const name of ["nonsense", "9 x", "isolation", "linked", "weight", "dtype", "scratch", "bytes"])
          compare(changed(document, [...place, name], "x"), `${place.join(".")}.${name} = "x"`);
      }
    }
    assert.deepEqual([...differing], []);
    assert.ok(counts.taken > 100 && counts.refused > 500, JSON.stringify(counts));
  });
}
