/** How large one run of a tower may be: as its components' intervals say, or less where memory holds no more. */
import type { Artifact } from "../../abi/artifact.ts";
import type { RunGrowth, TowerSpec } from "../../abi/encoder.ts";
import { bytesText } from "../../core/diagnostics.ts";
import type { Bindings, Interval } from "../../core/dim.ts";
import { evaluateData } from "../../core/dim_data.ts";
import { DTYPE_BYTES } from "../../core/dtype.ts";
import { slotBytes } from "../../exec/linker.ts";
import type { ReadyComponent } from "../artifacts/ready_component.ts";
import { usualInstances } from "../config/cut_component.ts";

/** The largest run, and why it is no larger. */
export interface RunLimit {
  /** Size that grows with a request, such as `batch` or `patches`. */
  readonly symbol: string;
  /** What the components' intervals have in common. */
  readonly interval: Interval;
  /** Largest size of one run, within the interval. */
  readonly size: number;
  /** Bytes of that run beside the weights. */
  readonly bytes: number;
  /** Bytes that were left beside the weights. */
  readonly room: number;
  /** Where the interval's end comes from, in words, where the encoder says so. */
  readonly bound: string | undefined;
}

/** The tower's own growth, or what follows when its components have no other symbols than `batch` and one more. */
function growthOf(spec: TowerSpec): RunGrowth | undefined {
  if (spec.growth !== undefined) return spec.growth;
  const names = [...new Set(spec.components.flatMap((c) => Object.keys(c.symbols)))];
  const others = names.filter((name) => name !== "batch");
  if (!names.includes("batch") || others.length > 1) return undefined;
  const [symbol = "batch"] = others;
  return { symbol, dims: (size) => ({ batch: 1, [symbol]: size }) };
}

/** Sizes that every component with the symbol takes. */
function commonInterval(spec: TowerSpec, symbol: string): Interval {
  const own = spec.components.flatMap((c) => (symbol in c.symbols ? [c.symbols[symbol]] : []));
  return {
    min: Math.max(...own.map((i) => i.min)),
    max: Math.min(...own.map((i) => i.max)),
    multipleOf: Math.max(...own.map((i) => i.multipleOf ?? 1)),
  };
}

/** Bytes by port name. */
function portBytes(ports: Artifact["inputs"], dims: Bindings): ReadonlyMap<string, number> {
  const bytes = ({ shape, dtype }: Artifact["inputs"][number]): number =>
    shape.reduce<number>((n, d) => n * evaluateData(d, dims), DTYPE_BYTES[dtype]);
  return new Map(ports.map((port) => [port.name, bytes(port)]));
}

const sum = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0);

/**
 * Bytes of a run of `size`: as the linker places them, the most that is alive beside one call, and the scratch that all calls
 * share. What the caller gives is there from the start until the last component that reads it.
 */
function runBytes(components: readonly ReadyComponent[], { symbol, dims }: RunGrowth, size: number): number {
  const at = dims(size);
  const serves = ({ box }: Artifact): boolean =>
    box[symbol] === undefined || (box[symbol].min <= size && size <= box[symbol].max);
  const calls = components.map((c) =>
    c.artifacts
      .flatMap(({ artifact }) => (serves(artifact) ? [artifact] : []))
      .map((artifact) => ({
        inputs: portBytes(artifact.inputs, at),
        outputs: portBytes(artifact.outputs, at),
        scratch: sum(slotBytes(artifact, at)),
      })),
  );
  const computed = new Set(calls.flat().flatMap((c) => [...c.outputs.keys()]));
  const given = ({ inputs }: { readonly inputs: ReadonlyMap<string, number> }): [string, number][] =>
    [...inputs].filter(([name]) => !computed.has(name));
  const alive = calls.flatMap((own, position) => {
    const waiting = new Map<string, number>();
    // Forms of one input have one name, and a run is given one of them.
    for (const [name, bytes] of calls.slice(position).flat().flatMap(given)) {
      waiting.set(name, Math.max(bytes, waiting.get(name) ?? 0));
    }
    return own.map(({ inputs, outputs }) => {
      const passed = [...inputs].filter(([name]) => computed.has(name)).map(([, bytes]) => bytes);
      return sum(waiting.values()) + sum(passed) + sum(outputs.values());
    });
  });
  return Math.max(0, ...alive) + Math.max(0, ...calls.flat().map((c) => c.scratch));
}

/**
 * A component that its encoder has beside another for the same values in a second form, or whose calls larger ones make, and
 * that nothing called yet.
 */
const isSpare = ({ spec, artifacts }: ReadyComponent): boolean =>
  (spec.lazy === true || usualInstances(spec).length === 0) && artifacts.length === 0;

/**
 * The largest run; unknown for towers that do not say how they grow or lie on several devices, and while ranges that settings
 * made lazy wait for their first use. Second forms of an input that wait for theirs do not count.
 * @param given bytes beside the weights, instead of what the device has left
 */
export function limitRuns(
  spec: TowerSpec,
  components: ReadonlyMap<string, ReadyComponent>,
  given?: number,
): RunLimit | undefined {
  const growth = growthOf(spec);
  if (growth === undefined) return undefined;
  const interval = commonInterval(spec, growth.symbol);
  const step = interval.multipleOf ?? 1;
  const ready = [...components.values()].filter((c) => !isSpare(c));
  if (ready.some((c) => c.artifacts.length < c.slots.length)) return undefined;
  const devices = [...new Set(ready.map((c) => c.device))];
  if (devices.length !== 1) return undefined;
  const { limitBytes, bytesInUse } = devices[0].stats();
  const room = given ?? limitBytes - bytesInUse;
  let [low, high] = [Math.ceil(interval.min / step), Math.floor(interval.max / step)];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (runBytes(ready, growth, middle * step) <= room) low = middle;
    else high = middle - 1;
  }
  const size = low * step;
  return { symbol: growth.symbol, interval, size, bytes: runBytes(ready, growth, size), room, bound: growth.bound };
}

/** One line for `explain`. */
export function limitText({ symbol, interval, size, room, bound }: RunLimit): string {
  const { min, max, multipleOf = 1 } = interval;
  const end = max - (max % multipleOf);
  const whole = `${min}..${end}${bound === undefined ? "" : ` (${bound})`}`;
  return size === end
    ? `one run takes ${symbol} ${whole}; the memory left beside weights, ${bytesText(room)}, holds the largest`
    : `one run takes ${symbol} ${min}..${size} of ${whole}: the memory left beside weights, ${bytesText(room)}, holds no more`;
}
