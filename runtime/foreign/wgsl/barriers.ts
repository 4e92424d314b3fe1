/** Which functions and loops of a module hold barriers: all invocations of a workgroup must reach them together. */
import type { Declaration } from "./module.ts";
import { closingOf, type Token } from "./tokens.ts";

const TOGETHER = /^(workgroupBarrier|storageBarrier|textureBarrier|workgroupUniformLoad|subgroup\w+|quad\w+)$/;

/** Names that tokens call, each as often as it is called. */
export function callsOf(tokens: readonly Token[]): readonly string[] {
  return tokens.filter((t, i) => t.kind === "name" && tokens[i + 1]?.text === "(").map((t) => t.text);
}

/** Where the loop that begins at `at` ends: behind its body. */
export function loopEnd(tokens: readonly Token[], at: number): number {
  return closingOf(tokens, bodyOf(tokens, at)) + 1;
}

/** The brace that opens the body of the loop at `at`. */
export function bodyOf(tokens: readonly Token[], at: number): number {
  for (let i = at + 1; i < tokens.length; i++) {
    if (tokens[i].text === "{") return i;
    if (tokens[i].text === "(") i = closingOf(tokens, i);
  }
  return tokens.length - 1;
}

export const isLoop = ({ kind, text }: Token): boolean => kind === "name" && /^(for|while|loop)$/.test(text);

export interface Barriers {
  /** Whether tokens hold a barrier, themselves or in what they call. */
  within(tokens: readonly Token[]): boolean;
  /** Functions with loops around barriers, themselves or in what they call. */
  readonly looping: ReadonlySet<string>;
}

export function barriersOf(functions: readonly Declaration[]): Barriers {
  const together = new Set<string>();
  const within = (tokens: readonly Token[]): boolean =>
    callsOf(tokens).some((name) => TOGETHER.test(name) || together.has(name));
  const looping = new Set<string>();
  // Calls cannot recur in WGSL, so that names are added at most as often as there are functions.
  for (let changed = true; changed; ) {
    changed = false;
    for (const { name, tokens } of functions) {
      const body = tokens.slice(1);
      const loops = tokens.some((t, i) => isLoop(t) && within(tokens.slice(i, loopEnd(tokens, i))));
      const reaches = loops || callsOf(body).some((called) => called !== name && looping.has(called));
      if ((!together.has(name) && within(body.slice(1))) || (!looping.has(name) && reaches)) changed = true;
      if (within(body.slice(1))) together.add(name);
      if (reaches) looping.add(name);
    }
  }
  return { within, looping };
}
