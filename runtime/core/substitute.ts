/** Sizes put into sizes: how the dims of one graph read in the symbols of another. */
import { internal } from "./diagnostics.ts";
import { type Atom, add, type Dim, dimEquals, floorDiv, max, min, mod, mul, sub, symbolsOf } from "./dim.ts";

/** Dims by symbol name. */
export type Substitution = Readonly<Record<string, Dim>>;

function substituteAtom(atom: Atom, by: Substitution): Dim {
  if (atom.kind === "symbol") {
    return by[atom.name as string] ?? internal(`the symbol "${atom.name}" is not substituted`);
  }
  const [a, b] = [substitute(atom.a as Dim, by), substitute(atom.b as Dim, by)];
  return { floor_div: floorDiv, mod, max, min }[atom.kind](a, b);
}

/** The name of a size that is one symbol alone. */
export function soleSymbol(d: Dim): string | undefined {
  if (typeof d === "number" || d.terms.length !== 1) return undefined;
  const [{ coefficient, atoms }] = d.terms;
  return coefficient === 1 && atoms.length === 1 && atoms[0].kind === "symbol" ? atoms[0].name : undefined;
}

/** `d` with every symbol replaced. */
export function substitute(d: Dim, by: Substitution): Dim {
  if (typeof d === "number") return d;
  return add(...d.terms.map((t) => mul(t.coefficient, ...t.atoms.map((a) => substituteAtom(a, by)))));
}

/**
 * What the one unknown symbol of `d` must be so that `d` is `value`: for `d` = s + known. Nothing where `d` has no or
 * several unknown symbols, or another form.
 */
export function solve(
  d: Dim,
  value: Dim,
  known: Substitution,
): { readonly name: string; readonly is: Dim } | undefined {
  const open = [...symbolsOf(d)].filter((name) => !Object.hasOwn(known, name));
  if (typeof d === "number" || open.length !== 1) return undefined;
  const [name] = open;
  const own = d.terms.filter((t) => t.coefficient === 1 && t.atoms.length === 1 && t.atoms[0].name === name);
  if (own.length !== 1) return undefined;
  const rest = sub(d, { terms: own, key: name });
  if (symbolsOf(rest).has(name)) return undefined;
  const is = sub(value, substitute(rest, known));
  return dimEquals(substitute(d, { ...known, [name]: is }), value) ? { name, is } : undefined;
}
