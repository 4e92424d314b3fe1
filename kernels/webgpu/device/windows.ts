/** How a launch is dealt out where a shader cannot bind all pieces of the memory that it uses. */
import type { GpuHeader, LineWindows } from "../../../runtime/abi/gpu_code.ts";
import { bytesText, FoveaError } from "../../../runtime/core/diagnostics.ts";
import { pointersOf, type Seen, type Sharing } from "./code.ts";

/** The pieces of one buffer that a launch binds. */
export interface Stretch {
  readonly first: number;
  readonly count: number;
}

/** A dispatch: the pieces of each buffer that it sees, and its items. */
export interface Dealt {
  readonly seen: Seen;
  readonly stretches: readonly Stretch[];
  /** First item and one behind the last, as the dispatch counts them. */
  readonly first: number;
  readonly end: number;
  /** Words behind those of the grid. */
  readonly words: readonly number[];
}

/** A launch as it is dealt out. */
export interface Dealing {
  readonly code: GpuHeader;
  readonly kernel: string;
  /** Words of its arguments: sizes, and where pointers begin in their buffers. */
  readonly args: readonly number[];
  readonly first: number;
  readonly end: number;
  readonly sharing: Sharing;
  /** Of each buffer: bytes, and pieces. */
  readonly buffers: readonly { readonly bytes: number; readonly pieces: number }[];
  readonly pieceBytes: number;
  /** Storage buffers that a shader may have. */
  readonly mostBuffers: number;
}

/** @throws FoveaError `out_of_memory` for what no window holds */
export function deal(dealing: Dealing): readonly Dealt[] {
  const { code, sharing, buffers, mostBuffers, first, end } = dealing;
  const own = code.sandbox === true ? 1 : 0;
  if (buffers.every(({ pieces }) => pieces === 1))
    return [{ seen: { sharing }, stretches: buffers.map(() => ({ first: 0, count: 1 })), first, end, words: [] }];
  const all = buffers.map(({ pieces }): Stretch => ({ first: 0, count: pieces }));
  const pieces = all.map(({ count }) => count);
  const needed = pieces.reduce((a, b) => a + b, own);
  if (needed <= mostBuffers) return [{ seen: { sharing, pieces }, stretches: all, first, end, words: [] }];
  const windowed = windowedBuffers(dealing);
  const others = pieces.reduce((n, count, buffer) => (windowed.includes(buffer) ? n : n + count), own);
  const room = Math.floor((mostBuffers - others) / Math.max(1, windowed.length));
  if (windowed.length === 0 || room < 1) return refuse(dealing, `its memory lies in ${needed} pieces`);
  const stretchesOf = (stretch: (buffer: number) => Stretch): Pick<Dealt, "seen" | "stretches"> => {
    const stretches = all.map((whole, buffer) => (windowed.includes(buffer) ? stretch(buffer) : whole));
    return { seen: { sharing, pieces: stretches.map(({ count }) => count), windowed }, stretches };
  };
  const wordsFor = ({ stretches }: Pick<Dealt, "stretches">, line: readonly number[]): readonly number[] => [
    ...line,
    ...windowed.map((buffer) => stretches[buffer].first),
  ];
  const { windows } = code;
  if (windows === undefined || "read" in windows) {
    const [buffer] = windowed;
    return Array.from({ length: Math.ceil(pieces[buffer] / room) }, (_, i) => {
      const seen = stretchesOf(() => ({ first: i * room, count: Math.min(room, pieces[buffer] - i * room) }));
      return { ...seen, first, end, words: wordsFor(seen, [1, 0, 1]) };
    });
  }
  return dealLines(dealing, windows, windowed, room).map(({ place, width, line, stretches }) => {
    const seen = stretchesOf((buffer) => stretches[windowed.indexOf(buffer)]);
    const lines = Math.floor(end / line);
    const rest = Math.min(width, Math.max(0, (end % line) - place));
    return { ...seen, first: 0, end: lines * width + rest, words: wordsFor(seen, [line, place, width]) };
  });
}

/** Buffers whose pieces need not all be there: each must be what one pointer alone uses. */
function windowedBuffers({ code, args, sharing, buffers }: Dealing): readonly number[] {
  const { windows } = code;
  if (windows === undefined) return [];
  const spans = "read" in windows ? [{ pointer: windows.read }] : windows.spans;
  if (spans.some((span) => "batch" in span && args[span.batch as number] !== 0)) return [];
  const order = pointersOf(code);
  const found = spans.map(({ pointer }) => sharing[order.indexOf(pointer)]);
  const isShared = found.some((buffer) => sharing.filter((b) => b === buffer).length > 1);
  return isShared ? [] : found.filter((buffer) => buffers[buffer].pieces > 1);
}

interface LineWindow {
  readonly line: number;
  readonly place: number;
  readonly width: number;
  /** Of each windowed buffer. */
  readonly stretches: readonly Stretch[];
}

/** As many items of a line at a time as the room holds the pieces of. */
function dealLines(
  dealing: Dealing,
  { units, each, spans }: LineWindows,
  windowed: readonly number[],
  room: number,
): readonly LineWindow[] {
  const { code, args, sharing, pieceBytes } = dealing;
  const order = pointersOf(code);
  const count = args[units];
  const line = Math.ceil(count / each);
  const stretchesOf = (from: number, to: number): readonly Stretch[] =>
    spans
      .map((span) => ({ ...span, buffer: sharing[order.indexOf(span.pointer)] }))
      .filter(({ buffer }) => windowed.includes(buffer))
      .map(({ pointer, step, bytes }) => {
        const unit = (step === undefined ? 1 : args[step]) * bytes;
        const begin = args[pointer] + from * each * unit;
        const end = args[pointer] + Math.min(count, to * each) * unit;
        const first = Math.floor(begin / pieceBytes);
        return { first, count: Math.ceil(end / pieceBytes) - first };
      });
  const found: LineWindow[] = [];
  for (let place = 0; place < line; ) {
    const fits = (width: number): boolean => stretchesOf(place, place + width).every((s) => s.count <= room);
    let width = 1;
    if (!fits(width)) {
      const most = Math.max(...stretchesOf(place, place + 1).map((s) => s.count));
      return refuse(dealing, `its item ${place} alone reads ${most} pieces, with room for ${room}`);
    }
    // The most that fits lies between what does and twice as much, which does not.
    while (place + width < line && fits(2 * width)) width *= 2;
    for (let more = width; more >= 1; more /= 2) if (fits(width + more)) width += more;
    width = Math.min(width, line - place);
    found.push({ line, place, width, stretches: stretchesOf(place, place + width) });
    place += width;
  }
  return found;
}

function refuse({ kernel, buffers, pieceBytes, mostBuffers }: Dealing, problem: string): never {
  const largest = Math.max(...buffers.map(({ bytes }) => bytes));
  throw new FoveaError(
    "out_of_memory",
    `The device "webgpu" cannot run the kernel ${kernel} on memory of ${bytesText(largest)}: ${problem} of ${bytesText(pieceBytes)}, the most that a shader sees of one buffer here, and this adapter grants a shader ${mostBuffers} buffers. Use an adapter with larger limits, encode less at once, or use \`dtype: "f16"\`, which halves the weights of products.`,
  );
}
