/** Text inside of HTML and SVG. */

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as it may stand in an element or an attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => ENTITIES[c]);
}

/** An element with escaped text. */
export function element(name: string, text: string, className = ""): string {
  return `<${name}${className === "" ? "" : ` class="${className}"`}>${escapeHtml(text)}</${name}>`;
}

/** Names and values in two columns. */
export function definitions(rows: readonly (readonly [name: string, value: string])[]): string {
  return `<dl>${rows.map(([name, value]) => `${element("dt", name)}${element("dd", value)}`).join("")}</dl>`;
}
