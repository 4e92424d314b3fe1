import { type Dim, mul } from "../../../runtime/core/dim.ts";
import { type Code, f32, f32x4, get, i32, type Local, set, v128, when, whileLoop } from "../asm/code.ts";
import { type KernelModule, kernelModule } from "../asm/module.ts";
import { lowerExpr } from "./expr.ts";
import { advance, forItems, word, wordBytes } from "./loops.ts";
export interface AttentionOptions {
  headDim: number;
  scale: number;
  causal: boolean;
  keyMask: boolean;
  segments: boolean;
  madd: boolean;
}
export const attentionArguments = (o: AttentionOptions): readonly string[] => [
  "output",
  "q",
  "k",
  "v",
  "heads",
  "queries",
  "keys",
  ...["q", "k", "v"].flatMap((n) => [`${n}_batch_stride`, `${n}_token_stride`, `${n}_head_stride`]),
  ...(o.keyMask ? ["key_mask"] : []),
  ...(o.segments ? ["cu_seqlens", "segments"] : []),
];
export const attentionScratch = (o: AttentionOptions): number => o.headDim * 4 + 64;
export const attentionGrid = (batch: Dim, heads: Dim, queries: Dim, _o: AttentionOptions): Dim =>
  mul(batch, heads, queries);
export function attentionKernel(o: AttentionOptions): KernelModule {
  const words = attentionArguments(o);
  return kernelModule((frame) => {
    const arg = (n: string): Code => word(frame, words.indexOf(n));
    const [item, b, i, h, q, k, v, j, first, end, d, out, s, kk, vv] = frame.locals("i32", 15);
    const [m, l, x, p, c] = frame.locals("v128", 5);
    const [dot] = frame.locals("f32", 1);
    const dif = frame.local("v128");
    const ex = lowerExpr(frame, { op: "exp", args: [{ input: 0 }] }, [dif], false);
    const D = o.headDim;
    const loopD = (body: Code): Code => [
      set(d, i32.of(0)),
      whileLoop(i32.ltS(get(d), i32.of(4 * D)), [body, advance(d, i32.of(4))]),
    ];
    const at = (base: Local): Code => i32.add(get(base), get(d));
    const seg = o.segments
      ? [
          set(s, i32.of(0)),
          whileLoop(i32.ltS(get(s), arg("segments")), [
            when(
              i32.and(
                i32.geS(get(i), i32.load(i32.add(arg("cu_seqlens"), wordBytes(get(s))))),
                i32.ltS(get(i), i32.load(i32.add(arg("cu_seqlens"), wordBytes(get(s))), 4)),
              ),
              [
                set(first, i32.load(i32.add(arg("cu_seqlens"), wordBytes(get(s))))),
                set(end, i32.load(i32.add(arg("cu_seqlens"), wordBytes(get(s))), 4)),
              ],
            ),
            advance(s, i32.of(1)),
          ]),
        ]
      : [];
    return [
      forItems(frame, item, [
        set(h, i32.remU(get(item), arg("heads"))),
        set(i, i32.divU(get(item), arg("heads"))),
        set(b, i32.divU(get(i), arg("queries"))),
        set(i, i32.remU(get(i), arg("queries"))),
        set(first, i32.of(0)),
        set(end, arg("keys")),
        seg,
        o.causal ? when(i32.ltS(i32.add(get(i), i32.of(1)), get(end)), set(end, i32.add(get(i), i32.of(1)))) : [],
        set(
          q,
          i32.add(
            arg("q"),
            wordBytes(
              i32.add(
                i32.add(i32.mul(get(b), arg("q_batch_stride")), i32.mul(get(i), arg("q_token_stride"))),
                i32.mul(get(h), arg("q_head_stride")),
              ),
            ),
          ),
        ),
        set(
          k,
          i32.add(
            arg("k"),
            wordBytes(i32.add(i32.mul(get(b), arg("k_batch_stride")), i32.mul(get(h), arg("k_head_stride")))),
          ),
        ),
        set(
          v,
          i32.add(
            arg("v"),
            wordBytes(i32.add(i32.mul(get(b), arg("v_batch_stride")), i32.mul(get(h), arg("v_head_stride")))),
          ),
        ),
        set(out, i32.add(arg("output"), wordBytes(i32.mul(get(item), i32.of(D))))),
        loopD(f32.store(at(out), f32.of(0))),
        set(m, f32x4.of(-Infinity)),
        set(l, f32x4.of(0)),
        set(j, get(first)),
        whileLoop(i32.ltS(get(j), get(end)), [
          when(
            o.keyMask
              ? i32.reinterpretF32(
                  f32.load(i32.add(arg("key_mask"), wordBytes(i32.add(i32.mul(get(b), arg("keys")), get(j))))),
                )
              : i32.of(1),
            [
              set(kk, i32.add(get(k), wordBytes(i32.mul(get(j), arg("k_token_stride"))))),
              set(vv, i32.add(get(v), wordBytes(i32.mul(get(j), arg("v_token_stride"))))),
              set(dot, f32.of(0)),
              loopD(set(dot, f32.add(get(dot), f32.mul(f32.load(at(q)), f32.load(at(kk)))))),
              set(x, f32x4.splat(f32.mul(get(dot), f32.of(o.scale)))),
              set(p, f32x4.max(get(m), get(x))),
              set(dif, f32x4.sub(get(m), get(p))),
              ex.code,
              set(c, get(ex.result)),
              set(m, get(p)),
              set(dif, f32x4.sub(get(x), get(m))),
              ex.code,
              set(p, get(ex.result)),
              set(l, f32x4.add(f32x4.mul(get(l), get(c)), get(p))),
              loopD(
                f32.store(
                  at(out),
                  f32.add(
                    f32.mul(f32.load(at(out)), f32x4.extract(get(c), 0)),
                    f32.mul(f32x4.extract(get(p), 0), f32.load(at(vv))),
                  ),
                ),
              ),
            ],
          ),
          advance(j, i32.of(1)),
        ]),
        when(
          v128.anyTrue(f32x4.ne(get(l), f32x4.of(0))),
          loopD(f32.store(at(out), f32.div(f32.load(at(out)), f32x4.extract(get(l), 0)))),
        ),
      ]),
    ];
  });
}
