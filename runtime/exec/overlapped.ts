/** Jobs in a row that may overlap a little. */

/**
 * Begins jobs in their order, at most `atOnce` under way at a time. After a failure no more begin.
 * @throws the first failure, when everything that was under way has ended
 */
export async function runOverlapped(jobs: Iterable<() => Promise<void>>, atOnce: number): Promise<void> {
  const left = jobs[Symbol.iterator]();
  let failure: { readonly error: unknown } | undefined;
  const lane = async (): Promise<void> => {
    while (failure === undefined) {
      const { done, value } = left.next();
      if (done === true) return;
      try {
        await value();
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  if (failure !== undefined) throw failure.error;
}
