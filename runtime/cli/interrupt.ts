/** Interrupts of programs that run until one comes. */
import process from "node:process";

export interface Interrupt {
  /** Resolves at the first interrupt with its name; a second one ends the program as it is. */
  readonly came: Promise<string>;
  /** Listens no longer: Deno does not end while anyone does. */
  stop(): void;
}

export function listenForInterrupt(): Interrupt {
  const names = ["SIGINT", "SIGTERM"] as const;
  let tell: (name: string) => void = () => {};
  const came = new Promise<string>((resolve) => {
    tell = resolve;
  });
  const stop = (): void => {
    for (const name of names) process.off(name, end);
  };
  const end = (signal: NodeJS.Signals): void => {
    stop();
    tell(signal);
  };
  for (const name of names) process.on(name, end);
  return { came, stop };
}
