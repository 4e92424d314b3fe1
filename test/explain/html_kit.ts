/** A small reader of HTML: whether elements nest, and what they are. */

const VOID = new Set(["meta", "link", "br", "img", "input", "hr"]);

/** The first element that does not nest, as a sentence; nothing when all do. */
export function badNesting(html: string): string | undefined {
  const text = html.replace(/<(script|style)>.*?<\/\1>/gs, "");
  const open: string[] = [];
  for (const match of text.matchAll(/<(\/?)([a-z][a-z0-9]*)\b((?:[^>"']|"[^"]*"|'[^']*')*?)(\/?)>/gi)) {
    const [, end, name, , alone] = match;
    if (end === "/") {
      const last = open.pop();
      if (last !== name) return `</${name}> at ${match.index} ends <${last}>`;
    } else if (alone === "" && !VOID.has(name)) open.push(name);
  }
  return open.length === 0 ? undefined : `<${open.join("> <")}> are not ended`;
}

/** Places outside of the page that it would load or link to. */
export function outsideLinks(html: string): readonly string[] {
  return [
    ...html.matchAll(
      /(?:\b(?:src|href|action|data|poster)\s*=\s*"(?!#)([^"]*)"|url\((?!#)([^)]*)\)|@import\s+(\S+)|https?:\/\/[^\s"<]+)/g,
    ),
  ].map((m) => m[0]);
}
