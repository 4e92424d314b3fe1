/** A caller's own store, held to what the others do: what it throws is told once, and it then counts as one that holds nothing. */
import type { Store, StoredValue } from "./store.ts";

/**
 * Throws nothing.
 * @param store may answer `null` for an absent key, as key-value stores do
 * @param onProblem called at most once, with a sentence for the user
 */
export function createOwnStore(store: Store, onProblem: (sentence: string) => void): Store {
  let told = false;
  const attempt = async <T>(run: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return (await run()) ?? otherwise;
    } catch (error) {
      if (!told) {
        told = true;
        const reason = (error instanceof Error ? error.message : String(error)).replace(/[.!?]$/, "");
        onProblem(
          `The cache (${store.description ?? "a store of your own"}) does not work: ${reason}. fovea goes on without it and compiles again what it would have kept.`,
        );
      }
      return otherwise;
    }
  };
  const open = async (key: string): Promise<StoredValue | undefined> => {
    const value = await attempt<StoredValue | undefined>(async () => store.open?.(key), undefined);
    if (value === undefined) return undefined;
    return {
      size: value.size,
      read: (into, position) => attempt(() => value.read(into, position), 0),
      close: () => attempt(() => value.close(), undefined),
    };
  };
  return {
    description: store.description,
    get: (key) => attempt<Uint8Array | undefined>(() => store.get(key), undefined),
    ...(store.open === undefined ? {} : { open }),
    put: (key, bytes) => attempt(() => store.put(key, bytes), undefined),
    delete: (key) => attempt(() => store.delete(key), undefined),
    ...(store.list === undefined
      ? {}
      : { list: (prefix) => attempt<readonly string[]>(async () => (await store.list?.(prefix)) ?? [], []) }),
  };
}
