/** GPUBufferUsage, which not every host has as a global: MAP_READ, MAP_WRITE, COPY_SRC, COPY_DST, UNIFORM, STORAGE. */
export const USAGE: Readonly<
  Record<"mapRead" | "mapWrite" | "copySource" | "copyTarget" | "uniform" | "storage", number>
> = {
  mapRead: 1,
  mapWrite: 2,
  copySource: 4,
  copyTarget: 8,
  uniform: 64,
  storage: 128,
};
