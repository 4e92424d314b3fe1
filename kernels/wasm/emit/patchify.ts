/** Images to rows of patches, so that a strided convolution is a matrix product. */
import { type Code, get, i32, set } from "../asm/code.ts";
import { type KernelModule, kernelModule } from "../asm/module.ts";
import { advance, copyFixed, countDown, type ElementBytes, forItems, word, wordBytes } from "./loops.ts";

export interface PatchifyOptions {
  readonly patchHeight: number;
  readonly patchWidth: number;
  /** Bytes of an element, 1 or 4. */
  readonly elementBytes: ElementBytes;
}

/**
 * x [batch, channels, height, width] -> dense [batch, gridHeight * gridWidth, channels * patchHeight * patchWidth],
 * inside a patch by channel, row, column; one grid item per patch. Arguments: out, x; channels, gridHeight, gridWidth,
 * and x's strides of batch, channel and row, in elements; its last axis is contiguous.
 */
export function patchifyKernel({ patchHeight, patchWidth, elementBytes }: PatchifyOptions): KernelModule {
  const bytesOf = (count: Code): Code => (elementBytes === 4 ? wordBytes(count) : count);
  const lineBytes = elementBytes * patchWidth;
  return kernelModule((frame) => {
    const [item, rest, from, plane, to, channel, line, channels, gridWidth] = frame.locals("i32", 9);
    const gridHeight = word(frame, 3);
    const patchElements = i32.mul(get(channels), i32.of(patchHeight * patchWidth));
    const rowBytes = bytesOf(word(frame, 7));
    const moveBy = (count: Code, elements: Code): Code => advance(plane, bytesOf(i32.mul(count, elements)));
    const copyPlane = [
      set(from, get(plane)),
      set(line, i32.of(patchHeight)),
      countDown(line, [copyFixed(lineBytes, from, to), advance(from, rowBytes), advance(to, i32.of(lineBytes))]),
      advance(plane, bytesOf(word(frame, 6))),
    ];
    return [
      set(channels, word(frame, 2)),
      set(gridWidth, word(frame, 4)),
      forItems(frame, item, [
        set(to, i32.add(word(frame, 0), bytesOf(i32.mul(get(item), patchElements)))),
        set(plane, word(frame, 1)),
        moveBy(i32.remU(get(item), get(gridWidth)), i32.of(patchWidth)),
        set(rest, i32.divU(get(item), get(gridWidth))),
        moveBy(i32.remU(get(rest), gridHeight), i32.mul(word(frame, 7), i32.of(patchHeight))),
        moveBy(i32.divU(get(rest), gridHeight), word(frame, 5)),
        set(channel, get(channels)),
        countDown(channel, copyPlane),
      ]),
    ];
  });
}
