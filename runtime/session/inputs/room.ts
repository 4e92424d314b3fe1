/** Reading inputs only while there is room: decoded pictures are large, and those of many requests must fit into the memory. */

/** Runs `read` when its turn comes: one at a time, and none while more than `most` bytes wait for the device. */
export type Room = <T>(read: () => Promise<T>) => Promise<T>;

export interface RoomOptions {
  /** Bytes of inputs that wait. */
  readonly waiting: () => number;
  readonly most: number;
}

const POLL_MS = 2;

export function createRoom({ waiting, most }: RoomOptions): Room {
  let last: Promise<unknown> = Promise.resolve();
  return (read) => {
    const turn = last.then(async () => {
      while (waiting() > most) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      return read();
    });
    last = turn.catch(() => undefined);
    return turn;
  };
}
