/** Bytes that can be read at any position: a file, a download, memory. */
import { FoveaError } from "../../core/diagnostics.ts";

/** A file that is open, wherever it lies. */
export interface ByteSource {
  /** For messages: a path, an address or a name. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Fills `into` from `position` and returns the bytes read: fewer than asked only at the end. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Tells this version of the bytes from any other; absent where nothing does without reading them. */
  readonly identity?: string;
  /** Called once when nothing more is read. */
  close(): Promise<void>;
}

export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    size: bytes.length,
    read: async (into, position) => {
      const part = bytes.subarray(position, position + into.length);
      into.set(part);
      return part.length;
    },
    close: async () => undefined,
  };
}

/** Bytes of a blob, read in slices: those of a `File` stay on disk. */
export function blobSource(name: string, blob: Blob): ByteSource {
  return {
    name,
    size: blob.size,
    read: async (into, position) => {
      const part = new Uint8Array(await readSlice(name, blob, position, position + into.length));
      into.set(part);
      return part.length;
    },
    close: async () => undefined,
  };
}

async function readSlice(name: string, blob: Blob, from: number, to: number): Promise<ArrayBuffer> {
  try {
    return await blob.slice(from, to).arrayBuffer();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new FoveaError("file.failed", `${name} can no longer be read: ${why.replace(/\.$/, "")}. Give it again.`, {
      cause,
    });
  }
}
