/** A store that lives as long as the process. */
import { checkStoreKey, type Store } from "./store.ts";

export function createMemoryStore(): Store {
  const entries = new Map<string, Uint8Array>();
  return {
    description: "memory",
    get: async (key) => {
      checkStoreKey(key);
      return entries.get(key)?.slice();
    },
    put: async (key, bytes) => {
      checkStoreKey(key);
      entries.set(key, bytes.slice());
    },
    delete: async (key) => {
      checkStoreKey(key);
      entries.delete(key);
    },
    list: async (prefix) => [...entries.keys()].filter((key) => key.startsWith(prefix)).sort(),
  };
}
