/** Attention that streams over keys: memory for any number of keys is the same few blocks of scratch. */

import { type Code, get, i32, type Local, set } from "../asm/code.ts";
import { when, whileLoop } from "../asm/control_flow.ts";
import { type KernelFrame, type KernelModule, kernelModule } from "../asm/module.ts";
import { remembered } from "../asm/remember.ts";
import { attendBlock, packBlock } from "./attention_block.ts";
import { type AttentionOptions, attentionArguments, attentionLayout } from "./attention_grid.ts";
import { inScratch, type ScratchLayout } from "./attention_layout.ts";
import { finishQueries, startQueries } from "./attention_queries.ts";
import { spreadAttention } from "./attention_spread.ts";
import { advance, forItems, repeatWhile, word, wordBytes } from "./loops.ts";
import { ceilDivision, smaller, wordsAfter } from "./size.ts";

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
  const scale = startQueries(frame, layout, options.scale, rows, query, head.queryBytes);
  const spread = layout.spread === undefined ? undefined : spreadAttention(frame, block, layout.spread);
  const start = [scale, spread?.start ?? []];
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
        spread?.attend ?? attendBlock(frame, block),
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
export const attentionKernel: (options: AttentionOptions) => KernelModule = remembered((options) => {
  const layout = attentionLayout(options);
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
    const headStart = (name: string, own: Code): Code =>
      wordsAfter(
        argument(name),
        i32.mul(get(batch), argument(`${name}_batch_stride`)),
        i32.mul(own, argument(`${name}_head_stride`)),
      );
    const { group = 1 } = options;
    const keyHead = group === 1 ? get(number) : i32.divU(get(number), i32.of(group));
    const [blockNumber, ofBlock] =
      part === undefined ? [item, []] : placeInParts(frame, options, part, item, argument("parts"));
    const place = [
      ofBlock,
      set(block, i32.remU(get(blockNumber), get(blocks))),
      set(batch, i32.divU(get(blockNumber), get(blocks))),
      set(number, i32.remU(get(batch), heads)),
      set(batch, i32.divU(get(batch), heads)),
      set(query, headStart("q", get(number))),
      set(key, headStart("k", keyHead)),
      set(value, headStart("v", keyHead)),
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
});
