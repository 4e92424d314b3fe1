/** Small reads of a source that is far away, answered from larger ones: most tensors are small, and each request takes its time. */
import type { ByteSource } from "./byte_source.ts";

/** Bytes that are read at once; larger reads go through as they are. */
const BLOCK = 1 << 20;
/** Blocks that are kept: tensors of a layer lie close to each other. */
const KEPT = 4;

export function readAhead(source: ByteSource): ByteSource {
  /** By number, those used last at the end. */
  const blocks = new Map<number, Promise<Uint8Array>>();

  const fetchBlock = async (index: number): Promise<Uint8Array> => {
    const bytes = new Uint8Array(Math.min(BLOCK, source.size - index * BLOCK));
    return bytes.subarray(0, await source.read(bytes, index * BLOCK));
  };

  const blockAt = (index: number): Promise<Uint8Array> => {
    const known = blocks.get(index);
    const block = known ?? fetchBlock(index);
    blocks.delete(index);
    blocks.set(index, block);
    if (known === undefined) {
      block.catch(() => blocks.delete(index));
      if (blocks.size > KEPT) blocks.delete(blocks.keys().next().value as number);
    }
    return block;
  };

  return {
    ...source,
    read: async (into, position) => {
      if (into.length >= BLOCK) return source.read(into, position);
      const end = Math.min(position + into.length, source.size);
      for (let at = position; at < end; ) {
        const index = Math.floor(at / BLOCK);
        const block = await blockAt(index);
        const part = block.subarray(at - index * BLOCK, end - index * BLOCK);
        if (part.length === 0) return at - position;
        into.set(part, at - position);
        at += part.length;
      }
      return Math.max(0, end - position);
    },
    close: async () => {
      blocks.clear();
      await source.close();
    },
  };
}
