/** Finds the sentences with which the compiler and its neighbours refuse, and whether a test has words of each. */

/** A literal of a source file; text that is filled in at run time is left out between the parts. */
export interface Literal {
  readonly parts: readonly string[];
  readonly line: number;
  /** Position of its first and behind its last character. */
  readonly from: number;
  readonly to: number;
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };
const BEFORE_REGEX = /(?:^|[=(,:[!&|?{};+]|=>|\breturn)\s*$/;

/** String and template literals of TypeScript, and the source with its comments blanked. */
export function scanSource(source: string): { readonly literals: readonly Literal[]; readonly code: string } {
  const literals: Literal[] = [];
  const code = [...source];
  const lineAt = (at: number): number => source.slice(0, at).split("\n").length;
  const blank = (from: number, to: number): void => {
    for (let i = from; i < to; i++) if (code[i] !== "\n") code[i] = " ";
  };
  /** Scans code from `at` to the brace that closes it, or to the end; returns the position behind. */
  const scanCode = (start: number, nested: boolean): number => {
    let at = start;
    let depth = 0;
    while (at < source.length) {
      const c = source[at];
      const two = source.slice(at, at + 2);
      if (two === "//" || two === "/*") {
        const end = two === "//" ? source.indexOf("\n", at) : source.indexOf("*/", at) + 2;
        const to = end < at ? source.length : end;
        blank(at, to);
        at = to;
      } else if (c === '"' || c === "'" || c === "`") at = scanLiteral(at);
      else if (c === "/" && BEFORE_REGEX.test(source.slice(Math.max(0, at - 20), at))) at = skipRegex(at);
      else {
        if (c === "{") depth++;
        if (c === "}" && depth-- === 0 && nested) return at + 1;
        at++;
      }
    }
    return at;
  };
  const skipRegex = (start: number): number => {
    let inClass = false;
    for (let at = start + 1; at < source.length && source[at] !== "\n"; at++) {
      if (source[at] === "\\") at++;
      else if (source[at] === "[") inClass = true;
      else if (source[at] === "]") inClass = false;
      else if (source[at] === "/" && !inClass) return at + 1;
    }
    return start + 1;
  };
  const scanLiteral = (start: number): number => {
    const quote = source[start];
    const parts = [""];
    let at = start + 1;
    while (at < source.length && source[at] !== quote) {
      if (source[at] === "\\") {
        parts[parts.length - 1] += ESCAPES[source[at + 1]] ?? source[at + 1];
        at += 2;
      } else if (quote === "`" && source.startsWith("${", at)) {
        at = scanCode(at + 2, true);
        parts.push("");
      } else parts[parts.length - 1] += source[at++];
    }
    literals.push({ parts, line: lineAt(start), from: start, to: at + 1 });
    return at + 1;
  };
  scanCode(0, false);
  return { literals: literals.sort((a, b) => a.from - b.from), code: code.join("") };
}

export interface Sentence {
  readonly file: string;
  readonly line: number;
  readonly parts: readonly string[];
}

/** Calls whose arguments are words of an error or a refusal. */
const REFUSING = /(?:\brefuse\w*|\bnew \w*Error|\bsuper)\(/g;

/** The region of each refusing call, to its closing parenthesis. */
function refusingRegions(code: string, literals: readonly Literal[]): readonly (readonly [number, number])[] {
  const inside = (at: number): Literal | undefined => literals.find((l) => at >= l.from && at < l.to);
  return [...code.matchAll(REFUSING)].map((m): readonly [number, number] => {
    let depth = 0;
    for (let at = m.index + m[0].length - 1; at < code.length; at++) {
      const literal = inside(at);
      if (literal !== undefined) at = literal.to - 1;
      else if (code[at] === "(") depth++;
      else if (code[at] === ")" && --depth === 0) return [m.index, at];
    }
    return [m.index, code.length];
  });
}

const words = (parts: readonly string[]): number =>
  parts
    .join(" x ")
    .split(/\s+/)
    .filter((w) => w !== "").length;

/** Sentences of one file: what refusing calls say, and literals that end as sentences do. */
export function sentencesOf(file: string, source: string): readonly Sentence[] {
  const { literals, code } = scanSource(source);
  const regions = refusingRegions(code, literals);
  return literals
    .filter(({ parts, from }) => {
      if (words(parts) < 3 || parts.join("").startsWith("internal: ")) return false;
      // Broken invariants are not for people, and what a command is for refuses nothing.
      if (/(?:\binternal|\.description)\(\s*$/.test(code.slice(Math.max(0, from - 40), from))) return false;
      const refused = regions.some(([start, end]) => from > start && from < end);
      return refused || (words(parts) >= 5 && /[.?]$/.test(parts[parts.length - 1]));
    })
    .map(({ parts, line }) => ({ file, line, parts }));
}

/** Codes of `new FoveaError(code, …)`. */
export function codesOf(source: string): readonly string[] {
  return [...source.matchAll(/new FoveaError\(\s*"([a-z_.0-9]+)"/g)].map((m) => m[1]);
}

/** Characters in a row that identify a sentence. */
const RUN = 9;

function runsOf({ parts }: Pick<Sentence, "parts">): readonly string[] {
  const long = parts.filter((p) => p.length >= RUN);
  // Of a sentence of small pieces the longest piece has to do.
  const pieces = long.length > 0 ? long : [...parts].sort((a, b) => b.length - a.length).slice(0, 1);
  return pieces.flatMap((p) => Array.from({ length: Math.max(1, p.length - RUN + 1) }, (_, i) => p.slice(i, i + RUN)));
}

/** What tests say of errors: their code without comments and titles, with the escapes of patterns undone. */
export function testText(sources: readonly string[]): string {
  return sources
    .map((source) => {
      const { code } = scanSource(source);
      return code
        .replace(/\btest(?:\.\w+)?\(\s*(["'`])(?:\\.|(?!\1)[\s\S])*\1/g, "test(")
        .replace(/\\([^nrtdsw\n])/g, "$1");
    })
    .join("\n");
}

/** Sentences of which no test has a run of characters that no other sentence has. */
export function untested(sentences: readonly Sentence[], text: string): readonly Sentence[] {
  const owners = new Map<string, Set<string>>();
  const keyOf = (s: Sentence): string => s.parts.join("\u0000");
  for (const s of sentences) {
    for (const run of runsOf(s)) owners.set(run, (owners.get(run) ?? new Set()).add(keyOf(s)));
  }
  return sentences.filter((s) => {
    const runs = runsOf(s);
    const own = runs.filter((run) => owners.get(run)?.size === 1);
    return !(own.length > 0 ? own : runs).some((run) => text.includes(run));
  });
}
