/** Rewrites a core module with a memory of its own so that its loops and calls are counted; all else of it stays. */
import { COMPONENT_FUEL } from "../../abi/component.ts";
import { type Limits, type Module, SECTION } from "../binary/module.ts";
import { constant, rewrittenBody, section, text, unsigned, vector } from "../instrument.ts";

const I32 = 0x7f;
const KEPT_BEFORE = [SECTION.type, SECTION.import, SECTION.function, SECTION.table];
/** Units before anyone allows more: what linking takes. */
const AT_FIRST = 2 ** 24;
/** 256 MiB: larger values are no kernel's. */
const MOST_PAGES = 4096;

const bounded = ({ min, max = MOST_PAGES }: Limits): number[] => [
  ...[1, ...unsigned(min)],
  ...unsigned(Math.max(min, Math.min(max, MOST_PAGES))),
];

/** The export section with one more. */
function exportsWith(module: Module, more: readonly number[]): number[] {
  const kinds = ["function", "table", "memory", "global"];
  const own = module.exports.map(({ name, kind, index }) => {
    const bytes = [...new TextEncoder().encode(name)];
    return [...unsigned(bytes.length), ...bytes, kinds.indexOf(kind), ...unsigned(index)];
  });
  return vector([...own, more]);
}

/**
 * A module with the same imports and exports and one more export, the global `fovea:fuel`; its memory grows to 256 MiB at most.
 */
export function countedModule(module: Module): Uint8Array<ArrayBuffer> {
  const kept = (id: number): number[] => {
    const content = module.sections.get(id);
    return content === undefined ? [] : section(id, [...content]);
  };
  const fuel = module.imports.filter((i) => i.kind === "global").length + module.globals.length;
  const globals = [
    ...module.globals.map((g) => [g.type, g.mutable ? 1 : 0, ...g.initial.bytes, 0x0b]),
    [I32, 1, ...constant(AT_FIRST), 0x0b],
  ];
  const bodies = module.functions.map((body) => {
    const bytes = rewrittenBody(module, body, fuel);
    return [...unsigned(bytes.length), ...bytes];
  });
  return Uint8Array.from([
    ...module.bytes.subarray(0, 8),
    ...KEPT_BEFORE.flatMap(kept),
    ...(module.memories.length === 0 ? [] : section(SECTION.memory, vector(module.memories.map(bounded)))),
    ...section(SECTION.global, vector(globals)),
    ...section(SECTION.export, exportsWith(module, [...text(COMPONENT_FUEL), 0x03, ...unsigned(fuel)])),
    ...kept(SECTION.start),
    ...kept(SECTION.element),
    ...kept(SECTION.dataCount),
    ...(bodies.length === 0 ? [] : section(SECTION.code, vector(bodies))),
    ...kept(SECTION.data),
  ]);
}
