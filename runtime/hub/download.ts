/** A file on disk made of bytes and of ranges of remote files, which goes on where it was broken off. */
import { bytesText, FoveaError } from "../core/diagnostics.ts";
import type { Digest, Host, WritableFile } from "../host/mod.ts";
import { checkDigest, startDigest } from "./content_digest.ts";
import { backOff, reasonOf, wait } from "./hub_fetch.ts";
import { claimPartial, leavePartial } from "./partial_file.ts";
import type { RemoteFile, Repository } from "./repository.ts";

/** What a file is made of, in order. */
export type Piece =
  | { readonly bytes: Uint8Array }
  | { readonly file: RemoteFile; readonly from: number; readonly to: number };

export interface Assembly {
  /** Path of the whole file. */
  readonly path: string;
  /** Folder of unfinished files. */
  readonly unfinished: string;
  /** Name of the unfinished file; only equal contents share it. */
  readonly content: string;
  /** For messages. */
  readonly name: string;
  readonly pieces: readonly Piece[];
  /** Bytes. */
  readonly size: number;
  /** Checked where the pieces are one whole remote file. */
  readonly digestOf?: RemoteFile;
}

export interface DownloadContext {
  readonly host: Host;
  readonly repository: Repository;
  readonly commit: string;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds before a broken stream is taken up. */
  readonly firstWait: number;
  /** Told bytes that came from the hub, and (`old`) those that an earlier download left. */
  readonly onBytes: (count: number, old: boolean) => void;
}

/** Broken streams in a row without a single byte between. */
const ATTEMPTS = 4;
/** A stream that sends nothing for so long counts as broken. */
const STALL_MS = 60_000;
const SLICE = 8 * 2 ** 20;

const pieceSize = (piece: Piece): number => ("bytes" in piece ? piece.bytes.length : piece.to - piece.from);

/**
 * Writes the file. Its bytes so far stay on disk when this fails.
 * @throws FoveaError `hub.broken`, `hub.wrong_digest` and those of requests and files
 */
export async function assemble(assembly: Assembly, context: DownloadContext): Promise<void> {
  const { host, signal } = context;
  const { path, unfinished, content } = assembly;
  const partial = await claimPartial(host, unfinished, content, signal);
  try {
    await write(assembly, partial, context);
    await host.rename(partial, path);
  } catch (error) {
    if (error instanceof FoveaError && error.code === "hub.wrong_digest") await host.remove(partial);
    else await leavePartial(host, unfinished, content, partial);
    throw error;
  }
}

/** Writes the rest of an unfinished file and checks it. */
async function write(assembly: Assembly, partial: string, context: DownloadContext): Promise<void> {
  const { host } = context;
  const { size, digestOf } = assembly;
  let out = await host.openForWriting(partial);
  if (out.size > size) {
    await out.close();
    await host.remove(partial);
    out = await host.openForWriting(partial);
  }
  try {
    const digest = digestOf === undefined ? undefined : await startDigest(host, digestOf);
    if (digest !== undefined) await digestFile(out, digest);
    if (out.size > 0) context.onBytes(out.size, true);
    await fill(assembly, context, out, digest);
    if (digest !== undefined && digestOf !== undefined) checkDigest(digest, digestOf, assembly.name);
  } finally {
    await out.close();
  }
}

async function digestFile(file: WritableFile, digest: Digest): Promise<void> {
  const slice = new Uint8Array(Math.min(SLICE, file.size));
  for (let at = 0; at < file.size; ) {
    const read = await file.read(slice.subarray(0, Math.min(slice.length, file.size - at)), at);
    if (read === 0) throw new FoveaError("hub.broken", "An unfinished download was cut while it was read. Try again.");
    digest.update(slice.subarray(0, read));
    at += read;
  }
}

/** Writes all pieces from where the file ends. */
async function fill(
  { pieces, name, size }: Assembly,
  context: DownloadContext,
  out: WritableFile,
  digest: Digest | undefined,
): Promise<void> {
  let position = out.size;
  let start = 0;
  for (const piece of pieces) {
    const end = start + pieceSize(piece);
    if (position < end && "bytes" in piece) {
      const rest = piece.bytes.subarray(position - start);
      await out.write(rest, position);
      position = end;
    }
    for (let attempt = 0; position < end && "file" in piece; ) {
      const before = position;
      try {
        for await (const chunk of chunksOf(piece.file, piece.from + position - start, piece.to, context)) {
          if (chunk.length > end - position) {
            throw new FoveaError(
              "fetch_failed",
              `${name}: the hub sent more bytes than were asked for. Try again later.`,
            );
          }
          await out.write(chunk, position);
          digest?.update(chunk);
          position += chunk.length;
          context.onBytes(chunk.length, false);
        }
        if (position < end) throw new Error("the stream ended early");
      } catch (cause) {
        context.signal?.throwIfAborted();
        if (cause instanceof FoveaError) throw cause;
        attempt = position > before ? 1 : attempt + 1;
        if (attempt >= ATTEMPTS) {
          throw new FoveaError(
            "hub.broken",
            `The download of ${name} broke off at ${bytesText(position)} of ${bytesText(size)}: ${reasonOf(cause)}. Run it again: it goes on from there.`,
            { cause },
          );
        }
        await wait(backOff(attempt, context.firstWait), context.signal);
      }
    }
    start = end;
  }
}

async function* chunksOf(
  file: RemoteFile,
  from: number,
  to: number,
  { repository, commit, signal }: DownloadContext,
): AsyncGenerator<Uint8Array> {
  const reader = (await repository.read(commit, file, from, to)).getReader();
  try {
    while (true) {
      signal?.throwIfAborted();
      const { done, value } = await withinTime(reader.read());
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

async function withinTime<T>(promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came for ${STALL_MS / 1000} seconds`)), STALL_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
