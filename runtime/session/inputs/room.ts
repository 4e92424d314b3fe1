/** Reading inputs only while there is room: decoded pictures are large, and those of many requests must fit into the memory. */

/** Runs `read` when its turn comes: one at a time, and none while more than `most` bytes wait for the device. */
export type Room = <T>(read: () => Promise<T>) => Promise<T>;

export interface RoomOptions {
  /** Bytes of inputs that wait. */
  readonly waiting: () => number;
  readonly most: number;
  /** Milliseconds of reading after which the rest of the process has its turn; it has none of its own unless given. */
  readonly sliceMs?: number;
}

const POLL_MS = 2;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export function createRoom({ waiting, most, sliceMs = Number.POSITIVE_INFINITY }: RoomOptions): Room {
  let last: Promise<unknown> = Promise.resolve();
  let busyMs = 0;
  return (read) => {
    const turn = last.then(async () => {
      while (waiting() > most) await pause(POLL_MS);
      if (busyMs > sliceMs) {
        await pause(0);
        busyMs = 0;
      }
      const begin = performance.now();
      try {
        return await read();
      } finally {
        busyMs += performance.now() - begin;
      }
    });
    last = turn.catch(() => undefined);
    return turn;
  };
}
