/** A component in a worker of its own: values are handed over in a memory that both threads see. */
import type { Component, Loaded, Values } from "./component_kernel.ts";
import { growTo, View } from "./foreign_call.ts";
import { ask, type Channel } from "./isolate_channel.ts";

/** First word of a request; the second are the units that it may take. */
export const COMPONENT_REQUEST = { link: 0, load: 1, run: 2 } as const;
const ALIGNMENT = 16;
/** Linking may compile several modules. */
const LINK_UNITS = 1e9;

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** Copies values behind each other; their words for a request, and where the next may lie. @param room beside them */
function handOver(
  view: View,
  values: readonly Values[],
  device: Uint8Array,
  room: number,
): { readonly words: readonly number[]; readonly end: number } {
  growTo(
    view,
    values.reduce((n, { bytes }) => n + aligned(bytes), aligned(room)),
  );
  let at = 0;
  const words: number[] = [];
  for (const { type, address, bytes } of values) {
    view.bytes.set(device.subarray(address, address + bytes), at);
    words.push(type, at, bytes);
    at += aligned(bytes);
  }
  return { words, end: at };
}

/** A component as the thread that calls it sees it. @throws Error that says how it misbehaved */
export function linkIsolated(channel: Channel): Component {
  const view = new View(channel.memory);
  let budget = 0;
  ask(channel, LINK_UNITS, [COMPONENT_REQUEST.link, LINK_UNITS]);
  const loaded = (handle: number): Loaded => ({
    run: (items, values, device, to, bytes) => {
      const { words, end } = handOver(view, values, device, bytes);
      ask(channel, budget, [COMPONENT_REQUEST.run, budget, end + bytes, handle, items, end, bytes, ...words]);
      device.set(view.bytes.subarray(end, end + bytes), to);
    },
  });
  return {
    allow: (units) => {
      budget = units;
    },
    load: (kernel, sizes, attributes, values, device) => {
      const { words, end } = handOver(view, values, device, 0);
      const bits = new Int32Array(attributes.slice().buffer);
      const counts = [sizes.length, bits.length];
      return loaded(
        ask(channel, budget, [COMPONENT_REQUEST.load, budget, end, kernel, ...counts, ...sizes, ...bits, ...words]),
      );
    },
  };
}
