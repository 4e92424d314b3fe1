/** A Redis of a test's own: `redis-server` in a folder of its own, on a free port, with its append-only file. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { connect, createServer } from "node:net";

export interface Redis {
  /** For `--queue`. */
  readonly url: string;
  /** Ends the server as it is. */
  kill(): Promise<void>;
  /** Starts it again on its port and its files. */
  start(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = (found: boolean): void => {
      socket.destroy();
      resolve(found);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function startServer(port: number, folder: string): Promise<ChildProcess> {
  const settings = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, "--appendonly", "yes", "--save", ""];
  const child = spawn("redis-server", settings, { stdio: "ignore" });
  const failed = new Promise<never>((_, reject) => {
    child.once("error", () => {
      reject(
        new Error("The tests of queues need redis-server: apt-get install redis-server (or valkey's, linked so)."),
      );
    });
    child.once("exit", (code) => reject(new Error(`redis-server ended with code ${code} on port ${port}`)));
  });
  failed.catch(() => undefined);
  const ready = async (): Promise<void> => {
    while (!(await answers(port))) await pause(20);
  };
  await Promise.race([ready(), failed]);
  return child;
}

/** Runs `work` with a server that is gone afterwards. @param folder an empty one, or none yet */
export async function withRedis<T>(folder: string, work: (redis: Redis) => Promise<T>): Promise<T> {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  let child = await startServer(port, folder);
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  };
  try {
    return await work({
      url: `redis://127.0.0.1:${port}`,
      kill,
      start: async () => {
        child = await startServer(port, folder);
      },
    });
  } finally {
    await kill();
  }
}
