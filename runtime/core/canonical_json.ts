/**
 * JSON text that is the same for equal data on every engine: keys in the order of their UTF-16 units, no white space,
 * properties whose value is undefined left out.
 */
import { internal } from "./diagnostics.ts";

/** Places of a value from its root on: keys and positions. */
type Path = (string | number)[];

/**
 * The text of plain data, for digests and for files that must be equal byte by byte.
 * @throws Error `internal:` for what is no plain data: NaN, infinities, functions, bigints, class instances, cycles
 */
export function canonicalJson(value: unknown): string {
  return write(value, [], new Set());
}

function refuse(path: Path, what: string): never {
  const place = path.map((at) => (typeof at === "number" ? `[${at}]` : `.${at}`)).join("");
  return internal(`$${place} ${what}`);
}

function write(value: unknown, path: Path, open: Set<object>): string {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) refuse(path, `is ${value}, which JSON cannot hold`);
    return `${value}`;
  }
  if (typeof value !== "object") return refuse(path, `is a ${typeof value}, which JSON cannot hold`);
  if (open.has(value)) refuse(path, "contains itself");
  open.add(value);
  const text = Array.isArray(value) ? writeArray(value, path, open) : writeObject(value, path, open);
  open.delete(value);
  return text;
}

function writeArray(value: readonly unknown[], path: Path, open: Set<object>): string {
  let text = "[";
  for (let i = 0; i < value.length; i++) {
    path.push(i);
    text += i === 0 ? write(value[i], path, open) : `,${write(value[i], path, open)}`;
    path.pop();
  }
  return `${text}]`;
}

function writeObject(value: object, path: Path, open: Set<object>): string {
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    refuse(path, `is a ${value.constructor?.name ?? "class instance"}, not plain data`);
  let text = "{";
  for (const key of Object.keys(value).sort()) {
    const property = (value as Record<string, unknown>)[key];
    if (property === undefined) continue;
    path.push(key);
    text += `${text.length === 1 ? "" : ","}${JSON.stringify(key)}:${write(property, path, open)}`;
    path.pop();
  }
  return `${text}}`;
}
