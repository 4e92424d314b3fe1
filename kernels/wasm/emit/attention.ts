/** Attention that streams over keys: memory for any number of keys is the same few blocks of scratch. */
import { add, ceilDiv, type Dim, min, mul } from "../../../runtime/core/dim.ts";
import { type Code, f32, f32x4, get, i32, type Local, set, v128, when, whileLoop } from "../asm/code.ts";
import { type KernelFrame, type KernelModule, kernelModule } from "../asm/module.ts";
import { attendBlock, inScratch, packBlock, type ScratchLayout, scratchLayout } from "./attention_block.ts";
import { exprFlops } from "./expr.ts";
import { advance, forItems, repeatWhile, word, wordBytes } from "./loops.ts";
import { ceilDivision, smaller, wordsAfter } from "./size.ts";

export interface AttentionOptions {
  /** At least 1. */
  readonly headDim: number;
  /** Factor on query . key. */
  readonly scale: number;
  /** Query i sees keys 0..i. */
  readonly causal: boolean;
  /** f32 [batch, keys]: keys with 0 are not seen. */
  readonly keyMask: boolean;
  /** i32 cu_seqlens [segments + 1]: tokens see keys of their own segment. */
  readonly segments: boolean;
  /** Query i sees keys i - window..i + window; 0 is no limit. */
  readonly window: number;
  /** Allows relaxed multiply-add. */
  readonly madd: boolean;
  /**
   * Keys of a part, a multiple of the keys of a block: a block of queries meets its keys in as many calls as it has parts, in
   * order and with the same scratch, so that no call is long. 0 computes it in one call. Needs a `window` of 0.
   */
  readonly partKeys: number;
  /** No head has more queries; nothing where that is not known. */
  readonly mostQueries?: number;
  /** No query sees more keys; nothing where that is not known. */
  readonly mostKeys?: number;
}

/** What the size of scratch and grid depends on. */
export type AttentionLayoutOptions = Pick<
  AttentionOptions,
  "headDim" | "window" | "madd" | "partKeys" | "mostQueries" | "mostKeys"
>;

/**
 * Names of the argument words, in order. `output`, `q`, `k`, `v`, `key_mask` and `cu_seqlens` are pointers; strides are
 * elements, those within a head are 1. The output is dense [batch, queries, heads, head_dim], the mask dense.
 */
export function attentionArguments(options: AttentionOptions): readonly string[] {
  return [
    ...["output", "q", "k", "v", "heads", "queries", "keys"],
    ...["q", "k", "v"].flatMap((name) => ["batch", "token", "head"].map((axis) => `${name}_${axis}_stride`)),
    ...(options.keyMask ? ["key_mask"] : []),
    ...(options.segments ? ["cu_seqlens", "segments"] : []),
    ...(options.partKeys > 0 ? ["parts"] : []),
  ];
}

const layoutOf = (options: AttentionLayoutOptions): ScratchLayout =>
  scratchLayout({ ...options, windowed: options.window > 0, parted: options.partKeys > 0 });

/** Bytes of private scratch. */
export function attentionScratch(options: AttentionLayoutOptions): number {
  return layoutOf(options).bytes;
}

/** Grid items: blocks of queries of every head. */
export function attentionGrid(batch: Dim, heads: Dim, queries: Dim, options: AttentionLayoutOptions): Dim {
  return mul(batch, heads, ceilDiv(queries, layoutOf(options).queries));
}

/** The grid item that writes an element of the output [batch, queries, heads, head_dim]. */
export function attentionItem(
  queries: number,
  heads: number,
  options: AttentionLayoutOptions,
): (element: number) => number {
  const { queries: most, tile } = layoutOf(options);
  const blocks = Math.ceil(queries / most);
  const height = Math.ceil(Math.ceil(queries / blocks) / tile.rows) * tile.rows;
  return (element) => {
    const row = Math.floor(element / options.headDim);
    const token = Math.floor(row / heads);
    const batch = Math.floor(token / queries);
    const head = batch * heads + (row - token * heads);
    return head * blocks + Math.floor((token - batch * queries) / height);
  };
}

/** Operations for one query and one key: score, exponential, weighted sum. */
export function attentionPairFlops(headDim: number): number {
  return 4 * headDim + exprFlops({ op: "exp", args: [{ input: 0 }] });
}

/** Most operations of a call that computes a part: 2 ms at 10 GFLOP/s. */
const PART_FLOPS = 2e7;

/** Keys of a part for one head_dim. */
export function attentionPartKeys(options: AttentionLayoutOptions): number {
  const { queries, keys } = layoutOf(options);
  const most = PART_FLOPS / (queries * attentionPairFlops(options.headDim));
  return keys * Math.max(1, Math.floor(most / keys));
}

/**
 * Most keys between the first and the last that a block of queries meets.
 * @param longest of the segments, where there are some
 */
export function attentionSpan(keys: Dim, longest: Dim | undefined, options: AttentionLayoutOptions): Dim {
  // A block reaches into a segment at either end and holds others between them.
  return longest === undefined ? keys : min(keys, add(mul(2, longest), layoutOf(options).queries));
}

/** Queries `first`..`end` - 1 attend to keys `key`..`keyEnd` - 1. */
interface Job {
  readonly first: Local;
  readonly end: Local;
  /** Moves. */
  readonly key: Local;
  readonly keyEnd: Local;
}

/** The part of its keys that a call computes. */
interface Part {
  /** First key of the block of queries. */
  readonly base: Local;
  /** From the first key: blocks of keys that begin from here on. */
  readonly from: Local;
  /** To before here. */
  readonly until: Local;
}

/** First elements of the head in each operand, and bytes between tokens. */
interface Head {
  readonly query: Local;
  readonly queryBytes: Local;
  readonly key: Local;
  readonly keyBytes: Local;
  readonly value: Local;
  readonly valueBytes: Local;
  /** In the output; tokens lie `outputBytes` apart. */
  readonly output: Local;
  readonly outputBytes: Local;
  /** Mask of the batch entry. */
  readonly mask: Local;
}

/** Calls `vector` for whole vectors of a head and `lane` for each element that is left, with `at` bytes into the head. */
function overHead(
  headDim: number,
  at: Local,
  vector: (offset: (row: Local) => Code) => Code,
  rest: (row: (base: Local) => Code, lane: number) => Code,
): Code {
  const address = (row: Local): Code => i32.add(get(row), get(at));
  const left = Array.from({ length: headDim % 4 }, (_, i) => rest(address, i));
  return [
    set(at, i32.of(0)),
    headDim < 4
      ? []
      : repeatWhile(i32.ne(get(at), i32.of(16 * Math.floor(headDim / 4))), [vector(address), advance(at, i32.of(16))]),
    left,
  ];
}

/** Scales the job's queries into scratch and clears their sums. */
function startQueries(
  frame: KernelFrame,
  layout: ScratchLayout,
  scale: number,
  rows: Local,
  source: Local,
  step: Local,
): Code {
  const [row, from, to, sums, at] = frame.locals("i32", 5);
  const statistic = i32.add(get(frame.scratch), wordBytes(get(row)));
  return [
    set(row, i32.of(0)),
    set(from, get(source)),
    set(to, inScratch(frame, layout.query)),
    set(sums, inScratch(frame, layout.sums)),
    repeatWhile(i32.ltU(get(row), get(rows)), [
      overHead(
        layout.headDim,
        at,
        (address) => v128.store(address(to), f32x4.mul(v128.load(address(from)), f32x4.of(scale))),
        (address, lane) => f32.store(address(to), f32.mul(f32.load(address(from), 4 * lane), f32.of(scale)), 4 * lane),
      ),
      Array.from({ length: layout.sumsRow / 16 }, (_, i) => v128.store(get(sums), f32x4.of(0), 16 * i)),
      f32.store(statistic, f32.of(-Infinity), layout.largest),
      f32.store(statistic, f32.of(0), layout.total),
      advance(from, get(step)),
      advance(to, i32.of(layout.queryRow)),
      advance(sums, i32.of(layout.sumsRow)),
      advance(row, i32.of(1)),
    ]),
  ];
}

/** Divides the sums by their totals and stores them; a query that saw no key gives zeros. */
function finishQueries(frame: KernelFrame, layout: ScratchLayout, rows: Local, output: Local, step: Local): Code {
  const [row, from, to, at] = frame.locals("i32", 4);
  const [total, seen, quotient] = frame.locals("v128", 3);
  const statistic = i32.add(get(frame.scratch), wordBytes(get(row)));
  const divide = (address: Code): Code => v128.and(f32x4.div(v128.load(address), get(total)), get(seen));
  return [
    set(row, i32.of(0)),
    set(to, get(output)),
    set(from, inScratch(frame, layout.sums)),
    repeatWhile(i32.ltU(get(row), get(rows)), [
      set(total, v128.load32Splat(statistic, layout.total)),
      set(seen, f32x4.ne(get(total), f32x4.of(0))),
      overHead(
        layout.headDim,
        at,
        (address) => v128.store(address(to), divide(address(from))),
        (address, lane) => [
          lane === 0 ? set(quotient, divide(address(from))) : [],
          v128.store32Lane(address(to), get(quotient), lane, 4 * lane),
        ],
      ),
      advance(from, i32.of(layout.sumsRow)),
      advance(to, get(step)),
      advance(row, i32.of(1)),
    ]),
  ];
}

/** Takes the next block of keys that are not hidden, and says which of them each query sees. */
function takeKeys(
  frame: KernelFrame,
  options: AttentionOptions,
  layout: ScratchLayout,
  job: Job,
  rows: Local,
  count: Local,
  mask: Local,
): { readonly take: Code; readonly position: (index: Code) => Code } {
  const { causal, window } = options;
  const [blockFirst, row, seen] = frame.locals("i32", 3);
  const at = (index: Code): Code => i32.add(get(frame.scratch), wordBytes(index));
  const position = (index: Code): Code =>
    options.keyMask ? i32.load(at(index), layout.positions) : i32.add(get(blockFirst), index);
  // Twice the bits of a mask are 0 for 0 and -0 only.
  const visible = i32.shl(i32.load(i32.add(get(mask), wordBytes(get(job.key)))), i32.of(1));
  const more = i32.and(i32.ltU(get(count), i32.of(layout.keys)), i32.ltU(get(job.key), get(job.keyEnd)));
  const block = options.keyMask
    ? [
        set(count, i32.of(0)),
        whileLoop(more, [
          when(visible, [i32.store(at(get(count)), get(job.key), layout.positions), advance(count, i32.of(1))]),
          advance(job.key, i32.of(1)),
        ]),
      ]
    : [
        set(blockFirst, get(job.key)),
        set(count, smaller(i32.of(layout.keys), i32.sub(get(job.keyEnd), get(job.key)))),
        advance(job.key, get(count)),
      ];
  if (!causal && window === 0) return { take: block, position };
  const query = i32.add(get(job.first), get(row));
  /** True when a number is one of a key of the block for which `holds` is true. */
  const isKey = (number: Local, holds: Code): Code => i32.select(i32.ltU(get(number), get(count)), holds, i32.of(0));
  const last = causal ? query : i32.add(query, i32.of(window));
  const begin: Code[] = [];
  const behindWindow: Code[] = [];
  if (window > 0) {
    const unseen = frame.local("i32");
    begin.push(set(unseen, i32.of(0)));
    const isBehind = isKey(unseen, i32.ltS(position(get(unseen)), i32.sub(query, i32.of(window))));
    behindWindow.push(
      // The first query sees the first key, and from one query to the next one key at most is left behind.
      when(isBehind, advance(unseen, i32.of(1))),
      i32.store(at(get(row)), get(unseen), layout.unseen),
    );
  }
  const sees = [
    set(row, i32.of(0)),
    set(seen, i32.of(0)),
    begin,
    repeatWhile(i32.ltU(get(row), i32.add(get(rows), i32.of(layout.tile.rows - 1))), [
      whileLoop(isKey(seen, i32.leS(position(get(seen)), last)), advance(seen, i32.of(1))),
      i32.store(at(get(row)), get(seen), layout.seen),
      behindWindow,
      advance(row, i32.of(1)),
    ]),
  ];
  return { take: [block, sees], position };
}

/** Runs one job from queries to output, or the part of it that the call is for. */
function attend(
  frame: KernelFrame,
  options: AttentionOptions,
  layout: ScratchLayout,
  head: Head,
  job: Job,
  part: Part | undefined,
): Code {
  const [rows, count, query, output] = frame.locals("i32", 4);
  const { take, position } = takeKeys(frame, options, layout, job, rows, count, head.mask);
  const token = (base: Local, bytes: Local, index: Code): Code => i32.add(get(base), i32.mul(index, get(bytes)));
  const { causal, window } = options;
  const block = { layout, rows, count, ragged: causal || window > 0, windowed: window > 0 };
  const windowFirst = i32.sub(get(job.first), i32.of(window));
  const begin = [
    causal ? set(job.keyEnd, smaller(get(job.keyEnd), get(job.end))) : [],
    window === 0
      ? []
      : [
          when(i32.ltS(get(job.key), windowFirst), set(job.key, windowFirst)),
          causal ? [] : set(job.keyEnd, smaller(get(job.keyEnd), i32.add(get(job.end), i32.of(window)))),
        ],
    set(rows, i32.sub(get(job.end), get(job.first))),
    set(query, token(head.query, head.queryBytes, get(job.first))),
    set(output, token(head.output, head.outputBytes, get(job.first))),
  ];
  const start = startQueries(frame, layout, options.scale, rows, query, head.queryBytes);
  const meet = (until: Code): Code =>
    repeatWhile(i32.ltU(get(job.key), until), [
      take,
      when(get(count), [
        packBlock(
          frame,
          block,
          (index) => token(head.key, head.keyBytes, position(index)),
          (index) => token(head.value, head.valueBytes, position(index)),
        ),
        attendBlock(frame, block),
      ]),
    ]);
  const finish = (): Code => finishQueries(frame, layout, rows, output, head.outputBytes);
  if (part === undefined) return [begin, start, meet(get(job.keyEnd)), finish()];
  const [isNew, goesOn] = frame.locals("i32", 2);
  const ahead = i32.sub(get(job.key), get(part.base));
  const resume = inScratch(frame, layout.resume);
  return [
    begin,
    set(isNew, i32.sub(i32.of(1), i32.ltU(ahead, get(part.from)))),
    // What begins in a later part waits; what began in an earlier one goes on where that stopped, if it did.
    set(goesOn, i32.ltU(ahead, get(part.until))),
    when(i32.sub(i32.of(1), get(isNew)), set(job.key, i32.load(resume))),
    set(goesOn, i32.and(get(goesOn), i32.or(get(isNew), i32.ltU(get(job.key), get(job.keyEnd))))),
    when(get(goesOn), [
      when(get(isNew), start),
      meet(smaller(get(job.keyEnd), i32.add(get(part.base), get(part.until)))),
      i32.store(resume, get(job.key)),
      when(i32.sub(i32.of(1), i32.ltU(get(job.key), get(job.keyEnd))), finish()),
    ]),
  ];
}

function partLocals(frame: KernelFrame): Part {
  const [base, from, until] = frame.locals("i32", 3);
  return { base, from, until };
}

/** Finds an item's part; gives the number of its block of queries as well. */
function placeInParts(
  frame: KernelFrame,
  { partKeys }: AttentionOptions,
  { from, until }: Part,
  item: Local,
  parts: Code,
): [Local, Code] {
  const [block, part] = frame.locals("i32", 2);
  const isLast = i32.eq(i32.add(get(part), i32.of(1)), parts);
  return [
    block,
    [
      set(block, i32.divU(get(item), parts)),
      set(part, i32.remU(get(item), parts)),
      set(from, i32.mul(get(part), i32.of(partKeys))),
      set(until, i32.select(isLast, i32.of(0x3fffffff), i32.add(get(from), i32.of(partKeys)))),
    ],
  ];
}

/** softmax(scale q k^T) v per head; see {@link attentionArguments} and {@link attentionGrid}. */
export function attentionKernel(options: AttentionOptions): KernelModule {
  const layout = layoutOf(options);
  const words = attentionArguments(options);
  return kernelModule((frame) => {
    const argument = (name: string): Code => word(frame, words.indexOf(name));
    const [item, blocks, height, block, number, batch, queries] = frame.locals("i32", 7);
    const [query, queryBytes, key, keyBytes, value, valueBytes, output, outputBytes, mask] = frame.locals("i32", 9);
    const [first, end, keyFirst, keyEnd] = frame.locals("i32", 4);
    const head: Head = { query, queryBytes, key, keyBytes, value, valueBytes, output, outputBytes, mask };
    const heads = argument("heads");
    const part = options.partKeys > 0 ? partLocals(frame) : undefined;
    const setup = [
      set(queries, argument("queries")),
      set(blocks, ceilDivision(get(queries), i32.of(layout.queries))),
      // Blocks of even height, in whole tiles.
      set(height, ceilDivision(ceilDivision(get(queries), get(blocks)), i32.of(layout.tile.rows))),
      set(height, i32.mul(get(height), i32.of(layout.tile.rows))),
      ...(["q", "k", "v"] as const).map((name, i) =>
        set([queryBytes, keyBytes, valueBytes][i], wordBytes(argument(`${name}_token_stride`))),
      ),
      set(outputBytes, i32.mul(heads, i32.of(4 * options.headDim))),
    ];
    const headStart = (name: string): Code =>
      wordsAfter(
        argument(name),
        i32.mul(get(batch), argument(`${name}_batch_stride`)),
        i32.mul(get(number), argument(`${name}_head_stride`)),
      );
    const [blockNumber, ofBlock] =
      part === undefined ? [item, []] : placeInParts(frame, options, part, item, argument("parts"));
    const place = [
      ofBlock,
      set(block, i32.remU(get(blockNumber), get(blocks))),
      set(batch, i32.divU(get(blockNumber), get(blocks))),
      set(number, i32.remU(get(batch), heads)),
      set(batch, i32.divU(get(batch), heads)),
      set(query, headStart("q")),
      set(key, headStart("k")),
      set(value, headStart("v")),
      set(output, i32.add(argument("output"), i32.mul(i32.mul(get(batch), get(queries)), get(outputBytes)))),
      advance(output, i32.mul(get(number), i32.of(4 * options.headDim))),
      options.keyMask ? set(mask, wordsAfter(argument("key_mask"), i32.mul(get(batch), argument("keys")))) : [],
    ];
    const blockFirst = i32.mul(get(block), get(height));
    const blockEnd = smaller(i32.add(blockFirst, get(height)), get(queries));
    const job = { first, end, key: keyFirst, keyEnd };
    if (!options.segments) {
      const whole = [
        set(first, blockFirst),
        set(end, blockEnd),
        set(keyFirst, i32.of(0)),
        set(keyEnd, argument("keys")),
        // Even heights may leave nothing for the last block.
        part === undefined ? [] : set(part.base, i32.of(0)),
        when(i32.ltU(get(first), get(end)), attend(frame, options, layout, head, job, part)),
      ];
      return [setup, forItems(frame, item, [place, whole])];
    }
    const [segment, segmentsEnd] = frame.locals("i32", 2);
    const larger = (a: Code, b: Code): Code => i32.select(i32.ltU(a, b), b, a);
    const perSegment = [
      part === undefined ? [] : set(part.base, i32.of(-1)),
      set(segment, argument("cu_seqlens")),
      set(segmentsEnd, wordsAfter(get(segment), argument("segments"))),
      repeatWhile(i32.ne(get(segment), get(segmentsEnd)), [
        set(keyFirst, i32.load(get(segment))),
        set(keyEnd, i32.load(get(segment), 4)),
        set(first, larger(blockFirst, get(keyFirst))),
        set(end, smaller(blockEnd, get(keyEnd))),
        when(i32.ltS(get(first), get(end)), [
          part === undefined ? [] : when(i32.ltS(get(part.base), i32.of(0)), set(part.base, get(keyFirst))),
          attend(frame, options, layout, head, job, part),
        ]),
        advance(segment, i32.of(4)),
      ]),
    ];
    return [setup, forItems(frame, item, [place, perSegment])];
  });
}
