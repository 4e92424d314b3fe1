/** What a module in JavaScript imports, found in its text: nothing of it runs. */

export interface ModuleImport {
  /** What is imported; nothing where it is computed. */
  readonly specifier: string | undefined;
  /** Place of the specifier's text, without its quotes. */
  readonly begin: number;
  readonly end: number;
}

/** A slash behind these begins a regular expression. */
const OPERAND_FOLLOWS =
  /(?:^|[=(,:;!&|?{}[+\-*%<>~^]|\b(?:return|typeof|case|in|of|delete|void|throw|await|yield|else|do))\s*$/;
const LOOK_BACK = 40;

/** Position behind a literal that begins at `at`, quotes and escapes included. */
function literalEnd(text: string, at: number): number {
  const close = text[at];
  let inClass = false;
  let i = at + 1;
  for (; i < text.length && text[i] !== "\n"; i++) {
    if (text[i] === "\\") i++;
    else if (close === "/" && text[i] === "[") inClass = true;
    else if (close === "/" && text[i] === "]") inClass = false;
    else if (text[i] === close && !inClass) return i + 1;
  }
  return i;
}

/** The text with comments and the insides of literals as blanks of the same length; code inside of templates stays. */
export function blankLiterals(text: string): string {
  const out: string[] = [];
  /** For every template around `i`, the braces that are open in its code. */
  const braces: number[] = [];
  let i = 0;
  const keep = (count: number): void => {
    out.push(text.slice(i, i + count));
    i += count;
  };
  const blankTo = (end: number): void => {
    out.push(" ".repeat(Math.max(0, end - i)));
    i = Math.max(i, end);
  };
  const template = (): void => {
    let end = i;
    while (end < text.length && text[end] !== "`" && !text.startsWith("${", end)) end += text[end] === "\\" ? 2 : 1;
    blankTo(Math.min(end, text.length));
    if (text[i] !== "`") braces.push(0);
    keep(text[i] === "`" ? 1 : 2);
  };
  while (i < text.length) {
    const char = text[i];
    if (text.startsWith("//", i) || (i === 0 && text.startsWith("#!"))) {
      const end = text.indexOf("\n", i);
      blankTo(end < 0 ? text.length : end);
    } else if (text.startsWith("/*", i)) {
      const end = text.indexOf("*/", i + 2);
      blankTo(end < 0 ? text.length : end + 2);
    } else if (char === '"' || char === "'") {
      const end = literalEnd(text, i);
      keep(1);
      blankTo(end - 1);
      keep(1);
    } else if (char === "`") {
      keep(1);
      template();
    } else if (char === "/" && OPERAND_FOLLOWS.test(out.slice(-LOOK_BACK).join("").slice(-LOOK_BACK))) {
      blankTo(literalEnd(text, i));
    } else if (char === "}" && braces.at(-1) === 0) {
      braces.pop();
      keep(1);
      template();
    } else {
      const open = braces.length - 1;
      if (open >= 0 && char === "{") braces[open]++;
      if (open >= 0 && char === "}") braces[open]--;
      keep(1);
    }
  }
  return out.join("");
}

/** Behind names, which may be texts as well; literals are blank by then. */
const FROM = /(?<![.\w$])(?:import|export)\s*(?:[\w$*,\s{}]|(["'])\s*\1)*?\bfrom\s*(["'])/g;
const ALONE = /(?<![.\w$])import\s*(["'])/g;
const CALL = /(?<![.\w$])import\s*\(\s*(["']?)/g;

/** All imports and re-exports of a module, calls of `import()` included, in no order. */
export function moduleImports(text: string): readonly ModuleImport[] {
  const code = blankLiterals(text);
  const imports = (pattern: RegExp): ModuleImport[] =>
    [...code.matchAll(pattern)].map((match) => {
      const begin = match.index + match[0].length;
      const quote = match.at(-1) ?? "";
      if (quote === "") return { specifier: undefined, begin, end: begin };
      const end = code.indexOf(quote, begin);
      return { specifier: text.slice(begin, end), begin, end };
    });
  return [...imports(FROM), ...imports(ALONE), ...imports(CALL)];
}
