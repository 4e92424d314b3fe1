/** How long an entry is with all that it calls written out, as compilers of shaders do: two calls each, twenty deep, are a million. */
import { callsOf } from "./barriers.ts";
import type { Declaration } from "./module.ts";
import { WgslProblem } from "./tokens.ts";

/** Most tokens of an entry with its calls written out. */
const MOST_TOKENS = 2 ** 15;
/** Most functions that wait for each other. */
const DEEPEST = 255;

/** @throws WgslProblem where calls multiply, or lead back to where they came from */
export function checkCalls(functions: readonly Declaration[], entry: string): void {
  const byName = new Map(functions.map((f) => [f.name, f]));
  const lengths = new Map<string, number>();
  const lengthOf = (declaration: Declaration, callers: readonly string[]): number => {
    const { name, tokens } = declaration;
    const known = lengths.get(name);
    if (known !== undefined) return known;
    if (callers.includes(name)) throw new WgslProblem(`line ${tokens[0].line} has "${name}", which calls itself`);
    if (callers.length > DEEPEST)
      throw new WgslProblem(
        `line ${tokens[0].line} has "${name}", which is called more than ${DEEPEST} functions deep`,
      );
    let length = tokens.length;
    for (const called of callsOf(tokens.slice(2))) {
      const own = byName.get(called);
      if (own !== undefined) length += lengthOf(own, [...callers, name]);
    }
    if (length > MOST_TOKENS)
      throw new WgslProblem(
        `line ${tokens[0].line} has "${name}", which with all that it calls written out is longer than ${MOST_TOKENS} words; call less, or in a loop`,
      );
    lengths.set(name, length);
    return length;
  };
  const first = byName.get(entry);
  if (first !== undefined) lengthOf(first, []);
}
