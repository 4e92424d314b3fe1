/**
 * What was encoded since the last file of vectors was written: frames that are only ever appended. A frame is its payload's
 * length and check (u32 each, little-endian) and the payload: the length of a JSON text (u32), the text, and the vector as f32.
 * The first frame is the head and has no vector; whoever begins to write or goes on adds one with a name of its own, by which two
 * that write at once are told apart. A kill leaves at most one broken frame, at the end; reading stops there and writing goes on
 * from there.
 */
import { FoveaError } from "../core/diagnostics.ts";
import { bytesOf, viewAs } from "../core/dtype.ts";
import type { Host, WritableFile } from "../host/mod.ts";
import { isThere, readIfThere } from "./durable.ts";
import { type FileRow, headText, parseHead, type VectorEntry, type VectorHead } from "./vectors.ts";

const FRAME_HEAD = 8;

export const JOURNAL_SUFFIX = ".journal";

/** The journal of what is to be a file of vectors. */
export const journalOf = (path: string): string => `${path}${JOURNAL_SUFFIX}`;

/** The first 32 bits of the SHA-256 of a payload. */
function checkOf(host: Host, payload: Uint8Array): number {
  const digest = host.createDigest();
  digest.update(payload);
  return Number.parseInt(digest.hex().slice(0, 8), 16);
}

function frameOf(host: Host, text: string, vector: Float32Array): Uint8Array {
  const json = new TextEncoder().encode(text);
  const frame = new Uint8Array(FRAME_HEAD + 4 + json.length + vector.byteLength);
  const view = new DataView(frame.buffer);
  view.setUint32(FRAME_HEAD, json.length, true);
  frame.set(json, FRAME_HEAD + 4);
  frame.set(bytesOf(vector), FRAME_HEAD + 4 + json.length);
  const payload = frame.subarray(FRAME_HEAD);
  view.setUint32(0, payload.length, true);
  view.setUint32(4, checkOf(host, payload), true);
  return frame;
}

interface Frame {
  readonly text: string;
  readonly vector: Float32Array;
  readonly end: number;
}

/** The frame at a position, or nothing where none is whole. */
function frameAt(host: Host, bytes: Uint8Array, at: number): Frame | undefined {
  if (at + FRAME_HEAD + 4 > bytes.length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(at, true);
  const start = at + FRAME_HEAD;
  const end = start + length;
  if (length < 4 || end > bytes.length) return undefined;
  if (checkOf(host, bytes.subarray(start, end)) !== view.getUint32(at + 4, true)) return undefined;
  const jsonEnd = start + 4 + view.getUint32(start, true);
  return {
    text: new TextDecoder().decode(bytes.subarray(start + 4, jsonEnd)),
    // Its place in the file is aligned to nothing.
    vector: viewAs("f32", bytes.subarray(jsonEnd, end)).slice(),
    end,
  };
}

/** What a writer puts in before its rows. */
interface Claim {
  readonly writer: string;
}

export interface JournalContent {
  /** Nothing where not even the first frame is whole. */
  readonly head: VectorHead | undefined;
  readonly entries: readonly VectorEntry[];
  /** Bytes of whole frames. */
  readonly bytes: number;
}

/** What a journal holds; nothing where there is none. */
export async function readJournal(host: Host, path: string): Promise<JournalContent | undefined> {
  const bytes = await readIfThere(host, path);
  if (bytes === undefined) return undefined;
  const first = frameAt(host, bytes, 0);
  if (first === undefined) return { head: undefined, entries: [], bytes: 0 };
  const entries: VectorEntry[] = [];
  let end = first.end;
  for (let frame = frameAt(host, bytes, end); frame !== undefined; frame = frameAt(host, bytes, end)) {
    const row = JSON.parse(frame.text) as FileRow | Claim;
    if (!("writer" in row)) entries.push({ row, vector: frame.vector });
    end = frame.end;
  }
  return { head: parseHead(first.text, path), entries, bytes: end };
}

/** As many of a file's bytes as there are; none where there is no file. */
async function readAt(host: Host, path: string, position: number, bytes: number): Promise<Uint8Array> {
  if (!(await isThere(host, path))) return new Uint8Array();
  const file = await host.openFile(path);
  try {
    const into = new Uint8Array(bytes);
    return into.subarray(0, await file.read(into, position));
  } finally {
    await file.close();
  }
}

export interface JournalWriter {
  /** Resolves when the entries would survive a power cut. @throws FoveaError `taken_over` */
  append(entries: readonly VectorEntry[]): Promise<void>;
  /** @throws FoveaError `taken_over` where another writer began since, and the journal is its own */
  check(): Promise<void>;
  close(): Promise<void>;
}

const takenOver = (path: string): FoveaError =>
  new FoveaError(
    "taken_over",
    `Another run with the same output began or ended meanwhile, and ${path} is not this run's any more; when no other goes on, run this one again with --resume.`,
  );

/** @param at bytes of whole frames that are there already. @throws FoveaError `taken_over` where they no longer are */
export async function openJournal(host: Host, path: string, head: VectorHead, at: number): Promise<JournalWriter> {
  const file: WritableFile = await host.openForWriting(path);
  let end = at;
  const write = async (frames: readonly Uint8Array[]): Promise<void> => {
    const bytes = new Uint8Array(frames.reduce((sum, f) => sum + f.length, 0));
    let place = 0;
    for (const frame of frames) {
      bytes.set(frame, place);
      place += frame.length;
    }
    await file.write(bytes, end);
    await file.sync();
    end += bytes.length;
  };
  const writer: Claim = { writer: crypto.randomUUID() };
  const claim = frameOf(host, JSON.stringify(writer), new Float32Array());
  try {
    if (file.size < at) {
      // It is new: another run made a file of what was there.
      await host.remove(path);
      throw takenOver(path);
    }
    // The rest of a broken frame would hide what another writer puts there.
    if (file.size > at) await file.write(new Uint8Array(file.size - at), at);
    await write(at === 0 ? [frameOf(host, headText(head), new Float32Array()), claim] : [claim]);
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
  const claimed = end - claim.length;
  const check = async (): Promise<void> => {
    // By its path: another one may have ended and deleted what this one has open.
    const own = await readAt(host, path, claimed, claim.length);
    const behind = await readAt(host, path, end, FRAME_HEAD);
    if (own.length === claim.length && own.every((byte, i) => byte === claim[i]) && !behind.some(Boolean)) return;
    throw takenOver(path);
  };
  return {
    append: async (entries) => {
      await check();
      await write(entries.map(({ row, vector }) => frameOf(host, JSON.stringify(row), vector)));
    },
    check,
    close: () => file.close(),
  };
}

/** @throws FoveaError `unfinished_run` where a journal is there that nobody asked to go on with */
export async function refuseJournal(host: Host, path: string): Promise<void> {
  const left = await readJournal(host, path);
  if (left === undefined || left.entries.length === 0) return;
  throw new FoveaError(
    "unfinished_run",
    `${path} holds ${left.entries.length} vectors of a run that did not end; add --resume to go on with it, or delete it.`,
  );
}
