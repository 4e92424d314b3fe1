/** Bind groups by code and buffers, made once. */
import { type Seen, seenKey } from "./code.ts";
import type { Pipelines } from "./pipelines.ts";
import { WORDS_STRIDE } from "./words_heap.ts";

export interface Bindings {
  /** The group of a kernel's buffers; behind them the one that its words lie in, wherever in it. */
  groupFor(code: string, seen: Seen, buffers: readonly GPUBuffer[], words: GPUBuffer): GPUBindGroup;
  /** Drops what refers to a buffer. */
  forget(buffer: GPUBuffer): void;
  clear(): void;
  /** Groups that were made so far. */
  readonly made: number;
}

export function createBindings(device: GPUDevice, pipelines: Pipelines): Bindings {
  const keysOf = new Map<GPUBuffer, Set<string>>();
  const known = new Map<string, GPUBindGroup>();
  const ids = new WeakMap<GPUBuffer, number>();
  let lastId = 0;
  let made = 0;
  const idOf = (buffer: GPUBuffer): number => {
    const id = ids.get(buffer) ?? ++lastId;
    ids.set(buffer, id);
    return id;
  };
  return {
    groupFor: (code, seen, buffers, words) => {
      const key = `${code}/${seenKey(seen)} ${[...buffers, words].map(idOf).join()}`;
      const found = known.get(key);
      if (found !== undefined) return found;
      made++;
      const group = device.createBindGroup({
        layout: pipelines.layoutOf(code, seen),
        entries: [
          ...buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
          { binding: buffers.length, resource: { buffer: words, size: WORDS_STRIDE } },
        ],
      });
      known.set(key, group);
      for (const buffer of buffers) keysOf.set(buffer, (keysOf.get(buffer) ?? new Set()).add(key));
      return group;
    },
    forget: (buffer) => {
      for (const key of keysOf.get(buffer) ?? []) known.delete(key);
      keysOf.delete(buffer);
    },
    clear: () => {
      known.clear();
      keysOf.clear();
    },
    get made() {
      return made;
    },
  };
}
