/** WGSL as tokens. Comments go; whatever is not of the language is refused. */
export interface Token {
  readonly text: string;
  readonly kind: "name" | "number" | "sign";
  readonly line: number;
}

/** Text that is no WGSL, and where. */
export class WgslProblem extends Error {}

const SIGNS =
  /(?:>>=|<<=|->|\+\+|--|&&|\|\||==|!=|<=|>=|\+=|-=|\*=|\/=|%=|&=|\|=|\^=|<<|>>|[-+*/%&|^~!<>=.,:;@(){}[\]_?])/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /(?:0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*(?:[pP][-+]?\d+)?|\d*\.?\d+(?:[eE][-+]?\d+)?|\d+\.)[fhiu]?/y;
const SPACE = /[ \t\n\v\f\r]+/y;

/** @throws WgslProblem */
export function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  const pass = (part: string): void => {
    at += part.length;
    line += part.split("\n").length - 1;
  };
  while (at < text.length) {
    const space = take(SPACE);
    if (space !== undefined) pass(space);
    else if (text.startsWith("//", at)) pass(/^[^\n]*/.exec(text.slice(at))?.[0] as string);
    else if (text.startsWith("/*", at)) pass(text.slice(at, endOfComment(text, at, line)));
    else {
      const name = take(NAME);
      const number = name === undefined ? take(NUMBER) : undefined;
      const found = name ?? number ?? take(SIGNS);
      if (found === undefined || found === "")
        throw new WgslProblem(`line ${line} has ${JSON.stringify(text[at])}, which is no part of WGSL`);
      const kind = name !== undefined && name !== "_" ? "name" : number !== undefined ? "number" : "sign";
      tokens.push({ text: found, kind, line });
      pass(found);
    }
  }
  return tokens;
}

/** Comments nest. */
function endOfComment(text: string, from: number, line: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text.startsWith("/*", at)) depth++;
    else if (text.startsWith("*/", at)) depth--;
    else continue;
    at++;
    if (depth === 0) return at + 1;
  }
  throw new WgslProblem(`the comment of line ${line} does not end`);
}

const CLOSING: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };

/** Position of the sign that closes the one at `at`. @throws WgslProblem */
export function closingOf(tokens: readonly Token[], at: number): number {
  const open: string[] = [];
  for (let i = at; i < tokens.length; i++) {
    const { text, kind, line } = tokens[i];
    if (kind !== "sign") continue;
    if (Object.hasOwn(CLOSING, text)) open.push(CLOSING[text]);
    else if (text === ")" || text === "]" || text === "}") {
      if (open.pop() !== text) throw new WgslProblem(`line ${line} has a "${text}" that closes nothing`);
      if (open.length === 0) return i;
    }
  }
  throw new WgslProblem(`the "${tokens[at].text}" of line ${tokens[at].line} is not closed`);
}

/** Source text of tokens: a space between them, a line for each statement. */
export function textOf(tokens: readonly (Token | string)[]): string {
  return tokens
    .map((token) => (typeof token === "string" ? token : token.text))
    .map((text) => (/^[;{}]$/.test(text) ? `${text}\n` : `${text} `))
    .join("");
}
