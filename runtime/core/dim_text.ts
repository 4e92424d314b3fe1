/** Sizes written as text: `4 * rows * (width + 1)`. What descriptions of kernels say about scratch and work. */
import { FoveaError } from "./diagnostics.ts";
import { add, type Dim, floorDiv, max, min, mod, mul, sub, symbol } from "./dim.ts";

/** Longest text, in characters. */
const LONGEST = 400;
/** Deepest nesting of parentheses. */
const DEEPEST = 20;

const TOKEN = /\s*(?:(\d+)|([A-Za-z_]\w*)|([-+*/%(),]))/y;

function tokensOf(text: string): readonly string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const at = TOKEN.lastIndex;
    const found = TOKEN.exec(text);
    if (found === null) throw problem(text, `character ${at + 1} is no number, name or operator`);
    tokens.push(found[1] ?? found[2] ?? found[3]);
  }
  return tokens;
}

function problem(text: string, found: string): FoveaError {
  return new FoveaError(
    "invalid_size",
    `The size "${text.slice(0, LONGEST)}" cannot be read: ${found}. It takes whole numbers, names, + - * / %, parentheses, min(a, b) and max(a, b).`,
  );
}

const isName = (token: string | undefined): token is string => token !== undefined && /^[A-Za-z_]/.test(token);

/**
 * Reads a size. Grammar: `sum = term {(+|-) term}`, `term = factor {(*|/|%) factor}`, `factor = number | name | (sum) |
 * min(sum, sum) | max(sum, sum)`. `/` rounds down, as {@link floorDiv} does; divisors are whole numbers from 1 on.
 * @param names symbols that it may use
 * @throws FoveaError `invalid_size`
 */
export function parseDim(text: string, names: ReadonlySet<string>): Dim {
  if (text.length > LONGEST) throw problem(text, `it has ${text.length} characters, more than ${LONGEST}`);
  const tokens = tokensOf(text);
  let at = 0;
  let depth = 0;
  const expect = (token: string): void => {
    if (tokens[at] !== token) {
      throw problem(text, `expected "${token}", found ${tokens[at] === undefined ? "its end" : `"${tokens[at]}"`}`);
    }
    at++;
  };
  const factor = (): Dim => {
    const token = tokens[at++];
    if (token === undefined) throw problem(text, "it ends where a number or a name is expected");
    if (/^\d/.test(token)) {
      const value = Number(token);
      if (value > 2 ** 40) throw problem(text, `${token} is too large`);
      return value;
    }
    if (token === "(") return nested(() => sum());
    if (!isName(token)) throw problem(text, `"${token}" stands where a number or a name is expected`);
    if ((token === "min" || token === "max") && tokens[at] === "(") {
      at++;
      return nested(() => {
        const a = sum();
        expect(",");
        return (token === "min" ? min : max)(a, sum());
      });
    }
    if (!names.has(token)) throw problem(text, `there is no size "${token}"; there are ${[...names].join(", ")}`);
    return symbol(token);
  };
  const nested = (read: () => Dim): Dim => {
    if (++depth > DEEPEST) throw problem(text, `it is nested more than ${DEEPEST} deep`);
    const value = read();
    expect(")");
    depth--;
    return value;
  };
  const term = (): Dim => {
    let value = factor();
    for (;;) {
      const operator = tokens[at];
      if (operator !== "*" && operator !== "/" && operator !== "%") return value;
      at++;
      const right = factor();
      if (operator === "*") value = mul(value, right);
      else {
        if (typeof right !== "number" || right < 1)
          throw problem(text, "it divides by what is no whole number from 1 on");
        value = operator === "/" ? floorDiv(value, right) : mod(value, right);
      }
    }
  };
  const sum = (): Dim => {
    let value = term();
    for (;;) {
      const operator = tokens[at];
      if (operator !== "+" && operator !== "-") return value;
      at++;
      value = operator === "+" ? add(value, term()) : sub(value, term());
    }
  };
  const value = sum();
  if (at < tokens.length) throw problem(text, `"${tokens[at]}" stands where its end is expected`);
  return value;
}
