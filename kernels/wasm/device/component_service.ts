/** A component in a worker of its own, as the worker has it. */
import { type Component, type Loaded, linkLean, type Values } from "./component_kernel.ts";
import type { View } from "./foreign_call.ts";
import { COMPONENT_REQUEST } from "./isolated_component.ts";
import { linkGlued } from "./transpiled_kernel.ts";

function valuesOf(words: Int32Array): readonly Values[] {
  return Array.from({ length: words.length / 3 }, (_, i) => {
    const [type, address, bytes] = words.subarray(3 * i);
    return { type, address, bytes };
  });
}

/** Answers the requests of `linkIsolated`. @param view of the memory in which values are handed over */
export function componentService(module: WebAssembly.Module, view: View): (words: Int32Array) => number {
  let component: Component | undefined;
  let known: Loaded[] = [];
  const link = (): Component => {
    known = [];
    component = linkGlued(module) ?? linkLean(module);
    return component;
  };
  return (words) => {
    const [kind, budget, end] = words;
    if (kind === COMPONENT_REQUEST.link) {
      link();
      return 0;
    }
    view.reach(end);
    const linked = component ?? link();
    linked.allow(budget);
    if (kind === COMPONENT_REQUEST.load) {
      const [kernel, sizes, attributes] = words.subarray(3);
      const from = 6 + sizes;
      const values = valuesOf(words.subarray(from + attributes));
      const bits = words.slice(from, from + attributes);
      const given = Uint32Array.from(words.subarray(6, from));
      known.push(linked.load(kernel, given, new Float32Array(bits.buffer), values, view.bytes));
      return known.length - 1;
    }
    const [handle, items, to, bytes] = words.subarray(3);
    known[handle].run(items, valuesOf(words.subarray(7)), view.bytes, to, bytes);
    return 0;
  };
}
