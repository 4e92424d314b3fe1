/**
 * WGSL from anyone, rewritten: memory is reached through functions that stay inside of the operands, loops are counted, and
 * the entry becomes a function of a workgroup's number.
 */
import { type Barriers, barriersOf, bodyOf, isLoop, loopEnd } from "./barriers.ts";
import { checkCalls } from "./calls.ts";
import { type Declaration, type Parameter, parametersOf } from "./module.ts";
import { closingOf, type Token, textOf, WgslProblem } from "./tokens.ts";

/** Memory by its name in the source. */
export interface Memory {
  readonly index: number;
  readonly mode: "read" | "write";
}

export interface RewriteOptions {
  readonly entry: string;
  readonly memory: ReadonlyMap<string, Memory>;
  /** Members of uniform structs, as `name.member`, and what stands for them. */
  readonly words: ReadonlyMap<string, string>;
  /** Values of overrides as WGSL. */
  readonly overrides: ReadonlyMap<string, string>;
}

const COMPOUND = new Set("+= -= *= /= %= &= |= ^= <<= >>= ++ --".split(" "));

/** What code from anyone may not declare: names of the host's own functions and of those that they use. */
const RESERVED = /^(fovea_\w*|run|main|W|m\d+|u32|i32|f32|vec[234]|array|atomic|bitcast|min|max|atomicMax)$/;

const BUILTINS: Readonly<Record<string, (size: readonly [number, number, number]) => string>> = {
  workgroup_id: () => "group",
  num_workgroups: () => "fovea_groups()",
  local_invocation_index: () => "lane",
  local_invocation_id: ([x, y]) => `vec3<u32>(lane % ${x}u, (lane / ${x}u) % ${y}u, lane / ${x * y}u)`,
  global_invocation_id: ([x, y, z]) =>
    `(group * vec3<u32>(${x}u, ${y}u, ${z}u) + vec3<u32>(lane % ${x}u, (lane / ${x}u) % ${y}u, lane / ${x * y}u))`,
};

class Rewriter {
  readonly #options: RewriteOptions;
  readonly #barriers: Barriers;
  /** Counters of the function that is written. */
  #counters = 0;

  constructor(options: RewriteOptions, barriers: Barriers) {
    this.#options = options;
    this.#barriers = barriers;
  }

  /** Tokens with memory and loops replaced. */
  part(tokens: readonly Token[]): string {
    const out: (Token | string)[] = [];
    for (let at = 0; at < tokens.length; ) {
      const token = tokens[at];
      const isMember = tokens[at - 1]?.text === ".";
      if (token.kind !== "name" || isMember) {
        out.push(token);
        at++;
      } else if (this.#options.memory.has(token.text)) at = this.#access(tokens, at, out);
      else if (isLoop(token)) at = this.#loop(tokens, at, out);
      else if (token.text === "arrayLength") at = this.#length(tokens, at, out);
      else at = this.#word(tokens, at, out);
    }
    return textOf(out);
  }

  #word(tokens: readonly Token[], at: number, out: (Token | string)[]): number {
    const { text, line } = tokens[at];
    const members = [...this.#options.words.keys()].filter((key) => key.startsWith(`${text}.`));
    if (members.length === 0) {
      out.push(tokens[at]);
      return at + 1;
    }
    const found = this.#options.words.get(`${text}.${tokens[at + 2]?.text}`);
    if (tokens[at + 1]?.text !== "." || found === undefined)
      throw new WgslProblem(`line ${line} uses "${text}" otherwise than by its members ${members.join(", ")}`);
    out.push(found);
    return at + 3;
  }

  #length(tokens: readonly Token[], at: number, out: (Token | string)[]): number {
    const [open, and, name, close] = tokens.slice(at + 1, at + 5);
    const memory = this.#options.memory.get(name?.text ?? "");
    if (open?.text !== "(" || and?.text !== "&" || memory === undefined || close?.text !== ")")
      throw new WgslProblem(`line ${tokens[at].line} asks for the length of something else than \`&\` and an operand`);
    out.push(`fovea_length_${memory.index}()`);
    return at + 5;
  }

  #access(tokens: readonly Token[], at: number, out: (Token | string)[]): number {
    const { text: name, line } = tokens[at];
    const { index, mode } = this.#options.memory.get(name) as Memory;
    const problem = (what: string): never => {
      throw new WgslProblem(`line ${line} ${what}`);
    };
    if (tokens[at - 1]?.text === "&") problem(`takes the address of "${name}", which nothing could bound`);
    if (tokens[at + 1]?.text !== "[") problem(`uses "${name}" otherwise than as ${name}[…]`);
    const close = closingOf(tokens, at + 1);
    const place = `u32( ${this.part(tokens.slice(at + 2, close))})`;
    let next = close + 1;
    while (tokens[next]?.text === "." && tokens[next + 1]?.kind === "name") next += 2;
    const sign = tokens[next]?.text ?? "";
    if (COMPOUND.has(sign)) problem(`changes "${name}" by "${sign}"; write \`${name}[i] = …;\``);
    if (sign !== "=") {
      out.push(`fovea_read_${index}( ${place})`);
      return close + 1;
    }
    if (next !== close + 1) problem(`writes a part of "${name}[…]"; write all of it`);
    if (mode !== "write") problem(`writes "${name}", which is no result`);
    const end = endOfValue(tokens, next + 1);
    out.push(`fovea_write_${index}( ${place}, ${this.part(tokens.slice(next + 1, end))})`);
    return end;
  }

  #loop(tokens: readonly Token[], at: number, out: (Token | string)[]): number {
    const end = loopEnd(tokens, at);
    const body = bodyOf(tokens, at);
    const whole = tokens.slice(at, end);
    const called = whole.find((t, i) => this.#barriers.looping.has(t.text) && whole[i + 1]?.text === "(");
    if (called !== undefined)
      throw new WgslProblem(
        `line ${called.line} calls "${called.text}" inside of a loop, and "${called.text}" has a loop around a barrier; write one of them out`,
      );
    const left = this.#barriers.within(whole) ? `fovea_left_${this.#counters++}` : "fovea_left";
    out.push(tokens[at], this.part(tokens.slice(at + 1, body)));
    out.push(`{\nif (${left} == 0u) { fovea_stop(1u); break; }\n${left} -= 1u;\n`);
    out.push(`${this.part(tokens.slice(body + 1, end - 1))}}\n`);
    return end;
  }

  /** A function of the module. */
  function(declaration: Declaration, name: string): string {
    const { tokens } = declaration;
    const open = bodyOf(tokens, 0);
    this.#counters = 0;
    const parameters = parametersOf(declaration);
    const taken = parameters.find((p) => this.#options.memory.has(p.name) || this.#isStruct(p.name));
    if (taken !== undefined)
      throw new WgslProblem(`line ${tokens[0].line} names a parameter "${taken.name}" like memory from outside`);
    const isEntry = name !== declaration.name;
    const head = isEntry
      ? `fn ${name}(${parameters.map((p) => `${p.name}: ${p.type}`).join(", ")}) `
      : `fn ${name}${textOf(tokens.slice(2, open))}`;
    const body = this.part(
      tokens.slice(
        open + 1,
        tokens.findLastIndex(({ text }) => text === "}"),
      ),
    );
    const counters = Array.from({ length: this.#counters }, (_, i) => `var fovea_left_${i} = fovea_turns();\n`);
    return `${head}{\n${counters.join("")}${body}}\n`;
  }

  #isStruct(name: string): boolean {
    return [...this.#options.words.keys()].some((key) => key.startsWith(`${name}.`));
  }
}

/** Where the value ends that is assigned from `at` on: at `;`, or at the `)` of a loop's head. */
function endOfValue(tokens: readonly Token[], at: number): number {
  for (let i = at; i < tokens.length; i++) {
    const { text } = tokens[i];
    if (text === ";" || text === ")" || text === "}") return i;
    if (text === "(" || text === "[") i = closingOf(tokens, i);
  }
  return tokens.length;
}

/** Arguments of the entry: its built-in values, from the workgroup's number and the invocation's. */
function callOf(parameters: readonly Parameter[], size: readonly [number, number, number]): string {
  return parameters
    .map(({ name, builtin }) => {
      const value = builtin === undefined ? undefined : BUILTINS[builtin]?.(size);
      if (value !== undefined) return value;
      throw new WgslProblem(
        `the entry takes "${name}", which is none of the built-in values ${Object.keys(BUILTINS).join(", ")}`,
      );
    })
    .join(", ");
}

/**
 * Module scope and `fn run(item, lane)`. What it calls is the host's: `fovea_read_i`, `fovea_write_i`, `fovea_length_i`,
 * `fovea_groups`, `fovea_turns`, `fovea_stop`; `fovea_left` is declared here.
 * @param size invocations of a workgroup
 * @throws WgslProblem for what cannot be bounded
 */
export function rewrite(
  declarations: readonly Declaration[],
  size: readonly [number, number, number],
  options: RewriteOptions,
): string {
  const functions = declarations.filter((d) => d.kind === "fn");
  checkCalls(functions, options.entry);
  const rewriter = new Rewriter(options, barriersOf(functions));
  const parts: string[] = ["var<private> fovea_left: u32;\n"];
  for (const declaration of declarations) {
    const { kind, name, attributes, tokens } = declaration;
    const isEntry = kind === "fn" && name === options.entry;
    const reserved = tokens.find((t) => t.kind === "name" && t.text.startsWith("fovea_"));
    if (reserved !== undefined || (!isEntry && RESERVED.test(name)))
      throw new WgslProblem(`line ${tokens[0].line} uses the name "${reserved?.text ?? name}", which is the host's`);
    const isResource = attributes.some((a) => a.name === "group" || a.name === "binding");
    if (isResource) continue;
    const value = options.overrides.get(name);
    if (kind === "override" && value !== undefined) parts.push(`const ${name} = ${value};\n`);
    else if (kind === "fn") parts.push(rewriter.function(declaration, isEntry ? "fovea_entry" : name));
    else parts.push(textOf(tokens));
  }
  const entry = functions.find((f) => f.name === options.entry) as Declaration;
  parts.push(
    "fn run(item: u32, lane: u32) {\n",
    "let across = fovea_groups();\n",
    "let group = vec3<u32>(item % across.x, (item / across.x) % across.y, item / (across.x * across.y));\n",
    "fovea_left = fovea_turns();\n",
    `fovea_entry(${callOf(parametersOf(entry), size)});\n}\n`,
  );
  return parts.join("");
}
