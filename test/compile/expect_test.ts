import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { type Claim, type EmittedStep, isRefusal, type KernelSpec } from "../../runtime/abi/kernel.ts";
import { type CompileResult, compileGraph } from "../../runtime/compile/compile.ts";
import { decodeFloats } from "../../runtime/core/base64.ts";
import { type Box, evaluate, floorDiv } from "../../runtime/core/dim.ts";
import { type ProofResult, proveArtifact } from "../../runtime/exec/prove.ts";
import { createGraphBuilder, type GraphBuilder, type Node } from "../../runtime/ir/builder.ts";
import { type Attributes, createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { BARE_HOST } from "../kit/run_graph.ts";

const SYMBOLS: Box = { batch: { min: 1, max: 4 }, tokens: { min: 3, max: 12, multipleOf: 3 } };
const TARGET = "wasm-simd128";
const KERNELS: readonly KernelSpec[] = wasmPlugin.kernels ?? [];

function compile(
  build: (b: GraphBuilder) => void,
  kernels: readonly KernelSpec[] = KERNELS,
  symbols: Box = SYMBOLS,
): CompileResult {
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols, interner });
  build(b);
  return compileGraph(b.finish(), {
    interner,
    kernels,
    target: TARGET,
    capabilities: wasmPlugin.devices?.[0].targetCapabilities(TARGET) ?? {},
    enabled: true,
  });
}

/** Kernels that compute something else: every claim for an op is made for the op with other attributes. */
function withAttributes(op: string, change: (attributes: Attributes) => Attributes): readonly KernelSpec[] {
  return KERNELS.map((k) => ({
    ...k,
    claim: (context, node) =>
      k.claim(context, node.op === op ? { ...node, attributes: change(node.attributes) } : node).map((offer) => {
        if (isRefusal(offer) || node.op !== op) return offer;
        const covers = offer.covers.map((n) => (n.op === op ? node : n));
        return { ...offer, covers, output: offer.output.op === op ? node : offer.output };
      }),
  }));
}

/** Kernels whose steps are changed on their way. */
function withSteps(change: (step: EmittedStep) => EmittedStep | undefined): readonly KernelSpec[] {
  return KERNELS.map((k) => ({
    ...k,
    claim: (context, node) =>
      k.claim(context, node).map((offer) =>
        isRefusal(offer)
          ? offer
          : ({
              ...offer,
              emit: (e) =>
                offer.emit({
                  ...e,
                  step: (s) => {
                    const changed = change(s);
                    if (changed !== undefined) e.step(changed);
                  },
                }),
            } satisfies Claim),
      ),
  }));
}

async function prove(compiled: CompileResult): Promise<readonly ProofResult[]> {
  const device = (await wasmPlugin.devices?.[0].open(BARE_HOST, { threads: 0, target: TARGET })) as Device;
  try {
    await device.load(compiled.code);
    const { results } = await proveArtifact(device, compiled.artifact);
    const proofs = [...results].sort(([a], [b]) => a - b).map(([, proof]) => proof);
    assert.equal(device.stats().bytesInUse, 0);
    return proofs;
  } finally {
    await device.close();
  }
}

async function failures(compiled: CompileResult): Promise<readonly string[]> {
  const failed = (await prove(compiled)).flatMap((p, i) =>
    p.pass ? [] : [[...compiled.artifact.expectations[i].steps, p.covers]],
  );
  // A claim counts once, at however many points it fails.
  return [...new Map(failed.map((f) => [f.join(), String(f[2])])).values()];
}

const x = (b: GraphBuilder): Node => b.input("x", [b.dims.batch, b.dims.tokens, 16]);
const w = (b: GraphBuilder, name: string): Node => b.weight(name, [16]);

function block(b: GraphBuilder): void {
  const inner = b.layerNorm(x(b), w(b, "g"), w(b, "h"), 1e-5);
  const wide = b.add(b.matmul(inner, b.weight("up", [32, 16]), { transposeB: true }), b.weight("up.bias", [32]));
  b.output("y", b.add(x2(b), b.matmul(b.unary("quick_gelu", wide), b.weight("down", [16, 32]), { transposeB: true })));
}

const x2 = (b: GraphBuilder): Node => b.input("residual", [b.dims.batch, b.dims.tokens, 16]);

test("expectations: right kernels pass, every step is proven and 256 values or all are compared", async () => {
  const compiled = compile(block);
  const { expectations, steps } = compiled.artifact;
  assert.deepEqual(await failures(compiled), []);
  assert.deepEqual(
    [...new Set(expectations.flatMap(({ steps: [from, end] }) => [...Array(end).keys()].slice(from)))],
    [...steps.keys()],
  );
  for (const { rows, columns, width, values, dims } of expectations) {
    const compared = decodeFloats(values);
    assert.equal(compared.length, rows.length * columns.length);
    assert.equal(new Set(rows).size, rows.length);
    assert.equal(new Set(columns).size, columns.length);
    const height = dims.batch * dims.tokens;
    if (dims.batch === 4 && dims.tokens === 12) assert.ok(compared.length >= 256);
    // The corners, where tiles end.
    for (const corner of [0, height - 1]) assert.ok(rows.includes(corner));
    for (const corner of [0, width - 1]) assert.ok(columns.includes(corner));
  }
});

test("expectations: corners and points inside, multiples and never 0; what costs too much moves to the lower corner", () => {
  const dimsOf = (symbols: Box): readonly unknown[] =>
    compile((b) => b.output("y", b.matmul(x(b), b.weight("w", [16, 16]))), KERNELS, symbols).artifact.expectations.map(
      (e) => e.dims,
    );
  const small = dimsOf(SYMBOLS) as readonly { batch: number; tokens: number }[];
  assert.deepEqual(small[0], { batch: 4, tokens: 12 });
  assert.ok(small.some((d) => d.batch === 1 && d.tokens === 3));
  assert.ok(small.length > 2 && small.every((d) => d.tokens % 3 === 0 && d.tokens > 0));
  const large = dimsOf({ batch: { min: 1, max: 64 }, tokens: { min: 1, max: 32000, multipleOf: 7 } }) as typeof small;
  assert.ok(large[0].tokens > 7 && large[0].tokens < 31_997);
  assert.ok(large.some((d) => d.batch === 1 && d.tokens === 7));
  assert.deepEqual(dimsOf({ batch: { min: 0, max: 1 }, tokens: { min: 0, max: 1 } }), [{ batch: 1, tokens: 1 }]);
});

test("expectations: a wrong epsilon is caught, though values of size 1 would hide it", async () => {
  const norms: readonly (readonly [string, number, (b: GraphBuilder) => void])[] = [
    ["layer_norm", 1e-5, (b) => b.output("y", b.layerNorm(x(b), w(b, "g"), w(b, "h"), 1e-5))],
    ["rms_norm", 1e-6, (b) => b.output("y", b.rmsNorm(x(b), w(b, "g"), 1e-6))],
    ["layer_norm", 1e-12, (b) => b.output("y", b.layerNorm(x(b), w(b, "g"), w(b, "h"), 1e-12))],
  ];
  for (const [op, eps, build] of norms) {
    assert.deepEqual(await failures(compile(build)), [], op);
    for (const wrong of [eps * 10, eps / 10, eps * 1.1, 0]) {
      const kernels = withAttributes(op, (a) => ({ ...a, eps: wrong }));
      assert.deepEqual(await failures(compile(build, kernels)), [op], `${op} ${eps} as ${wrong}`);
    }
  }
});

test("expectations: wrong scales, masks, segments and directions of attention are caught", async () => {
  const headed = (b: GraphBuilder, name: string): Node => b.input(name, [b.dims.batch, b.dims.tokens, 2, 8]);
  const build = (b: GraphBuilder): void => {
    const [q, k, v] = ["q", "k", "v"].map((name) => headed(b, name));
    const keyMask = b.input("mask", [b.dims.batch, b.dims.tokens]);
    const cuSeqlens = b.input("offsets", [3], "i32");
    b.output("causal", b.attention(q, k, v, { causal: true }));
    b.output("masked", b.attention(q, k, v, { keyMask }));
    b.output("segments", b.attention(q, k, v, { cuSeqlens }));
  };
  assert.deepEqual(await failures(compile(build)), []);
  const wrong: readonly (readonly [number, (a: Attributes) => Attributes])[] = [
    [3, (a) => ({ ...a, scale: (a.scale as number) * 1.001 })],
    [3, (a) => ({ ...a, causal: a.causal !== true })],
  ];
  for (const [count, change] of wrong)
    assert.equal((await failures(compile(build, withAttributes("attention", change)))).length, count);
});

/** The code with every f32 constant `from` replaced; how many there were. */
function replaceFloat(
  code: Uint8Array,
  from: number,
  to: number,
): { readonly code: Uint8Array; readonly found: number } {
  const copy = Uint8Array.from(code);
  const view = new DataView(copy.buffer);
  let found = 0;
  for (let at = 0; at + 4 <= copy.length; at++) {
    if (view.getFloat32(at, true) !== Math.fround(from)) continue;
    view.setFloat32(at, to, true);
    found++;
  }
  return { code: copy, found };
}

test("expectations: few numbers that cancel by chance are no failure of a right kernel", async () => {
  const product = (b: GraphBuilder, i: number): Node =>
    b.matmul(b.input(`x${i}`, [b.dims.batch, 400]), b.weight(`w${i}`, [1, 400]), { transposeB: true });
  const outputs = Array.from({ length: 60 }, (_, i) => i);
  const compiled = compile(
    (b) => {
      for (const i of outputs) b.output(`y${i}`, b.unary("quick_gelu", product(b, i)));
    },
    KERNELS,
    { batch: { min: 1, max: 40 } },
  );
  assert.deepEqual(await failures(compiled), []);
});

test("expectations: long sums, and activations that leave little of them, are no failure of a right kernel", async () => {
  const layer = (b: GraphBuilder, terms: number): Node =>
    b.matmul(b.input(`x${terms}`, [b.dims.batch, terms]), b.weight(`w${terms}`, [64, terms]), { transposeB: true });
  const compiled = compile(
    (b) => {
      b.output("plain", layer(b, 12_800));
      b.output("gelu", b.unary("gelu", layer(b, 6912)));
      b.output("tanh", b.unary("tanh", b.add(layer(b, 3072), b.weight("bias", [64]))));
      b.output("gated", b.mul(b.unary("tanh", layer(b, 4096)), b.input("gate", [b.dims.batch, 64])));
    },
    KERNELS,
    { batch: { min: 1, max: 16 } },
  );
  assert.deepEqual(await failures(compiled), []);
});

test("expectations: attention whose queries are made of weights has large logits, which is no failure", async () => {
  const compiled = compile(
    (b) => {
      for (const name of ["a", "b", "c", "d"]) {
        const query = b.matmul(b.weight(`probe.${name}`, [1, 2304]), b.weight(`q.${name}`, [64, 2304]), {
          transposeB: true,
        });
        const keys = (what: string): Node => b.input(`${what}.${name}`, [1, b.dims.keys, 1, 64]);
        b.output(name, b.attention(b.reshape(query, [1, 1, 1, 64]), keys("k"), keys("v"), { scale: 1 / 8 }));
      }
    },
    KERNELS,
    { keys: { min: 1, max: 1025 } },
  );
  assert.deepEqual(await failures(compiled), []);
});

test("expectations: a wrong constant in a kernel's code is caught", async () => {
  const compiled = compile(block);
  const caught: number[] = [];
  for (const [digest, blob] of compiled.code) {
    for (const sign of [1, -1]) {
      const { code, found } = replaceFloat(blob, sign * 1.702, sign * 1.7021);
      if (found === 0) continue;
      const failed = await failures({ ...compiled, code: new Map([...compiled.code, [digest, code]]) });
      assert.deepEqual(failed, ["matmul + add + quick_gelu"]);
      caught.push(found);
    }
  }
  assert.ok(caught.length > 0);
});

test("expectations: work that is left out is caught", async () => {
  const half = withSteps((s) => ({ ...s, grid: evaluate(s.grid, { batch: 4, tokens: 12 }) - 1 }));
  assert.equal(
    (await failures(compile(block, half))).length,
    new Set((await prove(compile(block))).map((p) => p.covers)).size,
  );
  const none = withSteps((s) => (s.name === "layer_norm" ? undefined : s));
  assert.deepEqual(
    new Set((await prove(compile(block, none))).filter((p) => !p.pass).map((p) => `${p.kernel} ${p.worst}`)),
    new Set(["none Infinity"]),
  );
});

test("expectations: results of integers are compared as integers, a gather by copied indices reads inside of its table", async () => {
  const build = (b: GraphBuilder): void => {
    const indices = b.input("indices", [b.dims.tokens, b.dims.batch], "i32");
    const moved = b.transpose(indices, [1, 0]);
    b.output("moved", b.op("contiguous", [moved]));
    b.output("rows", b.gather(b.weight("table", [5, 16]), moved));
  };
  const compiled = compile(build);
  const { expectations } = compiled.artifact;
  const integers = expectations.filter((e) => e.outputType === "i32");
  assert.ok(integers.length > 0 && integers.length < expectations.length);
  for (const e of integers) assert.ok(decodeFloats(e.values).some((v) => v > 0 && Number.isInteger(v)));
  assert.deepEqual(await failures(compiled), []);
  // Words that nobody wrote are no result.
  const lazy = compile(
    build,
    withSteps((s) => ({ ...s, grid: 0 })),
  );
  assert.deepEqual([...new Set(await failures(lazy))].sort(), ["contiguous", "gather"]);
});

test("sizes at which a value, or what it is made of, has no element prove nothing", async () => {
  const symbols = { size: { min: 1, max: 40 } };
  const { artifact } = compile(
    (b) => {
      // As many rows as whole patches of 14 in a side.
      const rows = floorDiv(b.dims.size, 14);
      const patches = b.slice(b.unary("abs", b.input("pixels", [b.dims.size, 8])), 0, 0, rows);
      const sums = b.unary("neg", b.unary("exp", patches));
      b.output("sums", sums);
      b.output("picked", b.op("gather", [sums, b.input("order", [3], "i32")]));
    },
    KERNELS,
    symbols,
  );
  for (const { dims, values } of artifact.expectations) {
    assert.ok(decodeFloats(values).length > 0, `a value of size ${dims.size} is empty`);
  }
  const sizes = artifact.expectations.map(({ dims }) => dims.size);
  assert.ok(sizes.includes(40) && !sizes.includes(13), sizes.join(", "));
});
