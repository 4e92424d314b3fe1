/** JSON that people wrote: where it stops being some, in the same words on every engine. Theirs differ, and some name no place. */
import { FoveaError } from "./diagnostics.ts";

/** A string, a number, a word or a sign, with the white space before it. */
const TOKEN =
  /[ \t\n\r]*("(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}[\],:])/y;

const EXPECTED = {
  value: "a value",
  firstValue: 'a value or "]"',
  name: "a name in double quotes",
  firstName: 'a name in double quotes or "}"',
  colon: '":"',
} as const;

type State = keyof typeof EXPECTED | "next";

/** Characters that are shown of what was found. */
const SHOWN = 12;

/** `line 3, column 21: found ",", expected a name in double quotes`; nothing for JSON. */
export function jsonProblem(text: string): string | undefined {
  const open: string[] = [];
  let state: State = "value";
  let at = 0;
  const problem = (): string => {
    const begin = at + (/^[ \t\n\r]*/.exec(text.slice(at))?.[0].length ?? 0);
    const before = text.slice(0, begin).split("\n");
    const rest = /^(?:[{}[\],:]|[^\s{}[\],:]+)/.exec(text.slice(begin))?.[0] ?? "";
    const found = rest === "" ? "the end" : JSON.stringify(rest.slice(0, SHOWN));
    const after = open.length === 0 ? "the end" : open[open.length - 1] === "{" ? '"," or "}"' : '"," or "]"';
    const expected = state === "next" ? after : EXPECTED[state];
    return `line ${before.length}, column ${before[before.length - 1].length + 1}: found ${found}, expected ${expected}`;
  };
  while (state !== "next" || open.length > 0 || /[^ \t\n\r]/.test(text.slice(at))) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text)?.[1];
    if (token === undefined) return problem();
    const inside: string | undefined = open[open.length - 1];
    if (state === "value" || state === "firstValue") {
      if (token === "{" || token === "[") {
        open.push(token);
        state = token === "{" ? "firstName" : "firstValue";
      } else if (token === "]" && state === "firstValue") {
        open.pop();
        state = "next";
      } else if (/^[}\],:]/.test(token)) return problem();
      else state = "next";
    } else if (state === "name" || state === "firstName") {
      if (token === "}" && state === "firstName") {
        open.pop();
        state = "next";
      } else if (!token.startsWith('"')) return problem();
      else state = "colon";
    } else if (state === "colon") {
      if (token !== ":") return problem();
      state = "value";
    } else if (token === "," && inside !== undefined) state = inside === "{" ? "name" : "value";
    else if ((token === "}" && inside === "{") || (token === "]" && inside === "[")) open.pop();
    else return problem();
    at = TOKEN.lastIndex;
  }
  return undefined;
}

/** @param what it is, such as the file's name. @throws FoveaError `code` with line and column */
export function parseJson(text: string, what: string, code: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FoveaError(code, `${what} is not valid JSON: ${jsonProblem(text) ?? String(cause)}.`, { cause });
  }
}
