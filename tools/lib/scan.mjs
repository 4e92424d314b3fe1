// A small scanner for TypeScript sources: it lists the imports and blanks comments and literals, so that rules about
// names see code only. `runtime/freeze/module_imports.ts` finds imports likewise, in JavaScript while the package runs: neither
// can use the other, since tools run on Node 20 before anything is built, which takes no TypeScript, and are not packed.

const REGEX_MAY_FOLLOW =
  /(?:^|[=(,:;!&|?{}[+\-*%<>~^]|\b(?:return|typeof|case|in|of|delete|void|throw|await|yield|else|do))\s*$/;

/**
 * The source with comments, regular expressions and text of strings and templates replaced by blanks of the same length.
 * Quotes stay, lines stay, code inside `${}` stays.
 */
export function blankLiterals(source) {
  const out = source.split("");
  const blank = (from, to) => {
    for (let i = from; i < to; i++) if (out[i] !== "\n") out[i] = " ";
  };
  const templates = [];
  let depth = 0;
  let i = 0;

  const templateText = () => {
    const from = i;
    while (i < source.length && source[i] !== "`" && !source.startsWith("${", i)) i += source[i] === "\\" ? 2 : 1;
    blank(from, Math.min(i, source.length));
    if (source.startsWith("${", i)) {
      templates.push(depth);
      depth = 0;
      i += 2;
    } else i++;
  };

  while (i < source.length) {
    const char = source[i];
    if (source.startsWith("//", i) || (i === 0 && source.startsWith("#!"))) {
      const end = source.indexOf("\n", i);
      const stop = end < 0 ? source.length : end;
      blank(i, stop);
      i = stop;
    } else if (source.startsWith("/*", i)) {
      const end = source.indexOf("*/", i + 2);
      const stop = end < 0 ? source.length : end + 2;
      blank(i, stop);
      i = stop;
    } else if (char === '"' || char === "'") {
      const from = ++i;
      while (i < source.length && source[i] !== char && source[i] !== "\n") i += source[i] === "\\" ? 2 : 1;
      blank(from, i);
      i++;
    } else if (char === "`") {
      i++;
      templateText();
    } else if (char === "/" && REGEX_MAY_FOLLOW.test(out.slice(Math.max(0, i - 40), i).join(""))) {
      const from = i++;
      let inClass = false;
      while (i < source.length && source[i] !== "\n" && (inClass || source[i] !== "/")) {
        if (source[i] === "[") inClass = true;
        if (source[i] === "]") inClass = false;
        i += source[i] === "\\" ? 2 : 1;
      }
      blank(from, ++i);
    } else {
      if (char === "{") depth++;
      if (char === "}") {
        if (depth === 0 && templates.length > 0) {
          depth = templates.pop();
          i++;
          templateText();
          continue;
        }
        depth--;
      }
      i++;
    }
  }
  return out.join("");
}

const STATEMENT =
  /(?<![.\w$])(import|export)\s*(type\b(?!\s*(?:from\b|,|=)))?((?:[\w$*,\s{}]|"[^"]*"(?=\s*as))*?)(\bfrom\s*)?(["'])/g;
const DYNAMIC = /(?<![.\w$])import\s*\(\s*(["'`])?/g;

/**
 * All imports and re-exports: `{ specifier, kind, line }`, where kind is `type` (nothing is loaded), `value`, or `dynamic`
 * (an `import()` expression, whose specifier is undefined when it is computed). `import { type A }` counts as a value import:
 * under verbatimModuleSyntax the module is still loaded. `import("./x.ts").Type` in a type position counts as dynamic.
 */
export function listImports(source, code = blankLiterals(source)) {
  const found = [];
  for (const match of code.matchAll(STATEMENT)) {
    const [text, keyword, type, names, from, quote] = match;
    if (from === undefined && (keyword === "export" || names.trim() !== "")) continue;
    if (keyword === "export" && !/[{*]/.test(names)) continue;
    const kind = type === undefined ? "value" : "type";
    found.push({
      specifier: literalAt(source, match.index + text.length, quote),
      kind,
      line: lineOf(source, match.index),
    });
  }
  for (const match of code.matchAll(DYNAMIC)) {
    const [text, quote] = match;
    const specifier = quote === undefined ? undefined : literalAt(source, match.index + text.length, quote);
    found.push({
      specifier: specifier?.includes("${") ? undefined : specifier,
      kind: "dynamic",
      line: lineOf(source, match.index),
    });
  }
  return found;
}

function literalAt(source, start, quote) {
  return source.slice(start, source.indexOf(quote, start));
}

/** Line number (from 1) of a position. */
export function lineOf(source, index) {
  let line = 1;
  for (let i = source.indexOf("\n"); i >= 0 && i < index; i = source.indexOf("\n", i + 1)) line++;
  return line;
}
