/** Which bytes of remote weights are fetched, and as which files: a whole one, or a smaller one of the wanted tensors. */
import { digestJson } from "../core/digest.ts";
import type { SafetensorsHeader, StoredTensor } from "../exec/weights/safetensors.ts";
import type { Piece } from "./download.ts";
import { identityOf, type RemoteFile } from "./repository.ts";

/** A file that leaves out less than this share is fetched whole, so that its digest can be checked. */
const LEFT_OUT = 0.1;

export interface PlannedWeights {
  /** Name in the model's folder. */
  readonly name: string;
  readonly source: RemoteFile;
  readonly identity: string;
  readonly size: number;
  readonly pieces: readonly Piece[];
  readonly whole: boolean;
}

/**
 * @param wanted names in `header`
 * @param mayBeWhole false where some of the file's tensors are there already
 */
export function planWeights(
  source: RemoteFile,
  header: SafetensorsHeader,
  wanted: readonly string[],
  mayBeWhole: boolean,
): PlannedWeights {
  const tensors = wanted
    .map((name) => header.tensors.get(name) as StoredTensor)
    .sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  const bytes = tensors.reduce((n, t) => n + t.bytes, 0);
  if (mayBeWhole && bytes >= (1 - LEFT_OUT) * source.size) {
    const pieces = [{ file: source, from: 0, to: source.size }];
    return { name: source.name, source, identity: identityOf(source), size: source.size, pieces, whole: true };
  }
  const identity = digestJson([identityOf(source), tensors.map((t) => t.name)]);
  const head = headerOf(tensors, header.metadata);
  return {
    name: source.name.replace(/\.safetensors$/, `-${identity.slice(0, 8)}.safetensors`),
    source,
    identity,
    size: head.length + bytes,
    pieces: [{ bytes: head }, ...rangesOf(source, tensors)],
    whole: false,
  };
}

/** Ranges of the tensors' bytes; neighbours are one range. */
function rangesOf(file: RemoteFile, tensors: readonly StoredTensor[]): readonly Piece[] {
  const ranges: { file: RemoteFile; from: number; to: number }[] = [];
  for (const { offset, bytes } of tensors) {
    if (bytes === 0) continue;
    const last = ranges.at(-1);
    if (last?.to === offset) last.to = offset + bytes;
    else ranges.push({ file, from: offset, to: offset + bytes });
  }
  return ranges;
}

/** A safetensors header for tensors that lie one after the other, padded with spaces to 8 bytes. */
function headerOf(tensors: readonly StoredTensor[], metadata: Readonly<Record<string, string>>): Uint8Array {
  let end = 0;
  const fields = tensors.map(({ name, dtype, shape, bytes }) => {
    const entry = { dtype, shape, data_offsets: [end, end + bytes] };
    end += bytes;
    return `${JSON.stringify(name)}:${JSON.stringify(entry)}`;
  });
  if (Object.keys(metadata).length > 0) fields.unshift(`"__metadata__":${JSON.stringify(metadata)}`);
  const text = new TextEncoder().encode(`{${fields.join(",")}}`);
  const length = Math.ceil(text.length / 8) * 8;
  const header = new Uint8Array(8 + length).fill(0x20, 8);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(text, 8);
  return header;
}
