/** Messages between the two processes: JSON, then bytes. Buffers and programs are numbers that the caller gives. */

/** A step's arguments: a place in a buffer, or a number. */
export type SentArgument = { readonly buffer: number; readonly offset: number } | number;

export interface SentLaunch {
  readonly kernel: string;
  readonly code: string;
  readonly args: readonly SentArgument[];
  readonly grid: number;
  readonly first?: number;
  readonly parts?: number;
  readonly flops: number;
  readonly workerScratch: number;
}

/** Carried out in order; `write` and `load` come with bytes, `read` is answered with them. */
export type Command =
  | { readonly type: "load"; readonly codes: readonly { readonly digest: string; readonly bytes: number }[] }
  | { readonly type: "allocate"; readonly buffer: number; readonly bytes: number }
  | { readonly type: "release"; readonly buffer: number }
  | { readonly type: "write"; readonly buffer: number; readonly offset: number; readonly bytes: number }
  | { readonly type: "bind"; readonly program: number; readonly launches: readonly SentLaunch[] }
  | { readonly type: "unbind"; readonly program: number }
  | { readonly type: "run"; readonly program: number }
  | { readonly type: "read"; readonly buffer: number; readonly offset: number; readonly bytes: number };

/** What opening a device answers, and what it takes. */
export interface OpenRequest {
  readonly target: string;
  readonly memory?: number;
}

export interface Opened {
  readonly session: string;
  readonly limitBytes: number;
}

/** What the other process offers. */
export interface About {
  readonly target: string;
  readonly host: string;
}

/** An error of the other process: of fovea's codes, of a kernel, or an abort. */
export interface SentError {
  readonly code: string;
  readonly message: string;
  readonly kernel?: { readonly device: string; readonly step: string; readonly reason: string };
}

export interface Answer {
  /** Blobs that were compiled. */
  readonly compiled: number;
  readonly error?: SentError;
}

const HEADER = 4;

/** Length of the JSON, the JSON, then all bytes. */
export function encodeMessage(value: unknown, parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(JSON.stringify(value));
  const total = parts.reduce((n, p) => n + p.length, HEADER + text.length);
  const message = new Uint8Array(total);
  new DataView(message.buffer).setUint32(0, text.length, true);
  message.set(text, HEADER);
  let at = HEADER + text.length;
  for (const part of parts) {
    message.set(part, at);
    at += part.length;
  }
  return message;
}

/** A message's JSON, and a function that takes its bytes, in order. */
export function decodeMessage<T>(message: Uint8Array): {
  readonly value: T;
  readonly take: (bytes: number) => Uint8Array;
} {
  const length = new DataView(message.buffer, message.byteOffset).getUint32(0, true);
  let at = HEADER + length;
  const value = JSON.parse(new TextDecoder().decode(message.subarray(HEADER, at))) as T;
  return {
    value,
    take: (bytes) => {
      at += bytes;
      return message.slice(at - bytes, at);
    },
  };
}
