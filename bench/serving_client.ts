/**
 * Asks a server as many clients do: for each line of JSON on stdin, an {@link Order}, a {@link ClientReport} on stdout.
 *
 *   serving_client.ts <url> <connections>
 *
 * What the clients' process takes to start, compile and connect is not the server's, on whose processors it runs: one process
 * does all orders (a fresh one takes 0.2 to 0.3 ms for each of 500 requests, a warm one 0.04), each connection asks once before
 * an order, and requests are written to plain sockets: `fetch` takes a third of a millisecond for each.
 */
import { connect, type Socket } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { servingPictures } from "./serving_pictures.ts";

export interface Order {
  readonly requests: number;
  /**
   * Milliseconds from a request's begin to the next one's, none of which waits for another; those of the first quarter second are
   * not counted. As fast as they are answered where 0.
   */
  readonly pace: number;
}

/** What the clients saw; milliseconds. */
export interface ClientReport {
  readonly ms: number;
  /** Of each answered request, ascending. */
  readonly latencies: readonly number[];
  readonly failed: number;
}

/** A connection that is kept: one request at a time, answered with a `content-length`. */
interface Connection {
  /** The answer's status and body. */
  ask(request: Buffer): Promise<{ readonly status: number; readonly body: Buffer }>;
  close(): void;
}

/** Time in which a client's engine compiles what it runs, on the server's processors. */
const LEAD_MS = 250;

const HEAD_END = Buffer.from("\r\n\r\n");

function openConnection(url: URL): Connection {
  const socket: Socket = connect(Number(url.port), url.hostname);
  socket.setNoDelay(true);
  let received: Buffer = Buffer.alloc(0);
  let answered: { resolve(answer: { status: number; body: Buffer }): void; reject(error: Error): void } | undefined;
  const look = (): void => {
    const head = received.indexOf(HEAD_END);
    if (head < 0) return;
    const text = received.toString("latin1", 0, head);
    const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
    if (length === undefined) {
      socket.destroy(new Error(`an answer without its length: ${text}`));
      return;
    }
    const end = head + HEAD_END.length + Number(length);
    if (received.length < end) return;
    const answer = { status: Number(text.slice(9, 12)), body: received.subarray(head + HEAD_END.length, end) };
    received = received.subarray(end);
    answered?.resolve(answer);
  };
  socket.on("data", (part: Buffer) => {
    received = received.length === 0 ? part : Buffer.concat([received, part]);
    look();
  });
  const ended = (error?: Error): void => answered?.reject(error ?? new Error("the server closed a connection"));
  socket.on("error", ended);
  socket.on("close", () => ended());
  return {
    ask: (request) =>
      new Promise((resolve, reject) => {
        answered = { resolve, reject };
        socket.write(request);
      }),
    close: () => void socket.destroy(),
  };
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Requests for the pictures, as they go over the wire. */
function requestsFor(url: URL): readonly Buffer[] {
  return servingPictures().map((bytes) => {
    const body = JSON.stringify({
      input: `data:image/png;base64,${Buffer.from(bytes).toString("base64")}`,
      encoding_format: "base64",
    });
    const head = `POST /v1/embeddings HTTP/1.1\r\nhost: ${url.host}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
    return Buffer.from(head + body);
  });
}

async function ask(url: URL, count: number, connections: number, pace: number): Promise<ClientReport> {
  const requests = requestsFor(url);
  const latencies: number[] = [];
  let [next, failed] = [connections, 0];
  const open = Array.from({ length: connections }, () => openConnection(url));
  const request = async (connection: Connection, i: number): Promise<boolean> => {
    const { status, body } = await connection.ask(requests[i % requests.length]);
    const { data } = JSON.parse(body.toString()) as { readonly data?: readonly unknown[] };
    return status === 200 && data?.length === 1;
  };
  const clients = (work: (connection: Connection, first: number) => Promise<unknown>): Promise<unknown> =>
    Promise.all(open.map(work));
  await clients(request);
  const start = performance.now();
  const lead = pace > 0 ? Math.ceil(LEAD_MS / pace) : 0;
  await clients(async (connection, first) => {
    for (let i = first; i < lead + count; i = pace > 0 ? i + connections : next++) {
      if (pace > 0) await sleep(Math.max(0, start + i * pace - performance.now()));
      const begin = performance.now();
      if (!(await request(connection, i))) failed++;
      else if (i >= lead) latencies.push(performance.now() - begin);
    }
  });
  const ms = performance.now() - start;
  for (const connection of open) connection.close();
  return { ms, latencies: latencies.sort((a, b) => a - b), failed };
}

const [url, connections] = process.argv.slice(2);
for await (const line of createInterface({ input: process.stdin })) {
  const { requests, pace } = JSON.parse(line) as Order;
  const report = await ask(new URL(url), requests, Number(connections), pace);
  process.stdout.write(`${JSON.stringify(report)}\n`);
}
