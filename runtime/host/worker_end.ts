/** The end of a worker, told once to whoever listens, earlier or later, unless it was asked for. */
export interface WorkerEnd {
  report(reason: string): void;
  onEnd(listener: (reason: string) => void): void;
  /** The worker is being terminated: nothing is reported from now on. */
  silence(): void;
}

export function endOnce(): WorkerEnd {
  const listeners: ((reason: string) => void)[] = [];
  let reason: string | undefined;
  let silent = false;
  return {
    report: (why) => {
      if (reason !== undefined || silent) return;
      reason = why;
      for (const listener of listeners) listener(why);
    },
    onEnd: (listener) => {
      if (reason !== undefined) listener(reason);
      else listeners.push(listener);
    },
    silence: () => {
      silent = true;
    },
  };
}
