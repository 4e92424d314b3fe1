/** Interrupts of programs that run until one comes. */
import process from "node:process";

/** What shells call the end by a signal. */
export const SIGNAL_EXITS = { SIGINT: 130, SIGTERM: 143 } as const;

export interface Interrupt {
  /** Resolves at the first interrupt with its name; a second one ends the program as it is. */
  readonly came: Promise<keyof typeof SIGNAL_EXITS>;
  /** Listens no longer: Deno does not end while anyone does. */
  stop(): void;
}

export function listenForInterrupt(): Interrupt {
  const names = ["SIGINT", "SIGTERM"] as const;
  let tell: (name: keyof typeof SIGNAL_EXITS) => void = () => {};
  const came = new Promise<keyof typeof SIGNAL_EXITS>((resolve) => {
    tell = resolve;
  });
  const stop = (): void => {
    for (const name of names) process.off(name, end);
  };
  const end = (signal: NodeJS.Signals): void => {
    stop();
    tell(signal === "SIGTERM" ? signal : "SIGINT");
  };
  for (const name of names) process.on(name, end);
  return { came, stop };
}
