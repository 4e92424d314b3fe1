/**
 * WebAssembly instructions as nested plain data: every helper returns the bytes that leave its result on the stack, so
 * that code reads as expressions; `control_flow.ts` has the statements.
 */

/** An immediate; kept apart from opcodes so that tests can flip single constants. */
export interface Immediate {
  readonly kind: "i32" | "f32" | "v128" | "offset" | "lane";
  readonly bytes: readonly number[];
}

export type Code = readonly (number | Immediate | Code)[];

export type ValueType = "i32" | "f32" | "v128";

export interface Local {
  readonly index: number;
  readonly type: ValueType;
}

/** LEB128, unsigned. */
export function unsigned(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    out.push(rest > 0 ? low | 128 : low);
  } while (rest > 0);
  return out;
}

/** LEB128, signed 32-bit. */
export function signed(value: number): number[] {
  const out: number[] = [];
  let rest = value | 0;
  for (;;) {
    const low = rest & 127;
    rest >>= 7;
    if ((rest === 0 && (low & 64) === 0) || (rest === -1 && (low & 64) !== 0)) return [...out, low];
    out.push(low | 128);
  }
}

const float32 = new DataView(new ArrayBuffer(4));

function floatBytes(value: number): number[] {
  float32.setFloat32(0, value, true);
  return [0, 1, 2, 3].map((i) => float32.getUint8(i));
}

const simd = (op: number): number[] => [0xfd, ...unsigned(op)];
const unary =
  (...op: number[]) =>
  (x: Code): Code => [x, ...op];
const binary =
  (...op: number[]) =>
  (a: Code, b: Code): Code => [a, b, ...op];

const offsetOf = (bytes: number): Immediate => ({ kind: "offset", bytes: unsigned(bytes) });
const lane = (n: number): Immediate => ({ kind: "lane", bytes: [n] });

type Unary = (x: Code) => Code;
type Binary = (a: Code, b: Code) => Code;
type Load = (address: Code, offset?: number) => Code;
type Store = (address: Code, value: Code, offset?: number) => Code;

const load =
  (align: number, ...op: number[]): Load =>
  (address, offset = 0) => [address, ...op, align, offsetOf(offset)];
const store =
  (align: number, ...op: number[]): Store =>
  (address, value, offset = 0) => [address, value, ...op, align, offsetOf(offset)];

export const get = (l: Local): Code => [0x20, ...unsigned(l.index)];
export const set = (l: Local, value: Code): Code => [value, 0x21, ...unsigned(l.index)];
export const tee = (l: Local, value: Code): Code => [value, 0x22, ...unsigned(l.index)];

interface I32 {
  readonly of: (value: number) => Code;
  readonly load: Load;
  readonly load8u: Load;
  readonly load16u: Load;
  readonly store: Store;
  readonly store8: Store;
  readonly eqz: Unary;
  readonly eq: Binary;
  readonly ne: Binary;
  readonly ltS: Binary;
  readonly ltU: Binary;
  readonly gtS: Binary;
  readonly leS: Binary;
  readonly leU: Binary;
  readonly geS: Binary;
  readonly add: Binary;
  readonly sub: Binary;
  readonly mul: Binary;
  readonly divU: Binary;
  readonly remU: Binary;
  readonly and: Binary;
  readonly or: Binary;
  readonly shl: Binary;
  readonly shrS: Binary;
  readonly shrU: Binary;
  readonly truncF32: Unary;
  readonly reinterpretF32: Unary;
  /** `condition ? a : b`; both are evaluated. */
  readonly select: (condition: Code, a: Code, b: Code) => Code;
}

export const i32: I32 = {
  of: (value) => [0x41, { kind: "i32", bytes: signed(value) }],
  load: load(2, 0x28),
  load8u: load(0, 0x2d),
  load16u: load(1, 0x2f),
  store: store(2, 0x36),
  store8: store(0, 0x3a),
  eqz: unary(0x45),
  eq: binary(0x46),
  ne: binary(0x47),
  ltS: binary(0x48),
  ltU: binary(0x49),
  gtS: binary(0x4a),
  leS: binary(0x4c),
  leU: binary(0x4d),
  geS: binary(0x4e),
  add: binary(0x6a),
  sub: binary(0x6b),
  mul: binary(0x6c),
  divU: binary(0x6e),
  remU: binary(0x70),
  and: binary(0x71),
  or: binary(0x72),
  shl: binary(0x74),
  shrS: binary(0x75),
  shrU: binary(0x76),
  truncF32: unary(0xfc, 0x00),
  reinterpretF32: unary(0xbc),
  select: (condition, a, b) => [a, b, condition, 0x1b],
};

interface F32 {
  readonly of: (value: number) => Code;
  readonly load: Load;
  readonly store: Store;
  readonly lt: Binary;
  readonly gt: Binary;
  readonly abs: Unary;
  readonly neg: Unary;
  readonly floor: Unary;
  readonly nearest: Unary;
  readonly sqrt: Unary;
  readonly add: Binary;
  readonly sub: Binary;
  readonly mul: Binary;
  readonly div: Binary;
  readonly min: Binary;
  readonly max: Binary;
  readonly convertI32: Unary;
  readonly convertU32: Unary;
  readonly reinterpretI32: Unary;
}

export const f32: F32 = {
  of: (value) => [0x43, { kind: "f32", bytes: floatBytes(value) }],
  load: load(2, 0x2a),
  store: store(2, 0x38),
  lt: binary(0x5d),
  gt: binary(0x5e),
  abs: unary(0x8b),
  neg: unary(0x8c),
  floor: unary(0x8e),
  nearest: unary(0x90),
  sqrt: unary(0x91),
  add: binary(0x92),
  sub: binary(0x93),
  mul: binary(0x94),
  div: binary(0x95),
  min: binary(0x96),
  max: binary(0x97),
  convertI32: unary(0xb2),
  convertU32: unary(0xb3),
  reinterpretI32: unary(0xbe),
};

interface V128 {
  /** 16 bytes. */
  readonly of: (bytes: readonly number[]) => Code;
  readonly load: Load;
  readonly store: Store;
  readonly load32Splat: Load;
  readonly load64Splat: Load;
  readonly load32Zero: Load;
  readonly load64Zero: Load;
  /** Eight signed bytes as lanes of 16 bits. */
  readonly load8x8s: Load;
  /** Four unsigned 16-bit integers as lanes of 32 bits. */
  readonly load16x4u: Load;
  readonly load32Lane: (address: Code, vector: Code, lane: number, offset?: number) => Code;
  readonly load64Lane: (address: Code, vector: Code, lane: number, offset?: number) => Code;
  readonly store8Lane: (address: Code, vector: Code, lane: number, offset?: number) => Code;
  readonly store16Lane: (address: Code, vector: Code, lane: number, offset?: number) => Code;
  readonly store32Lane: (address: Code, vector: Code, lane: number, offset?: number) => Code;
  readonly store64Lane: (address: Code, vector: Code, lane: number, offset?: number) => Code;
  /** Byte lanes of `a` by the indices in `lanes`, 0 where an index is 16 or more. */
  readonly swizzle: (a: Code, lanes: Code) => Code;
  /** 16 byte lanes out of the 32 of `a` and `b`. */
  readonly shuffle: (a: Code, b: Code, lanes: readonly number[]) => Code;
  readonly not: Unary;
  readonly and: Binary;
  readonly andnot: Binary;
  readonly or: Binary;
  readonly xor: Binary;
  /** Bits of `a` where the mask is set, else of `b`. */
  readonly bitselect: (a: Code, b: Code, mask: Code) => Code;
  readonly anyTrue: Unary;
}

const laned =
  (align: number, op: number) =>
  (address: Code, vector: Code, at: number, offset = 0): Code => [
    address,
    vector,
    ...simd(op),
    align,
    offsetOf(offset),
    lane(at),
  ];

export const v128: V128 = {
  of: (bytes) => [...simd(12), { kind: "v128", bytes }],
  load: load(2, ...simd(0)),
  store: store(2, ...simd(11)),
  load32Splat: load(2, ...simd(9)),
  load64Splat: load(2, ...simd(10)),
  load32Zero: load(2, ...simd(92)),
  load64Zero: load(2, ...simd(93)),
  load8x8s: load(2, ...simd(1)),
  load16x4u: load(1, ...simd(4)),
  load32Lane: laned(2, 86),
  load64Lane: laned(2, 87),
  store8Lane: laned(0, 88),
  store16Lane: laned(1, 89),
  store32Lane: laned(2, 90),
  store64Lane: laned(2, 91),
  shuffle: (a, b, lanes) => [a, b, ...simd(13), ...lanes.map(lane)],
  swizzle: binary(...simd(14)),
  not: unary(...simd(77)),
  and: binary(...simd(78)),
  andnot: binary(...simd(79)),
  or: binary(...simd(80)),
  xor: binary(...simd(81)),
  bitselect: (a, b, mask) => [a, b, mask, ...simd(82)],
  anyTrue: unary(...simd(83)),
};

interface F32x4 {
  /** The same number in all lanes. */
  readonly of: (value: number) => Code;
  readonly splat: Unary;
  readonly extract: (x: Code, lane: number) => Code;
  readonly replace: (x: Code, lane: number, value: Code) => Code;
  readonly eq: Binary;
  readonly ne: Binary;
  readonly lt: Binary;
  readonly gt: Binary;
  readonly le: Binary;
  readonly ge: Binary;
  readonly abs: Unary;
  readonly neg: Unary;
  readonly sqrt: Unary;
  readonly floor: Unary;
  readonly nearest: Unary;
  readonly add: Binary;
  readonly sub: Binary;
  readonly mul: Binary;
  readonly div: Binary;
  readonly min: Binary;
  readonly max: Binary;
  /** `b < a ? b : a`, one machine instruction; not for NaN. */
  readonly pmin: Binary;
  /** `a < b ? b : a`, one machine instruction; not for NaN. */
  readonly pmax: Binary;
  readonly convertI32: Unary;
  /** `a * b + c`, fused or not as the engine likes: target wasm-relaxed only. */
  readonly relaxedMadd: (a: Code, b: Code, c: Code) => Code;
}

export const f32x4: F32x4 = {
  of: (value) => v128.of([...floatBytes(value), ...floatBytes(value), ...floatBytes(value), ...floatBytes(value)]),
  splat: unary(...simd(19)),
  extract: (x, at) => [x, ...simd(31), lane(at)],
  replace: (x, at, value) => [x, value, ...simd(32), lane(at)],
  eq: binary(...simd(65)),
  ne: binary(...simd(66)),
  lt: binary(...simd(67)),
  gt: binary(...simd(68)),
  le: binary(...simd(69)),
  ge: binary(...simd(70)),
  abs: unary(...simd(224)),
  neg: unary(...simd(225)),
  sqrt: unary(...simd(227)),
  floor: unary(...simd(104)),
  nearest: unary(...simd(106)),
  add: binary(...simd(228)),
  sub: binary(...simd(229)),
  mul: binary(...simd(230)),
  div: binary(...simd(231)),
  min: binary(...simd(232)),
  max: binary(...simd(233)),
  pmin: binary(...simd(234)),
  pmax: binary(...simd(235)),
  convertI32: unary(...simd(250)),
  relaxedMadd: (a, b, c) => [a, b, c, ...simd(261)],
};

interface I32x4 {
  /** The same number in all lanes. */
  readonly of: (value: number) => Code;
  readonly splat: Unary;
  readonly extract: (x: Code, lane: number) => Code;
  readonly replace: (x: Code, lane: number, value: Code) => Code;
  readonly eq: Binary;
  readonly gtS: Binary;
  readonly minS: Binary;
  readonly add: Binary;
  readonly sub: Binary;
  readonly shl: Binary;
  readonly shrS: Binary;
  readonly shrU: Binary;
  readonly truncSatF32: Unary;
  /** Bytes 0..3 as four unsigned integers. */
  readonly extendLowU8: Unary;
  readonly mul: Binary;
  /** Products of signed 16-bit lanes, neighbours added. */
  readonly dotI16: Binary;
  /** `c` plus products of signed bytes of `a` with bytes of `b` in 0..127, four neighbours added: target wasm-relaxed only. */
  readonly relaxedDotAdd: (a: Code, b: Code, c: Code) => Code;
}

const wordBytes = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 255);

export const i32x4: I32x4 = {
  of: (value) => v128.of([0, 1, 2, 3].flatMap(() => wordBytes(value))),
  splat: unary(...simd(17)),
  extract: (x, at) => [x, ...simd(27), lane(at)],
  replace: (x, at, value) => [x, value, ...simd(28), lane(at)],
  eq: binary(...simd(55)),
  gtS: binary(...simd(59)),
  minS: binary(...simd(182)),
  add: binary(...simd(174)),
  sub: binary(...simd(177)),
  shl: binary(...simd(171)),
  shrS: binary(...simd(172)),
  shrU: binary(...simd(173)),
  truncSatF32: unary(...simd(248)),
  extendLowU8: unary(...simd(137), ...simd(169)),
  mul: binary(...simd(181)),
  dotI16: binary(...simd(186)),
  relaxedDotAdd: (a, b, c) => [a, b, c, ...simd(275)],
};

interface I8x16 {
  readonly minU: Binary;
  /** The lanes of `a`, then of `b`, saturated to signed bytes. */
  readonly narrowI16: Binary;
}

export const i8x16: I8x16 = {
  minU: binary(...simd(119)),
  narrowI16: binary(...simd(101)),
};

interface I16x8 {
  /** Bytes 0..7 or 8..15 as eight unsigned integers. */
  readonly extendLowU8: Unary;
  readonly extendHighU8: Unary;
  readonly eq: Binary;
  readonly minS: Binary;
  /** The lanes of `a`, then of `b`, saturated to signed or to unsigned integers. */
  readonly narrowI32: Binary;
  readonly narrowI32ToU: Binary;
  /** The lanes of `a`, then of `b`, saturated to unsigned bytes. */
  readonly narrowToU8: Binary;
}

export const i16x8: I16x8 = {
  extendLowU8: unary(...simd(137)),
  extendHighU8: unary(...simd(138)),
  eq: binary(...simd(45)),
  minS: binary(...simd(150)),
  narrowI32: binary(...simd(133)),
  narrowI32ToU: binary(...simd(134)),
  narrowToU8: binary(...simd(102)),
};
