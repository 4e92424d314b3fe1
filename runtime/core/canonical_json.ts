/**
 * JSON text that is the same for equal data on every engine: keys in the order of their UTF-16 units, no white space,
 * properties whose value is undefined left out.
 */
import { internal } from "./diagnostics.ts";

/** @throws Error `internal:` for what is no plain data: NaN, infinities, functions, bigints, class instances, cycles. */
export function canonicalJson(value: unknown): string {
  return write(value, "$", new Set());
}

function write(value: unknown, path: string, open: Set<object>): string {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) internal(`${path} is ${value}, which JSON cannot hold`);
    return JSON.stringify(value);
  }
  if (typeof value !== "object") return internal(`${path} is a ${typeof value}, which JSON cannot hold`);
  if (open.has(value)) internal(`${path} contains itself`);
  open.add(value);
  const text = Array.isArray(value) ? writeArray(value, path, open) : writeObject(value, path, open);
  open.delete(value);
  return text;
}

function writeArray(value: readonly unknown[], path: string, open: Set<object>): string {
  const items: string[] = [];
  for (let i = 0; i < value.length; i++) items.push(write(value[i], `${path}[${i}]`, open));
  return `[${items.join(",")}]`;
}

function writeObject(value: object, path: string, open: Set<object>): string {
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    internal(`${path} is a ${value.constructor?.name ?? "class instance"}, not plain data`);
  }
  const items: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const property = (value as Record<string, unknown>)[key];
    if (property !== undefined) items.push(`${JSON.stringify(key)}:${write(property, `${path}.${key}`, open)}`);
  }
  return `{${items.join(",")}}`;
}
