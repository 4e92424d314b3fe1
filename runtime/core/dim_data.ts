/** Dims as plain data, which artifacts and graphs are stored with. */
import { internal } from "./diagnostics.ts";
import { add, applyAtom, type Bindings, type Dim, floorDiv, max, min, mod, mul, symbol, symbolValue } from "./dim.ts";

/** Plain data form: a number, or terms of `[coefficient, ...atoms]`; an atom is a name or `[kind, a, b]`. */
export type DimData = number | readonly (readonly (number | string | readonly [string, DimData, DimData])[])[];

/** A dim as plain data, for artifacts; {@link dimFromData} is the inverse. */
export function dimToData(d: Dim): DimData {
  if (typeof d === "number") return d;
  return d.terms.map((t) => [
    t.coefficient,
    ...t.atoms.map((a): string | readonly [string, DimData, DimData] =>
      a.kind === "symbol" ? (a.name as string) : [a.kind, dimToData(a.a as Dim), dimToData(a.b as Dim)],
    ),
  ]);
}

/** The value of a dim in its data form; no dim is built on the way. */
export function evaluateData(data: DimData, bindings: Bindings): number {
  if (typeof data === "number") return data;
  let sum = 0;
  for (const [coefficient, ...atoms] of data) {
    let p = coefficient as number;
    for (const a of atoms) {
      if (typeof a === "string") p *= symbolValue(a, bindings);
      else if (typeof a === "number") internal(`dim data ${JSON.stringify(data)} is malformed`);
      else
        p *= applyAtom(
          a[0] as string,
          evaluateData(a[1] as DimData, bindings),
          evaluateData(a[2] as DimData, bindings),
        );
    }
    sum += p;
  }
  return sum;
}

/** The inverse of {@link dimToData}. */
export function dimFromData(data: DimData): Dim {
  if (typeof data === "number") return data;
  const terms = data.map((row) => {
    const [coefficient, ...atoms] = row;
    return mul(
      coefficient as number,
      ...atoms.map((a): Dim => {
        if (typeof a === "string") return symbol(a);
        if (typeof a === "number") return internal(`dim data ${JSON.stringify(data)} is malformed`);
        const [kind, x, y] = a as readonly [string, DimData, DimData];
        const p = dimFromData(x);
        const q = dimFromData(y);
        switch (kind) {
          case "floor_div":
            return floorDiv(p, q);
          case "mod":
            return mod(p, q);
          case "max":
            return max(p, q);
          case "min":
            return min(p, q);
          default:
            return internal(`dim data has unknown atom "${kind}"`);
        }
      }),
    );
  });
  return add(...terms);
}
