/** Wrong kernels: caught by the proof on this device, put aside by name, and replaced by the next cover. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Code, f32, get, i32, set } from "../../kernels/wasm/asm/code.ts";
import { type KernelFrame, kernelModule } from "../../kernels/wasm/asm/module.ts";
import { forItems, word, wordBytes } from "../../kernels/wasm/emit/loops.ts";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { createRuntime, definePlugin, type KernelSpec, type Plugin, type RuntimeOptions } from "../../mod.ts";
import { product } from "../../runtime/core/dim.ts";
import type { CallOptions } from "../../runtime/exec/forward_context.ts";
import { ProofError } from "../../runtime/exec/prove.ts";
import { createMemoryStore } from "../../runtime/exec/store/memory_store.ts";
import type { Store } from "../../runtime/exec/store/store.ts";
import { hasCode } from "../kit/assertions.ts";

const WIDTH = 3;

/** i32 0 or 1: whether the element at `item` of `count` comes out wrong. */
type Wrong = (frame: KernelFrame, item: Code, count: Code) => Code;

/** Elementwise squares at no cost, which beats every other claim; wrong where told. */
function squarePlugin(name: string, wrong: Wrong): Plugin {
  const code = kernelModule((frame) => {
    const [item, at] = frame.locals("i32", 2);
    const x = f32.load(i32.add(word(frame, 1), get(at)));
    // Bits of -1, which no square has.
    const minusOne = i32.of(0xbf800000 | 0);
    const off = wrong(frame, get(item), word(frame, 2));
    return forItems(frame, item, [
      set(at, wordBytes(get(item))),
      i32.store(i32.add(word(frame, 0), get(at)), i32.select(off, minusOne, i32.reinterpretF32(f32.mul(x, x)))),
    ]);
  }).bytes;
  const kernel: KernelSpec = {
    name,
    device: "wasm",
    reads: [],
    claim: (_, node) => {
      if (node.op !== "mul" || node.inputs[0] !== node.inputs[1]) return [];
      const grid = product(node.shape);
      return [
        {
          kernel: name,
          covers: [node],
          output: node,
          operands: [{ node: node.inputs[0], access: "dense" }],
          weights: [],
          cost: { flops: 0, bytes: 0, launches: 0 },
          emit: (e) =>
            e.step({
              name: "square",
              code,
              args: [
                { place: e.output, offset: 0, mode: "write" },
                { place: e.operand(0).place, offset: 0, mode: "read" },
                { size: grid },
              ],
              grid,
              flops: grid,
            }),
        },
      ];
    },
  };
  return definePlugin({ name: `@test/${name}`, version: "1.0.0", abi: 1, kernels: [kernel] });
}

const NEVER: Wrong = () => i32.of(0);
const SINS: Readonly<Record<string, Wrong>> = {
  wrong_over_1000: (_, __, count) => i32.gtS(count, i32.of(1000 * WIDTH)),
  wrong_in_last_row: (_, item, count) => i32.geS(item, i32.sub(count, i32.of(WIDTH))),
  wrong_in_tails: (_, item, count) => i32.geS(item, i32.and(count, i32.of(~15))),
  wrong_everywhere: () => i32.of(1),
};

async function squares(
  plugin: Plugin,
  options: RuntimeOptions,
  rows = 5,
  call: CallOptions = {},
): Promise<{ readonly kernels: readonly string[]; readonly problems: readonly string[]; readonly proven: number }> {
  const problems: string[] = [];
  const runtime = await createRuntime({
    threads: 0,
    plugins: [plugin, wasmPlugin],
    onProblem: (sentence) => problems.push(sentence),
    ...options,
  });
  try {
    const component = await runtime.compile({
      tag: "example/square",
      symbols: { rows: { min: 1, max: 4096 } },
      build: (b) => {
        const x = b.input("x", [b.dims.rows, WIDTH]);
        b.output("y", b.mul(x, x));
      },
    });
    const data = Float32Array.from({ length: rows * WIDTH }, (_, i) => i % 7);
    const { y } = await component.run({ x: { dtype: "f32", shape: [rows, WIDTH], data } }, call);
    assert.deepEqual(
      y.data,
      data.map((v) => v * v),
    );
    const { quarantined, counters } = runtime.stats();
    assert.deepEqual(
      problems,
      quarantined.map((q) => q.reason),
    );
    return {
      kernels: [...component.explain().matchAll(/^ {6}(\S+)\/\S+: /gm)].map((m) => m[1]),
      problems,
      proven: counters.proven,
    };
  } finally {
    await runtime.close();
  }
}

test("a kernel that is right and cheap is taken and stays", async () => {
  assert.deepEqual(await squares(squarePlugin("right", NEVER), {}), { kernels: ["right"], problems: [], proven: 1 });
});

for (const [name, wrong] of Object.entries(SINS)) {
  test(`a kernel that is ${name.replaceAll("_", " ")} is put aside by name, and the next cover runs`, async () => {
    for (const rows of [1, 7, 1500]) {
      const { kernels, problems } = await squares(squarePlugin(name, wrong), {}, rows);
      assert.deepEqual(kernels, ["elementwise"]);
      assert.equal(problems.length, 1);
      assert.match(problems[0], new RegExp(`^The kernel "${name}" was put aside: .*"example/square" at rows \\d+`));
    }
  });
}

test("ranges that were compiled with a kernel before another's proof put it aside are compiled again at once", async () => {
  // Wrong in one range alone, so that no proof of the others tells.
  const sins: Readonly<Record<string, Wrong>> = {
    wrong_to_16: (_, __, count) => i32.leS(count, i32.of(16 * WIDTH)),
    wrong_over_1000: SINS.wrong_over_1000,
  };
  const compile = { base: { ranges: { ends: { rows: [16, 64] } } } };
  for (const [name, wrong] of Object.entries(sins)) {
    const { kernels, problems } = await squares(squarePlugin(name, wrong), { compile });
    assert.deepEqual(kernels, ["elementwise", "elementwise", "elementwise"]);
    assert.equal(problems.length, 1);
    assert.match(problems[0], new RegExp(`^The kernel "${name}" was put aside: `));
  }
});

test("a kernel that the engine stops is put aside as well", async () => {
  const outside: Wrong = (_, item) => i32.load(i32.or(item, i32.of(0x7fff0000)));
  const { kernels, problems } = await squares(squarePlugin("out_of_bounds", outside), {});
  assert.deepEqual(kernels, ["elementwise"]);
  assert.match(problems[0], /"out_of_bounds" was put aside: there is no result for "mul" .*out of bounds/i);
});

test("where no kernel is left, the error says which one was put aside and why", async () => {
  const others = (wasmPlugin.kernels ?? []).filter(({ name }) => name !== "elementwise");
  const wrong = squarePlugin("wrong_everywhere", SINS.wrong_everywhere);
  await assert.rejects(
    squares(wrong, { plugins: [wrong, { ...wasmPlugin, kernels: others }] }),
    hasCode("no_kernel", /No kernel takes "mul" .* The kernel "wrong_everywhere" was put aside: .* is off by/),
  );
});

test("strict: a failed proof is an error that names kernel, component, sizes and difference", async () => {
  const plugin = squarePlugin("wrong_everywhere", SINS.wrong_everywhere);
  await assert.rejects(squares(plugin, { compile: { strict: true } }), (error: unknown) => {
    assert.ok(error instanceof ProofError);
    assert.match(
      error.message,
      /"example\/square" for rows 1\.\.4096 failed its proof:.*"mul".*off by .*step wrong_everywhere\/square/,
    );
    return true;
  });
});

test("strict: a proof that fails inside a call names the request as well", async () => {
  const plugin = squarePlugin("wrong_everywhere", SINS.wrong_everywhere);
  const compile = { strict: true, base: { lazy: true } };
  await assert.rejects(squares(plugin, { compile }, 5, { requestId: "order 8" }), (error: unknown) => {
    assert.ok(error instanceof ProofError);
    assert.equal(error.exitCode, 1);
    assert.match(error.message, /failed its proof:/);
    assert.match(error.message, / This was request order 8 \(example\/square\), .*"example\/square" at rows 5\.$/);
    return true;
  });
});

test("what was attested is not proven again; a failed attestation puts the kernel aside without a proof", async () => {
  const cache: Store = createMemoryStore();
  const right = squarePlugin("right", NEVER);
  assert.equal((await squares(right, { cache })).proven, 1);
  assert.equal((await squares(right, { cache })).proven, 0);
  const wrong = squarePlugin("wrong_in_last_row", SINS.wrong_in_last_row);
  // The wrong artifact and the one that replaces it.
  assert.equal((await squares(wrong, { cache })).proven, 2);
  const again = await squares(wrong, { cache });
  assert.equal(again.proven, 0);
  assert.deepEqual(again.kernels, ["elementwise"]);
  assert.equal(again.problems.length, 1);
});

test("two plugins that bring one kernel name are refused, naming both", async () => {
  const plugin = squarePlugin("matmul", NEVER);
  await assert.rejects(squares(plugin, {}), /"@test\/matmul" and "@fovea\/wasm" both bring a kernel "matmul"/);
});
