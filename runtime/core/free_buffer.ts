/** Memory of large buffers given back at once: a garbage collector comes late to what it does not see, and new pages cost time. */

/** Smaller ones lie in memory that allocators keep. */
const LARGE_BYTES = 2 ** 20;

/** The buffer that bytes fill, where it is large enough to be worth giving back. */
export function largeBuffer({ buffer, byteLength }: Uint8Array): ArrayBuffer | undefined {
  const isLarge = byteLength >= LARGE_BYTES && byteLength === buffer.byteLength;
  return isLarge && buffer instanceof ArrayBuffer ? buffer : undefined;
}

type Transferring = ArrayBuffer & { readonly transfer?: (length: number) => ArrayBuffer };

/**
 * Detaches a buffer, which frees its memory; what lies over it is empty from then on. Allocators hand the same pages out again
 * then, so that the next picture of a size touches none for the first time. Never fails.
 */
export async function freeBuffer(buffer: ArrayBuffer): Promise<void> {
  const { transfer } = buffer as Transferring;
  try {
    if (transfer !== undefined) transfer.call(buffer, 0);
    else await freeByStream(buffer);
  } catch {
    // An engine may keep what native code allocated from being detached: its collector frees it then, as it would have anyway.
  }
}

/**
 * Node before version 22: streams of bytes take over any buffer, those of native code too that messages refuse, and a message
 * to a closed port frees what it carries.
 */
async function freeByStream(buffer: ArrayBuffer): Promise<void> {
  const stream = new ReadableStream({
    type: "bytes",
    start: (controller) => controller.enqueue(new Uint8Array(buffer)),
  });
  const { value } = await stream.getReader().read();
  const { port1 } = new MessageChannel();
  port1.close();
  if (value !== undefined) port1.postMessage(undefined, [value.buffer]);
}
