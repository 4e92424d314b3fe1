/** Kernels in JavaScript that break the contract: each is put aside by name, with its plugin, and the next cover computes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { createRuntime, definePlugin, type KernelSpec, type RuntimeOptions } from "../../mod.ts";
import type { ClaimContext, EmitContext, EmittedStep } from "../../runtime/abi/kernel.ts";
import type { Node } from "../../runtime/ir/node.ts";
import { hasCode } from "../kit/assertions.ts";

const STEP: EmittedStep = { name: "run", code: new Uint8Array(8), args: [], grid: 1, flops: 1 };

/** What a kernel "square" says of products, over a claim that adds one step. */
type Told = (context: ClaimContext, node: Node) => unknown;

const claiming =
  (change: object | ((node: Node) => object)): Told =>
  (_, node) => [
    {
      ...{ kernel: "square", covers: [node], output: node, weights: [] },
      operands: [{ node: node.inputs[0], access: "dense" }],
      cost: { flops: 0, bytes: 0, launches: 0 },
      emit: (e: EmitContext) => e.step(STEP),
      ...(typeof change === "function" ? change(node) : change),
    },
  ];

const emitting = (emit: (e: EmitContext) => void): Told => claiming({ emit });

/** Squares beside a kernel of a plugin; results must be right. */
async function problemsOf(told: Told, options: RuntimeOptions = {}): Promise<readonly string[]> {
  const claim = ((context, node) => (node.op === "mul" ? told(context, node) : [])) as KernelSpec["claim"];
  const plugin = definePlugin({
    ...{ name: "@test/wrong", version: "1.0.0", abi: 1 },
    kernels: [{ name: "square", device: "wasm", reads: [], claim }],
  });
  const problems: string[] = [];
  const onProblem = (sentence: string): void => void problems.push(sentence);
  const runtime = await createRuntime({
    threads: 0,
    cache: false,
    plugins: [plugin, wasmPlugin],
    onProblem,
    ...options,
  });
  try {
    const component = await runtime.compile({
      tag: "example/square",
      symbols: {},
      build: (b) => {
        const x = b.unary("abs", b.input("x", [4]));
        // A result as well, so that the product is nobody's but its own.
        b.output("absolute", x);
        b.output("y", b.mul(x, x));
      },
    });
    const { y } = await component.run({ x: { dtype: "f32", shape: [4], data: Float32Array.of(1, 2, 3, 4) } });
    assert.deepEqual(y.data, Float32Array.of(1, 4, 9, 16));
    return problems;
  } finally {
    await runtime.close();
  }
}

const boom = (): never => {
  throw new Error("boom.");
};

const WRONG: readonly (readonly [string, Told, string, RegExp])[] = [
  ["throws in claim", boom, "claim", /threw: boom /],
  ["gives no list", () => undefined, "claim", /gives undefined; expected a list of claims and refusals/],
  ["offers nothing that is", () => [null], "claim", /gives null among its offers; expected a claim or a refusal/],
  [
    "names another kernel",
    claiming({ kernel: "elementwise" }),
    "claim",
    /names the kernel "elementwise" in an offer; /,
  ],
  ["refuses without words", () => [{ kernel: "square", reason: 1 }], "claim", /gives a refusal without a node, or /],
  ["covers what is no node", claiming({ covers: [1] }), "claim", /whose `covers` are no list of nodes/],
  ["covers not its output", claiming((n) => ({ output: n.inputs[0] })), "claim", /whose `output` is none of the nodes/],
  [
    "reads in a way of its own",
    claiming((n) => ({ operands: [n] })),
    "claim",
    /whose `operands` are no list of \{ node, acc/,
  ],
  ["lists no weights", claiming({ weights: undefined }), "claim", /whose `weights` are no list of nodes/],
  [
    "costs less than nothing",
    claiming({ cost: { flops: -1, bytes: 0, launches: 0 } }),
    "claim",
    /whose `cost` is not \{ flops, bytes, launches \} of sizes from 0 on/,
  ],
  [
    "costs no number",
    claiming({ cost: { flops: Number.NaN, bytes: 0, launches: 0 } }),
    "claim",
    /whose `cost` is not \{ flops, bytes, launches \}/,
  ],
  ["emits by no function", claiming({ emit: 1 }), "claim", /whose `emit` is no function/],
  ["throws in emit", emitting(boom), "emit", /threw: boom /],
  ["adds no step", emitting(() => undefined), "emit", /adds no step/],
  ["asks for another operand", emitting((e) => void e.operand(3)), "emit", /asks for operand 3 of a claim that has 1/],
  [
    "asks for a weight that it did not list",
    emitting((e) => void e.weight({ op: "weight", inputs: [], attributes: { name: "scale" } } as unknown as Node)),
    "emit",
    /asks for the weight "scale" as a weight, which its claim does not list among its `weights`/,
  ],
  [
    "asks for nothing as a weight",
    emitting((e) => void e.weight(undefined as never)),
    "emit",
    /asks for undefined as a weight, which its claim does not list/,
  ],
  [
    "leaves out what its nodes read",
    claiming({ operands: [] }),
    "claim",
    /gives a claim that covers "mul" and leaves the result of "abs", which that reads, out of its `operands`/,
  ],
  [
    "reads its own result",
    claiming((n) => ({ operands: [...n.inputs, n].map((node) => ({ node, access: "dense" })) })),
    "claim",
    /gives a claim whose `operands` hold the result of "mul", which none of the nodes that it covers reads/,
  ],
  [
    "reads what its nodes do not",
    claiming((n) => ({ operands: [n.inputs[0], n.inputs[0].inputs[0]].map((node) => ({ node, access: "dense" })) })),
    "claim",
    /gives a claim whose `operands` hold the input "x", which none of the nodes that it covers reads/,
  ],
  [
    "takes a value for a weight",
    claiming((n) => ({ weights: [n.inputs[0]] })),
    "claim",
    /whose `weights` hold the result of "abs", which depends on more than weights; list it among its `operands`/,
  ],
  ["adds a step without a name", emitting((e) => e.step({ ...STEP, name: "" })), "emit", /adds a step without a name/],
  [
    "adds text as code",
    emitting((e) => e.step({ ...STEP, code: "" as never })),
    "emit",
    /whose `code` is no Uint8Array/,
  ],
  [
    "adds a step without words",
    emitting((e) => e.step({ ...STEP, args: 1 as never })),
    "emit",
    /whose `args` are no list of/,
  ],
  [
    "adds an endless grid",
    emitting((e) => e.step({ ...STEP, grid: 1 / 0 })),
    "emit",
    /whose `grid` or `flops` is no size/,
  ],
];

for (const [what, told, where, says] of WRONG) {
  test(`a kernel that ${what} is put aside with its plugin's name, and the next cover computes`, async () => {
    const problems = await problemsOf(told);
    assert.equal(problems.length, 1);
    assert.match(problems[0], /^The kernel "square" was put aside when it was asked: /);
    assert.ok(problems[0].includes(`: \`${where}\` of plugin "@test/wrong" `), problems[0]);
    assert.match(problems[0], says);
  });
}

test("a kernel whose code the engine refuses is put aside by name, and the next cover computes", async () => {
  // A module with a function section and no functions.
  const code = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 3, 2, 1, 0);
  const told = emitting((e) => e.step({ ...STEP, code }));
  const problems = await problemsOf(told);
  assert.equal(problems.length, 1);
  assert.match(
    problems[0],
    /^The kernel "square" was put aside when its code was loaded: the engine refused its code: .*\w.* \(step square\/run\)\.$/,
  );
  await assert.rejects(
    problemsOf(told, { compile: { strict: true } }),
    hasCode("kernel_failed", /^The kernel square\/run failed on .*: the engine refused its code: /),
  );
});

test("strict: a kernel that throws while it is asked is an error that names it and its plugin", async () => {
  await assert.rejects(
    problemsOf(boom, { compile: { strict: true } }),
    hasCode("kernel_failed", /^The kernel square\/claim failed on .*: `claim` of plugin "@test\/wrong" threw: boom\. /),
  );
});
