/** Kernels of components: weights go in once, the other operands with each piece of the grid; results are copied out. */
import { LinkedComponent, VALUE_CASES, VALUES_BYTES } from "../../../runtime/abi/component.ts";
import type { Sandbox } from "../../../runtime/abi/sandbox.ts";
import { fuelFor, itemsOfCall, ReleaseReader, View, WORDS } from "./foreign_call.ts";
import type { Kernel } from "./run_loop.ts";

/** A place in the device's memory that an operand or the result has in the call at hand. */
interface Operand {
  readonly position: number;
  readonly type: number;
  readonly isResult: boolean;
  readonly isWeight: boolean;
  readonly split: boolean;
  address: number;
  /** Of one item where it is split, else of all. */
  bytes: number;
}

/** Values that stand in the device's memory, as a component takes them. */
export interface Values {
  /** Position of the case in `VALUE_CASES`. */
  readonly type: number;
  readonly address: number;
  readonly bytes: number;
}

/** A component with weights loaded, however it is linked. */
export interface Loaded {
  /** Runs `items` items; writes the result, of as many bytes as `to` takes. @throws Error that says how it misbehaved */
  run(items: number, values: readonly Values[], device: Uint8Array, to: number, bytes: number): void;
}

/** Links a component, or loads weights into it. */
export interface Component {
  /** @throws Error that says how it misbehaved */
  load(
    kernel: number,
    sizes: Uint32Array,
    attributes: Float32Array,
    values: readonly Values[],
    device: Uint8Array,
  ): Loaded;
  /** Lets what comes next do as much. */
  allow(budget: number): void;
}

/** Units for each byte of weights: copying, transposing and converting them. */
const FUEL_PER_WEIGHT_BYTE = 64;

/** Copies values in, as a list of the variant; its address. */
function lowered(c: LinkedComponent, values: readonly Values[], device: Uint8Array): number {
  const list = c.allocate(values.length * VALUES_BYTES, 4);
  for (const [i, { type, address, bytes }] of values.entries()) {
    const item = VALUE_CASES[type] === "u8" ? 1 : 4;
    const at = c.allocate(bytes, item);
    c.bytes.set(device.subarray(address, address + bytes), at);
    const to = list + i * VALUES_BYTES;
    c.setByte(to, type);
    c.setWord(to + 4, at);
    c.setWord(to + 8, bytes / item);
  }
  return list;
}

function loweredWords(c: LinkedComponent, words: Uint32Array | Float32Array): number {
  const at = c.allocate(words.byteLength, 4);
  c.bytes.set(new Uint8Array(words.buffer, words.byteOffset, words.byteLength), at);
  return at;
}

/** A component of one core module. */
export function linkLean(module: WebAssembly.Module): Component {
  const c = new LinkedComponent(module);
  const run = (representation: number): Loaded => ({
    run: (items, values, device, to, bytes) => {
      const list = lowered(c, values, device);
      const answer = c.call("run", representation, items, list, values.length);
      const { at, length } = c.list(c.succeeded(answer), 4, 4);
      if (length * 4 !== bytes) throw new Error(`its result has ${length} elements; expected ${bytes / 4}`);
      device.set(c.bytes.subarray(at, at + bytes), to);
      c.done("run", answer);
    },
  });
  return {
    allow: (budget) => c.allow(budget),
    load: (kernel, sizes, attributes, values, device) => {
      const [sizesAt, attributesAt] = [loweredWords(c, sizes), loweredWords(c, attributes)];
      const list = lowered(c, values, device);
      const answer = c.call(
        "load",
        ...[kernel, sizesAt, sizes.length, attributesAt, attributes.length, list, values.length],
      );
      const handle = c.word(c.succeeded(answer));
      c.done("load", answer);
      return run(c.representation(handle));
    },
  };
}

/** What was loaded for the words of a step that are not operands of single calls. */
interface LoadedWeights {
  readonly words: Int32Array;
  /** Where the weights lay. */
  readonly values: readonly Values[];
  readonly loaded: Loaded;
}

/** A kernel of a component. @param releases what was released of the device's memory: other values may lie there by now */
export function componentKernel(
  link: () => Component,
  sandbox: Sandbox,
  memory: WebAssembly.Memory,
  releases: Int32Array,
): Kernel {
  const list = sandbox.arguments;
  const device = new View(memory);
  const operands = list.flatMap((how, position): Operand[] =>
    how.kind === "pointer"
      ? [
          {
            ...{ position, type: VALUE_CASES.indexOf(how.dtype), isResult: how.mode === "write" },
            ...{ isWeight: how.weight, split: how.split, address: 0, bytes: 0 },
          },
        ]
      : [],
  );
  const result = operands.find((o) => o.isResult) as Operand;
  const inputs = operands.filter((o) => !o.isResult && !o.isWeight);
  const weights = operands.filter((o) => o.isWeight);
  /** Words of a step that belong to what is loaded: weights with their bytes, sizes, attributes. */
  const lasting = list.flatMap((how, i) =>
    (how.kind === "pointer" && how.weight) || how.kind === "word"
      ? Array.from({ length: WORDS[how.kind] }, (_, w) => list.slice(0, i).reduce((n, a) => n + WORDS[a.kind], 0) + w)
      : [],
  );
  const wordAt = list.map((_, i) => list.slice(0, i).reduce((n, a) => n + WORDS[a.kind], 0));
  const last = list.reduce((n, how) => n + WORDS[how.kind], 0);
  let component: Component | undefined;
  let known: LoadedWeights[] = [];
  const reader = new ReleaseReader(releases);

  const valuesOf = (from: readonly Operand[], item: number, count: number): readonly Values[] =>
    from.map(({ type, address, bytes, split }) => ({
      type,
      address: split ? address + item * bytes : address,
      bytes: split ? bytes * count : bytes,
    }));

  const load = (words: Int32Array, first: number): Loaded => {
    for (const one of known) {
      let same = true;
      for (let i = 0; i < lasting.length && same; i++) same = one.words[i] === words[first + lasting[i]];
      if (same) return one.loaded;
    }
    component ??= link();
    const numbers = (isAttribute: boolean): number[] =>
      list.flatMap((how, i) =>
        how.kind === "word" && how.isAttribute === isAttribute ? [words[first + wordAt[i]]] : [],
      );
    const attributes = new Float32Array(Int32Array.from(numbers(true)).buffer);
    const values = valuesOf(weights, 0, 1);
    component.allow(fuelFor(0, FUEL_PER_WEIGHT_BYTE * values.reduce((n, v) => n + v.bytes, 0)));
    const { component: kernel = 0 } = sandbox;
    const loaded = component.load(kernel, Uint32Array.from(numbers(false)), attributes, values, device.bytes);
    known.push({ words: Int32Array.from(lasting, (at) => words[first + at]), values, loaded });
    return loaded;
  };

  const work = (args: number, begin: number, end: number): void => {
    device.reach(args + 4 * (last + 1));
    const { words } = device;
    const first = args >> 2;
    let [itemBytes, wholeBytes, furthest] = [0, 0, 0];
    for (const o of operands) {
      o.address = words[first + wordAt[o.position]] >>> 0;
      o.bytes = words[first + wordAt[o.position] + 1] >>> 0;
      furthest = Math.max(furthest, o.address + (o.split ? end * o.bytes : o.bytes));
      if (o.split) itemBytes += o.bytes;
      else if (!o.isWeight) wholeBytes += o.bytes;
    }
    device.reach(furthest);
    const flops = words[first + last];
    const loaded = load(words, first);
    const items = itemsOfCall(end - begin, flops, itemBytes);
    for (let item = begin; item < end; item += items) {
      const count = Math.min(items, end - item);
      component?.allow(fuelFor(flops * count, wholeBytes + itemBytes * count));
      const to = result.split ? result.address + item * result.bytes : result.address;
      const bytes = result.split ? result.bytes * count : result.bytes;
      loaded.run(count, valuesOf(inputs, item, count), device.bytes, to, bytes);
    }
  };

  return (args, begin, end) => {
    if (reader.isBehind) {
      // A new instance, since the old one's memory holds what nobody needs any more.
      if (known.some(({ values }) => values.some((v) => reader.touched(v.address, v.bytes))))
        [known, component] = [[], undefined];
      reader.done();
    }
    try {
      work(args, begin, end);
    } catch (error) {
      // Its data and allocator are as the failure left them.
      [known, component] = [[], undefined];
      throw error;
    }
  };
}
