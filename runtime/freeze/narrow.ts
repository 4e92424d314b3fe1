/** Components with narrower intervals than their encoder's: what a frozen model is compiled for. */
import type { ComponentSpec, TowerSpec } from "../abi/encoder.ts";
import { FoveaError } from "../core/diagnostics.ts";
import type { Box, Interval } from "../core/dim.ts";
import { boxText, intervalText, type RangeList, type RangeSpec } from "../core/range.ts";
import { ruledOut } from "../core/relation.ts";
import type { FreezeOptions, FrozenIntervals } from "./options.ts";

const refuse = (problem: string): never => {
  throw new FoveaError("invalid_range", `The ranges to freeze are invalid: ${problem}`);
};

function narrowed(name: string, own: Interval, wanted: FrozenIntervals): Interval {
  const [min, max] = [wanted[0]?.[0], wanted.at(-1)?.[1]];
  const { multipleOf: step = 1 } = own;
  if (min === undefined || max === undefined) return refuse(`"${name}" has no interval; give one such as 1..4.`);
  for (const [i, [from, to]] of wanted.entries()) {
    if (from > to) refuse(`${from}..${to} of "${name}" is empty; swap its ends.`);
    if (i > 0 && from !== wanted[i - 1][1] + 1 && from !== wanted[i - 1][1] + step) {
      refuse(
        `${from}..${to} of "${name}" does not follow ${intervalText({ min: wanted[i - 1][0], max: wanted[i - 1][1] })}; begin it with ${wanted[i - 1][1] + step}.`,
      );
    }
  }
  const odd = [min, ...wanted.map(([, end]) => end)].find((size) => size % step !== 0);
  if (odd !== undefined) refuse(`"${name}" is ${intervalText(own)}, and none of its sizes is ${odd}.`);
  if (min < own.min || max > own.max) {
    refuse(`"${name}" is ${min}..${max}, and its encoder takes ${intervalText(own)}.`);
  }
  return { ...own, min, max };
}

/** A component's own division, as far as it lies within the intervals and can occur there. */
function within({ ranges, relations = [] }: ComponentSpec, symbols: Box): RangeSpec {
  if (ranges === undefined || ranges === "open") return {};
  const { ends = {}, boxes, exact } = ranges;
  const holds = (at: Readonly<Record<string, number>>): boolean =>
    Object.entries(at).every(([name, value]) => symbols[name].min <= value && value <= symbols[name].max);
  const kept = boxes?.flatMap((box): readonly Box[] => {
    const cut = Object.entries(box).map(([name, i]): [string, Interval] => {
      const { min, max } = symbols[name];
      return [name, { ...i, min: Math.max(i.min, min), max: Math.min(i.max, max) }];
    });
    return cut.some(([, i]) => i.min > i.max) ? [] : [Object.fromEntries(cut)];
  });
  const occurs = (name: string, part: Pick<Interval, "min" | "max">): boolean =>
    part.min <= part.max && ruledOut(relations, { ...symbols, [name]: { ...symbols[name], ...part } }) === undefined;
  const cuts = (name: string, end: number): boolean => {
    const { min, max } = symbols[name];
    return occurs(name, { min, max: end }) && occurs(name, { min: end + 1, max });
  };
  return {
    ends: Object.fromEntries(Object.entries(ends).map(([name, own]) => [name, own.filter((end) => cuts(name, end))])),
    ...(kept === undefined ? {} : { boxes: kept }),
    ...(exact === undefined ? {} : { exact: exact.filter(holds) }),
  };
}

function narrowComponent(spec: ComponentSpec, wanted: NonNullable<FreezeOptions["ranges"]>): ComponentSpec {
  const own = Object.keys(spec.symbols).filter((name) => Object.hasOwn(wanted, name));
  if (own.length === 0) return spec;
  const symbols = {
    ...spec.symbols,
    ...Object.fromEntries(own.map((name) => [name, narrowed(name, spec.symbols[name], wanted[name])])),
  };
  const given = Object.fromEntries(own.map((name) => [name, wanted[name].slice(0, -1).map(([, end]) => end)]));
  const rest = within(spec, symbols) as RangeList;
  // Boxes and ends exclude each other: who says how a symbol is cut says so for all.
  const ranges: RangeList = Object.values(given).some((ends) => ends.length > 0)
    ? { ends: { ...rest.ends, ...given }, ...(rest.exact === undefined ? {} : { exact: rest.exact }) }
    : rest;
  return { ...spec, symbols, ranges };
}

/** @throws FoveaError `invalid_range` */
export function narrowTowers(towers: readonly TowerSpec[], wanted: FreezeOptions["ranges"] = {}): readonly TowerSpec[] {
  const components = towers.flatMap((t) => t.components);
  const known = [...new Set(components.flatMap((c) => Object.keys(c.symbols)))];
  for (const name of Object.keys(wanted)) {
    if (known.includes(name)) continue;
    const all = components.map((c) => `${c.tag} has ${boxText(c.symbols) || "no symbols"}`);
    refuse(`no component has a symbol "${name}"; ${all.join("; ")}.`);
  }
  return towers.map((t) => ({ ...t, components: t.components.map((c) => narrowComponent(c, wanted)) }));
}
