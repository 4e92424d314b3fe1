/** Kernel modules as text for people: the function's body as statements, expressions folded. */
import { MEMORY, NAMES, VECTOR, VECTOR_MEMORY } from "./opcode_names.ts";

const PARAMETERS: readonly string[] = ["args", "begin", "end", "scratch"];

const TYPES: Readonly<Record<number, string>> = { 127: "i", 125: "f", 123: "v" };

class Reader {
  at = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.at >= this.#bytes.length;
  }

  byte(): number {
    return this.#bytes[this.at++];
  }

  unsigned(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const b = this.byte();
      value += (b & 127) * scale;
      if (b < 128) return value;
    }
  }

  signed(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const b = this.byte();
      value |= (b & 127) << shift;
      if (b < 128) return shift < 25 && (b & 64) !== 0 ? value | (-1 << (shift + 7)) : value;
    }
  }

  float(): number {
    this.at += 4;
    return this.#view.getFloat32(this.at - 4, true);
  }

  word(): number {
    this.at += 4;
    return this.#view.getUint32(this.at - 4, true);
  }
}

const floatText = (value: number): string => (Number.isInteger(value) ? value.toFixed(1) : value.toPrecision(6));

const wordFloat = new DataView(new ArrayBuffer(4));

/** Four equal words are one number; which type, the bits suggest. */
function vectorText(words: readonly number[]): string {
  const [first] = words;
  const one = (w: number): string => {
    wordFloat.setUint32(0, w);
    const float = wordFloat.getFloat32(0);
    const plausible = w !== 0 && Math.abs(float) > 1e-12 && Math.abs(float) < 1e12;
    return plausible ? floatText(float) : w < 4096 ? String(w) : `0x${w.toString(16)}`;
  };
  return words.every((w) => w === first) ? `x4(${one(first)})` : `x4(${words.map(one).join(", ")})`;
}

/** Removes one pair of brackets around a whole expression. */
const bare = (text: string): string => {
  if (!text.startsWith("(") || !text.endsWith(")")) return text;
  let depth = 0;
  for (let i = 0; i < text.length - 1; i++) {
    depth += text[i] === "(" ? 1 : text[i] === ")" ? -1 : 0;
    if (depth === 0) return text;
  }
  return text.slice(1, -1);
};

class Body {
  readonly lines: string[] = [];
  readonly #reader: Reader;
  readonly #locals: readonly string[];
  readonly #stack: string[] = [];
  #depth = 0;

  constructor(reader: Reader, locals: readonly string[]) {
    this.#reader = reader;
    this.#locals = locals;
  }

  read(): readonly string[] {
    while (!this.#reader.done && this.#depth >= 0) this.#instruction(this.#reader.byte());
    return this.lines;
  }

  #pop(): string {
    return this.#stack.pop() ?? "?";
  }

  #say(line: string, depth = this.#depth): void {
    this.lines.push(`${"  ".repeat(depth)}${line}`);
  }

  /** `operator`, or `function/operands`, with one operand unless it says otherwise. */
  #apply(name: string): undefined {
    const operator = name.indexOf(" ");
    if (operator > 0) {
      const [b, a] = [this.#pop(), this.#pop()];
      this.#stack.push(`(${a} ${name.slice(operator + 1)} ${b})`);
      return;
    }
    const [called, count = "1"] = name.split("/");
    const operands = Array.from({ length: Number(count) }, () => bare(this.#pop())).reverse();
    this.#stack.push(`${called}(${operands.join(", ")})`);
  }

  #memory(name: string): undefined {
    this.#reader.unsigned();
    const offset = this.#reader.unsigned();
    const lane = name.includes("_lane") ? `, lane ${this.#reader.byte()}` : "";
    const value = name.includes("store") || lane !== "" ? bare(this.#pop()) : undefined;
    const address = `${bare(this.#pop())}${offset === 0 ? "" : ` + ${offset}`}`;
    if (name.includes("store")) this.#say(`${name}[${address}${lane}] = ${value}`);
    else this.#stack.push(`${name}[${address}${lane}]${lane === "" ? "" : ` into ${value}`}`);
  }

  #vector(): undefined {
    const op = this.#reader.unsigned();
    const memory = VECTOR_MEMORY[op];
    if (memory !== undefined) return this.#memory(memory);
    if (op === 12) {
      this.#stack.push(vectorText([0, 1, 2, 3].map(() => this.#reader.word())));
      return;
    }
    if (op === 13) {
      const lanes = Array.from({ length: 16 }, () => this.#reader.byte());
      const [b, a] = [bare(this.#pop()), bare(this.#pop())];
      this.#stack.push(`shuffle(${a}, ${b}, [${lanes.join(" ")}])`);
      return;
    }
    const name = VECTOR[op];
    if (name === undefined) return this.#unknown(`vector instruction ${op}`);
    if (!name.endsWith(" lane")) return this.#apply(name);
    const lane = this.#reader.byte();
    const value = name.includes("replace") ? `, ${bare(this.#pop())}` : "";
    this.#stack.push(`${name.replace(" lane", "")}(${bare(this.#pop())}, ${lane}${value})`);
  }

  #unknown(what: string): undefined {
    this.#say(`... ${what} is not known here; the rest is not shown`);
    this.#depth = -1;
  }

  #instruction(op: number): undefined {
    const local = (): string => this.#locals[this.#reader.unsigned()] ?? "?";
    const memory = MEMORY[op];
    if (memory !== undefined) return this.#memory(memory);
    if (NAMES[op] !== undefined) return this.#apply(NAMES[op]);
    switch (op) {
      case 0x02:
      case 0x03:
        this.#reader.byte();
        this.#say(op === 0x02 ? "block {" : "loop {");
        this.#depth++;
        return;
      case 0x04:
        this.#reader.byte();
        this.#say(`if ${bare(this.#pop())} {`);
        this.#depth++;
        return;
      case 0x05:
        this.#say("} else {", this.#depth - 1);
        return;
      case 0x0b:
        this.#depth--;
        if (this.#depth >= 0) this.#say("}");
        return;
      case 0x0c:
        this.#say(`branch ${this.#reader.unsigned()}`);
        return;
      case 0x0d: {
        const depth = this.#reader.unsigned();
        this.#say(depth === 0 ? `again if ${bare(this.#pop())}` : `branch ${depth} if ${bare(this.#pop())}`);
        return;
      }
      case 0x0f:
        this.#say("return");
        return;
      case 0x1a:
        this.#say(bare(this.#pop()));
        return;
      case 0x1b: {
        const condition = bare(this.#pop());
        const [b, a] = [this.#pop(), this.#pop()];
        this.#stack.push(`(${condition} ? ${a} : ${b})`);
        return;
      }
      case 0x20:
        this.#stack.push(local());
        return;
      case 0x21:
        this.#say(`${local()} = ${bare(this.#pop())}`);
        return;
      case 0x22: {
        const name = local();
        this.#say(`${name} = ${bare(this.#pop())}`);
        this.#stack.push(name);
        return;
      }
      case 0x41:
        this.#stack.push(String(this.#reader.signed()));
        return;
      case 0x43:
        this.#stack.push(floatText(this.#reader.float()));
        return;
      case 0xfc: {
        const sub = this.#reader.unsigned();
        return sub === 0 ? this.#apply("i32.trunc_sat_f32_s") : this.#unknown(`instruction fc ${sub}`);
      }
      case 0xfd:
        return this.#vector();
      default:
        return this.#unknown(`instruction 0x${op.toString(16)}`);
    }
  }
}

/** Position behind the head of section `id`, or nothing. */
function findSection(bytes: Uint8Array, id: number): number | undefined {
  const reader = new Reader(bytes);
  for (reader.at = 8; !reader.done; ) {
    const found = reader.byte();
    const length = reader.unsigned();
    if (found === id) return reader.at;
    reader.at += length;
  }
  return undefined;
}

/**
 * The body of a kernel module's one function, a line a statement. Locals are named by their type (`i`, `f`, `v`) and
 * position; `args` is the address of the argument words. Arithmetic reads as expressions: the order of loads inside of
 * one is not the machine's.
 */
export function disassemble(module: Uint8Array): readonly string[] {
  const start = findSection(module, 10);
  if (start === undefined) return ["no code"];
  const reader = new Reader(module);
  reader.at = start;
  reader.unsigned();
  reader.unsigned();
  const locals = [...PARAMETERS];
  for (let runs = reader.unsigned(); runs > 0; runs--) {
    const count = reader.unsigned();
    const type = TYPES[reader.byte()] ?? "x";
    for (let i = 0; i < count; i++) locals.push(`${type}${locals.length}`);
  }
  return new Body(reader, locals).read();
}
