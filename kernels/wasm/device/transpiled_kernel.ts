/** Components that jco's glue links, for what calls kernels: values are copied out of the device's memory, results into it. */
import { VALUE_CASES } from "../../../runtime/abi/component.ts";
import type { GlueLinks } from "../../../runtime/abi/glue.ts";
import { linkTranspiled, type TaggedValues } from "../../../runtime/abi/transpiled.ts";
import type { Component, Values } from "./component_kernel.ts";

const ARRAYS = { f32: Float32Array, i32: Int32Array, u8: Uint8Array } as const;

/** Copies in arrays of their own: memory may be shared, and glue may keep what it gets. */
function tagged(values: readonly Values[], device: Uint8Array): readonly TaggedValues[] {
  return values.map(({ type, address, bytes }) => {
    const tag = VALUE_CASES[type];
    return { tag, val: new ARRAYS[tag](Uint8Array.from(device.subarray(address, address + bytes)).buffer) };
  });
}

/** The component in a code blob; nothing for other code. @param links glue that needs no code made of text */
export function linkGlued(module: WebAssembly.Module, links?: GlueLinks): Component | undefined {
  const component = linkTranspiled(module, links);
  if (component === undefined) return undefined;
  return {
    allow: (budget) => component.allow(budget),
    load: (kernel, sizes, attributes, values, device) => {
      const given = tagged(values, device);
      const weights = component.call(() => component.kernels.Weights.load(kernel, sizes, attributes, given));
      return {
        run: (items, operands, memory, to, bytes) => {
          const copies = tagged(operands, memory);
          const result = Float32Array.from(component.call(() => weights.run(items, copies)));
          if (result.byteLength !== bytes)
            throw new Error(`its result has ${result.length} elements; expected ${bytes / 4}`);
          memory.set(new Uint8Array(result.buffer), to);
        },
      };
    },
  };
}
