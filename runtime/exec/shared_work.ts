/** Work that several callers wait for and the first of them does. */

export interface Shared<T> {
  readonly made: Promise<T>;
  /** Whoever began it may give it up. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Waits for work that is under way, or begins it; forgotten when it ends. Work that was given up by whoever began it is begun
 * anew for those who still want it.
 * @throws what the work throws, and the signal's reason
 */
export async function joinShared<T>(
  under: Map<string, Shared<T>>,
  key: string,
  signal: AbortSignal | undefined,
  begin: () => Promise<T>,
): Promise<T> {
  for (;;) {
    signal?.throwIfAborted();
    const known = under.get(key);
    if (known === undefined) {
      const made = begin().finally(() => under.delete(key));
      under.set(key, { made, signal });
      return made;
    }
    try {
      return await known.made;
    } catch (error) {
      if (known.signal?.aborted !== true) throw error;
    }
  }
}
