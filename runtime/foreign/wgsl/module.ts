/** What a WGSL module declares at module scope: reflection without a compiler. */
import { closingOf, type Token, textOf, tokensOf, WgslProblem } from "./tokens.ts";

export interface Attribute {
  readonly name: string;
  readonly values: readonly Token[];
}

export interface Declaration {
  readonly kind: "struct" | "alias" | "const" | "override" | "const_assert" | "var" | "fn";
  readonly name: string;
  readonly attributes: readonly Attribute[];
  /** All tokens behind the attributes. */
  readonly tokens: readonly Token[];
}

/** A resource: memory from outside. */
export interface Binding {
  readonly name: string;
  readonly group: number;
  readonly binding: number;
  /** Address space and access as written, such as `storage, read_write`. */
  readonly space: string;
  readonly type: string;
  readonly line: number;
}

export interface Parameter {
  readonly name: string;
  readonly builtin: string | undefined;
  readonly type: string;
}

export interface WgslModule {
  /** Extensions that it enables, and features of the language that it requires. */
  readonly dialect: readonly string[];
  readonly declarations: readonly Declaration[];
  readonly bindings: readonly Binding[];
}

/** Text of a type without spaces, with the long form of vectors: `vec4f` is `vec4<f32>`. */
export function typeText(tokens: readonly Token[]): string {
  const long: Readonly<Record<string, string>> = { f: "f32", u: "u32", i: "i32" };
  return tokens
    .map(({ text }) => text.replace(/^vec([234])([fui])$/, (_, size: string, of: string) => `vec${size}<${long[of]}>`))
    .join("");
}

const KINDS = new Set(["struct", "alias", "const", "override", "const_assert", "var", "fn"]);

/** Position behind the declaration that begins at `at`. */
function endOf(tokens: readonly Token[], at: number): number {
  for (let i = at; i < tokens.length; i++) {
    const { text } = tokens[i];
    if (text === ";") return i + 1;
    if (text === "{") {
      const end = closingOf(tokens, i) + 1;
      // A function or struct ends with its braces.
      return tokens[end]?.text === ";" ? end + 1 : end;
    }
    if (text === "(" || text === "[") i = closingOf(tokens, i);
  }
  throw new WgslProblem(`the declaration of line ${tokens[at].line} does not end`);
}

function attributesAt(tokens: readonly Token[], from: number): readonly [readonly Attribute[], number] {
  const attributes: Attribute[] = [];
  let at = from;
  while (tokens[at]?.text === "@") {
    const name = tokens[at + 1];
    if (name?.kind !== "name") throw new WgslProblem(`line ${tokens[at].line} has an "@" without a name`);
    at += 2;
    let values: readonly Token[] = [];
    if (tokens[at]?.text === "(") {
      const end = closingOf(tokens, at);
      values = tokens.slice(at + 1, end);
      at = end + 1;
    }
    attributes.push({ name: name.text, values });
  }
  return [attributes, at];
}

/** Position behind `<…>` at `at`, or `at`. */
function behindTemplate(tokens: readonly Token[], at: number): number {
  if (tokens[at]?.text !== "<") return at;
  const end = tokens.findIndex(({ text }, i) => i > at && text === ">");
  if (end < 0) throw new WgslProblem(`the "<" of line ${tokens[at].line} is not closed`);
  return end + 1;
}

const numberOf = (attributes: readonly Attribute[], name: string): number | undefined => {
  const [value] = attributes.find((a) => a.name === name)?.values ?? [];
  return value === undefined ? undefined : Number(value.text.replace(/[iu]$/, ""));
};

function bindingOf({ name, attributes, tokens }: Declaration): Binding | undefined {
  const [group, binding] = [numberOf(attributes, "group"), numberOf(attributes, "binding")];
  const type = behindTemplate(tokens, 1);
  const space = textOf(tokens.slice(2, type - 1))
    .trim()
    .replaceAll(" ,", ",");
  if (group === undefined && binding === undefined && !/^(storage|uniform|handle)/.test(space)) return undefined;
  const end = tokens.findIndex(({ text }) => text === ";" || text === "=");
  const { line } = tokens[0];
  if (group === undefined || binding === undefined || !Number.isInteger(group) || !Number.isInteger(binding))
    throw new WgslProblem(`"${name}" of line ${line} is memory from outside without a number as its group and binding`);
  return { name, group, binding, space, type: typeText(tokens.slice(type + 2, end)), line };
}

/** @throws WgslProblem */
export function moduleOf(text: string): WgslModule {
  const tokens = tokensOf(text);
  const dialect: string[] = [];
  const declarations: Declaration[] = [];
  let at = 0;
  while (at < tokens.length) {
    if (tokens[at].text === ";") {
      at++;
      continue;
    }
    const [attributes, from] = attributesAt(tokens, at);
    const first = tokens[from];
    if (first === undefined) throw new WgslProblem("its last attribute belongs to nothing");
    const end = endOf(tokens, from);
    const own = tokens.slice(from, end);
    if (first.text === "enable" || first.text === "requires" || first.text === "diagnostic") {
      if (first.text !== "diagnostic")
        dialect.push(...own.filter((t, i) => i > 0 && t.kind === "name").map((t) => t.text));
    } else if (!KINDS.has(first.text)) {
      throw new WgslProblem(`line ${first.line} begins with "${first.text}", which declares nothing`);
    } else {
      const name = own[first.text === "var" ? behindTemplate(own, 1) : 1];
      declarations.push({ kind: first.text as Declaration["kind"], name: name?.text ?? "", attributes, tokens: own });
    }
    at = end;
  }
  const bindings = declarations.flatMap((d) => (d.kind === "var" ? (bindingOf(d) ?? []) : []));
  return { dialect, declarations, bindings };
}

/** Members of a struct, in order. */
export function membersOf({ tokens }: Declaration): readonly { readonly name: string; readonly type: string }[] {
  const open = tokens.findIndex(({ text }) => text === "{");
  return listOf(tokens.slice(open + 1, closingOf(tokens, open)));
}

/** Parameters of a function. */
export function parametersOf({ tokens }: Declaration): readonly Parameter[] {
  return listOf(tokens.slice(3, closingOf(tokens, 2)));
}

/** `@a name: type` between commas. */
function listOf(tokens: readonly Token[]): readonly Parameter[] {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if ("(<[".includes(token.text)) depth++;
    if (")>]".includes(token.text)) depth--;
    if (token.text === "," && depth === 0) parts.push([]);
    else (parts.at(-1) as Token[]).push(token);
  }
  return parts
    .filter((part) => part.length > 0)
    .map((part) => {
      const [attributes, at] = attributesAt(part, 0);
      const builtin = attributes.find((a) => a.name === "builtin")?.values[0]?.text;
      return { name: part[at]?.text ?? "", builtin, type: typeText(part.slice(at + 2)) };
    });
}
