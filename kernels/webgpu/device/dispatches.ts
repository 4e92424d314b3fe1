/** What is dispatched for a launch: one workgroup grid, but over memory of which a shader cannot bind all pieces. */
import type { Address, DeviceBuffer, Launch } from "../../../runtime/abi/device.ts";
import { internal } from "../../../runtime/core/diagnostics.ts";
import { type GpuCode, pointersOf, type Sharing } from "./code.ts";
import { type Dealt, deal } from "./windows.ts";
import { WORDS_STRIDE } from "./words_heap.ts";

export interface Dispatch {
  readonly launch: Launch;
  readonly dealt: Dealt;
  /** In the order of their bindings. */
  readonly buffers: readonly GPUBuffer[];
}

/** What a launch is bound on. */
export interface BoundOn {
  readonly code: GpuCode;
  readonly piecesOf: (buffer: DeviceBuffer) => readonly GPUBuffer[];
  readonly pieceBytes: number;
  /** Storage buffers that a shader may have. */
  readonly mostBuffers: number;
}

const isAddress = (arg: Address | number): arg is Address => typeof arg === "object";

const argumentWords = (args: Launch["args"]): readonly number[] =>
  args.map((arg) => (isAddress(arg) ? arg.offset : arg));

/** None for a launch without items. @throws FoveaError `out_of_memory` */
export function dispatchesOf(
  launch: Launch,
  { code, piecesOf, pieceBytes, mostBuffers }: BoundOn,
): readonly Dispatch[] {
  const { args, kernel, first = 0, grid } = launch;
  if (grid <= first) return [];
  if (code.args.length !== args.length) internal(`${kernel} takes ${code.args.length} arguments, found ${args.length}`);
  const used: DeviceBuffer[] = [];
  const sharing: Sharing = pointersOf(code).map((at) => {
    const { buffer } = args[at] as Address;
    const known = used.indexOf(buffer);
    return known >= 0 ? known : used.push(buffer) - 1;
  });
  const pieces = used.map(piecesOf);
  const dealt = deal({
    ...{ code, kernel, args: argumentWords(args), first, end: grid, sharing, pieceBytes, mostBuffers },
    buffers: used.map(({ bytes }, i) => ({ bytes, pieces: pieces[i].length })),
  });
  return dealt.map((own) => ({
    ...{ launch, dealt: own },
    buffers: own.stretches.flatMap((stretch, i) => pieces[i].slice(stretch.first, stretch.first + stretch.count)),
  }));
}

/** Sizes, offsets and the grid of dispatches, each at its stride. */
export function wordsOf(dispatches: readonly Dispatch[], slotOf: (launch: Launch) => number): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array((WORDS_STRIDE / 4) * Math.max(1, dispatches.length));
  for (const [i, { launch, dealt }] of dispatches.entries()) {
    const own = [...argumentWords(launch.args), dealt.first, dealt.end, slotOf(launch), ...dealt.words];
    if (own.length > WORDS_STRIDE / 4) internal(`${launch.kernel} takes ${launch.args.length} arguments`);
    words.set(own, (i * WORDS_STRIDE) / 4);
  }
  return words;
}
