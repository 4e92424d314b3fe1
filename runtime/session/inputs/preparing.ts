/** What processors refuse, by the name of the input: they know pixels and samples, and not what these are called. */
import { FoveaError } from "../../core/diagnostics.ts";

/** Addresses that are the data itself are no name. */
export const nameOf = (place: unknown, name: string): string =>
  (typeof place === "string" || place instanceof URL) && !/^data:/i.test(String(place)) ? String(place) : name;

/** A processor's refusal with the name of what it refuses; anything else as it is. */
export function refusedAs(name: string, error: unknown): unknown {
  if (!(error instanceof FoveaError)) return error;
  const { code, exitCode, message } = error;
  return new FoveaError(code, `${name} cannot be prepared: ${message}`, { exitCode, cause: error });
}

async function failureOf(work: () => unknown): Promise<unknown> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error;
  }
}

/**
 * What `prepare` makes of items. Where it refuses them, and one of them alone as well, the error says which.
 * @param names of the items, for messages
 * @throws what `prepare` throws
 */
export async function preparing<T, R>(
  items: readonly T[],
  names: readonly string[],
  prepare: (items: readonly T[]) => R | Promise<R>,
): Promise<R> {
  try {
    return await prepare(items);
  } catch (error) {
    if (!(error instanceof FoveaError)) throw error;
    for (const [i, item] of items.entries()) {
      const own = items.length === 1 ? error : await failureOf(() => prepare([item]));
      if (own instanceof FoveaError && own.code === error.code) throw refusedAs(names[i], own);
    }
    throw error;
  }
}
