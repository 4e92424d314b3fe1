/** What is loaded when it is first needed. */

/**
 * What `load` resolves to, which is called at the first call alone: on Node an `import()` of a loaded module takes 10 us and more.
 * A failure is not kept.
 */
export function lazy<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | undefined;
  return () => {
    loaded ??= load().catch((error: unknown) => {
      loaded = undefined;
      throw error;
    });
    return loaded;
  };
}
