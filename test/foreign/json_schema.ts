/** A validator of the part of JSON Schema (2020-12) that the published schemas use, for tests that compare them with the loader. */

export type Schema = Readonly<Record<string, unknown>>;

const KNOWN: ReadonlySet<string> = new Set([
  ...["$schema", "$defs", "title", "description", "$ref", "type", "const", "enum", "pattern", "required", "properties"],
  ...["additionalProperties", "propertyNames", "items", "minItems", "maxItems", "minimum", "maximum", "oneOf", "anyOf"],
]);

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  object: isObject,
  array: Array.isArray,
  string: (v) => typeof v === "string",
  number: (v) => typeof v === "number",
  integer: (v) => Number.isInteger(v),
  boolean: (v) => typeof v === "boolean",
};

/** Whether a schema takes a document. @throws Error for a keyword that this validator does not know */
export function accepts(whole: Schema, value: unknown, schema: Schema = whole): boolean {
  for (const keyword of Object.keys(schema)) if (!KNOWN.has(keyword)) throw new Error(`unknown keyword ${keyword}`);
  const at = (sub: unknown, item: unknown): boolean => accepts(whole, item, sub as Schema);
  const { $ref, type, pattern, items, required = [], properties = {}, additionalProperties, propertyNames } = schema;
  if (typeof $ref === "string") {
    const name = /^#\/\$defs\/(\w+)$/.exec($ref)?.[1] ?? "";
    if (!at((whole.$defs as Schema)[name], value)) return false;
  }
  const types = type === undefined ? [] : [type].flat();
  if (types.length > 0 && !types.some((t) => TYPES[String(t)](value))) return false;
  if ("const" in schema && schema.const !== value) return false;
  if ("enum" in schema && !(schema.enum as unknown[]).includes(value)) return false;
  if (typeof pattern === "string" && typeof value === "string" && !new RegExp(pattern, "u").test(value)) return false;
  if (typeof value === "number") {
    if (value < ((schema.minimum as number) ?? value) || value > ((schema.maximum as number) ?? value)) return false;
  }
  if (Array.isArray(value)) {
    if (value.length < ((schema.minItems as number) ?? 0)) return false;
    if (value.length > ((schema.maxItems as number) ?? value.length)) return false;
    if (items !== undefined && !value.every((item) => at(items, item))) return false;
  }
  if (isObject(value)) {
    if (!(required as string[]).every((name) => value[name] !== undefined)) return false;
    for (const [name, item] of Object.entries(value)) {
      if (propertyNames !== undefined && !at(propertyNames, name)) return false;
      const own = (properties as Schema)[name] ?? additionalProperties;
      if (own === false) return false;
      if (isObject(own) && !at(own, item)) return false;
    }
  }
  const some = (list: unknown): number => (list as unknown[]).filter((sub) => at(sub, value)).length;
  if ("oneOf" in schema && some(schema.oneOf) !== 1) return false;
  return !("anyOf" in schema) || some(schema.anyOf) > 0;
}
