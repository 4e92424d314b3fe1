/** Pictures and their geometry: what the processors of encoder plugins are made of. */
export { type Image, rgbImage } from "./image.ts";
export { type CutOptions, cutTensors, pixelCut } from "./pixel_cut.ts";
export { type CenterCrop, centerCropRegion, type Size, shortestEdgeSize } from "./pixels.ts";
export type { Region, ResizeArithmetic, ResizeFilter } from "./resize.ts";
