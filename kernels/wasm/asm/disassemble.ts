/** Kernel modules as text for people: the function's body as statements, expressions folded. */

const NAMES: Readonly<Record<number, string>> = {
  69: "i32.eqz",
  70: "i32 ==",
  71: "i32 !=",
  72: "i32 <",
  73: "i32 <u",
  74: "i32 >",
  75: "i32 >u",
  76: "i32 <=",
  77: "i32 <=u",
  78: "i32 >=",
  79: "i32 >=u",
  91: "f32 ==",
  92: "f32 !=",
  93: "f32 <",
  94: "f32 >",
  95: "f32 <=",
  96: "f32 >=",
  106: "i32 +",
  107: "i32 -",
  108: "i32 *",
  109: "i32 /",
  110: "i32 /u",
  111: "i32 %",
  112: "i32 %u",
  113: "i32 &",
  114: "i32 |",
  115: "i32 ^",
  116: "i32 <<",
  117: "i32 >>",
  118: "i32 >>u",
  139: "f32.abs",
  140: "f32.neg",
  141: "f32.ceil",
  142: "f32.floor",
  143: "f32.trunc",
  144: "f32.nearest",
  145: "f32.sqrt",
  146: "f32 +",
  147: "f32 -",
  148: "f32 *",
  149: "f32 /",
  150: "f32.min/2",
  151: "f32.max/2",
  152: "f32.copysign/2",
  178: "f32.convert_i32_s",
  179: "f32.convert_i32_u",
  188: "i32.reinterpret_f32",
  190: "f32.reinterpret_i32",
};

const MEMORY: Readonly<Record<number, string>> = {
  40: "i32.load",
  42: "f32.load",
  45: "i32.load8_u",
  54: "i32.store",
  56: "f32.store",
  58: "i32.store8",
};

const VECTOR_MEMORY: Readonly<Record<number, string>> = {
  0: "v128.load",
  1: "v128.load8x8_s",
  4: "v128.load16x4_u",
  7: "v128.load8_splat",
  8: "v128.load16_splat",
  9: "v128.load32_splat",
  10: "v128.load64_splat",
  11: "v128.store",
  84: "v128.load8_lane",
  86: "v128.load32_lane",
  87: "v128.load64_lane",
  88: "v128.store8_lane",
  89: "v128.store16_lane",
  90: "v128.store32_lane",
  91: "v128.store64_lane",
  92: "v128.load32_zero",
  93: "v128.load64_zero",
};

/** Operators and functions of vectors; a lane index follows those with `lane`. */
const VECTOR: Readonly<Record<number, string>> = {
  14: "i8x16.swizzle/2",
  15: "i8x16.splat",
  16: "i16x8.splat",
  17: "i32x4.splat",
  19: "f32x4.splat",
  27: "i32x4.extract lane",
  28: "i32x4.replace lane",
  31: "f32x4.extract lane",
  32: "f32x4.replace lane",
  45: "i16x8 ==",
  55: "i32x4 ==",
  57: "i32x4 <",
  59: "i32x4 >",
  65: "f32x4 ==",
  66: "f32x4 !=",
  67: "f32x4 <",
  68: "f32x4 >",
  69: "f32x4 <=",
  70: "f32x4 >=",
  77: "v128.not",
  78: "v128 &",
  79: "v128 &~",
  80: "v128 |",
  81: "v128 ^",
  82: "v128.bitselect/3",
  83: "v128.any_true",
  101: "i8x16.narrow_i16x8_s/2",
  102: "i8x16.narrow_i16x8_u/2",
  103: "f32x4.ceil",
  104: "f32x4.floor",
  105: "f32x4.trunc",
  106: "f32x4.nearest",
  119: "i8x16.min_u/2",
  133: "i16x8.narrow_i32x4_s/2",
  134: "i16x8.narrow_i32x4_u/2",
  137: "i16x8.extend_low_i8x16_u",
  138: "i16x8.extend_high_i8x16_u",
  150: "i16x8.min_s/2",
  169: "i32x4.extend_low_i16x8_u",
  171: "i32x4 <<",
  172: "i32x4 >>",
  173: "i32x4 >>u",
  174: "i32x4 +",
  177: "i32x4 -",
  181: "i32x4 *",
  182: "i32x4.min_s/2",
  186: "i32x4.dot_i16x8_s/2",
  224: "f32x4.abs",
  225: "f32x4.neg",
  227: "f32x4.sqrt",
  228: "f32x4 +",
  229: "f32x4 -",
  230: "f32x4 *",
  231: "f32x4 /",
  232: "f32x4.min/2",
  233: "f32x4.max/2",
  234: "f32x4.pmin/2",
  235: "f32x4.pmax/2",
  248: "i32x4.trunc_sat_f32x4_s",
  250: "f32x4.convert_i32x4_s",
  261: "f32x4.relaxed_madd/3",
  275: "i32x4.relaxed_dot_i8x16_i7x16_add_s/3",
};

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
