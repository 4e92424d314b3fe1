/** Patterns against graphs: what is claimed, with which sizes, and why not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadPlugin } from "../../mod.ts";
import type { Capabilities } from "../../runtime/abi/device.ts";
import { type Claim, isRefusal, type KernelSpec, type Offer } from "../../runtime/abi/kernel.ts";
import { createClaimContext } from "../../runtime/compile/cover.ts";
import { createViewResolver } from "../../runtime/compile/views.ts";
import { type Box, dimKey } from "../../runtime/core/dim.ts";
import type { GraphBuilder, Node } from "../../runtime/ir/builder.ts";
import { nodesOf } from "../../runtime/ir/graph.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { buildGraph } from "../kit/run_graph.ts";
import { moduleBytes, pluginFiles } from "./assemble.ts";
import { squaring } from "./kernels.ts";

/** `gelu(x * scale + bias)`, rows over the grid. */
const KERNEL = {
  name: "affine_gelu",
  entry: "run",
  pattern: {
    op: "gelu",
    inputs: [{ op: "add", inputs: [{ op: "mul", inputs: ["x", "scale"] }, "bias"] }],
  },
  operands: { x: { shape: ["...rows", "width"] }, scale: { shape: ["width"] }, bias: { shape: ["width"] } },
  output: ["...rows", "width"],
  ranges: { width: { min: 8, max: 64, multipleOf: 8 } },
  grid: "rows",
  arguments: ["output", "x", "scale", "bias", "rows", "width"],
  flops: "20 * rows * width",
};

const BOX: Box = { batch: { min: 1, max: 4 }, tokens: { min: 1, max: 100 } };

type Build = (b: GraphBuilder) => Node;

async function offers(
  build: Build,
  kernel: object = KERNEL,
  capabilities: Capabilities = { simd128: true },
): Promise<readonly Offer[]> {
  const { kernels } = await loadPlugin(pluginFiles(moduleBytes({ code: squaring() }), kernel));
  const [spec] = kernels as readonly KernelSpec[];
  const graph = buildGraph(BOX, (b) => b.output("y", build(b)));
  const view = createViewResolver(OP_TABLE);
  const context = createClaimContext(graph, { capabilities, table: OP_TABLE, view });
  return nodesOf(graph).flatMap((node) => spec.claim(context, node));
}

const onlyClaim = async (build: Build, kernel?: object): Promise<Claim> => {
  const [offer, ...others] = await offers(build, kernel);
  assert.ok(offer !== undefined && others.length === 0 && !isRefusal(offer), "one claim");
  return offer;
};

const onlyRefusal = async (build: Build, kernel?: object, capabilities?: Capabilities): Promise<string> => {
  const [offer, ...others] = await offers(build, kernel, capabilities);
  assert.ok(offer !== undefined && others.length === 0 && isRefusal(offer));
  return offer.reason;
};

const x = (b: GraphBuilder, width = 32): Node => b.input("x", [b.dims.batch, b.dims.tokens, width]);
const parameter = (b: GraphBuilder, name: string, width = 32): Node => b.weight(name, [width]);

test("a chain is claimed whole, its sizes bound, with the factors of products and sums in any order", async () => {
  const orders: readonly Build[] = [
    (b) => b.unary("gelu", b.add(b.mul(x(b), parameter(b, "s")), parameter(b, "t"))),
    (b) => b.unary("gelu", b.add(parameter(b, "t"), b.mul(parameter(b, "s"), x(b)))),
  ];
  for (const build of orders) {
    const claim = await onlyClaim(build);
    assert.equal(claim.kernel, "@test/foreign/affine_gelu");
    assert.deepEqual(
      claim.covers.map((n) => n.op),
      ["mul", "add", "gelu"],
    );
    assert.equal(dimKey(claim.cost.flops), "640*batch*tokens");
    // Read, written, and copied in and out.
    assert.equal(dimKey(claim.cost.bytes), `${32 * 4 * 2 * 2}*batch*tokens + ${4 * 32 * 4}`);
    assert.deepEqual([claim.operands.length, claim.weights.map((n) => n.attributes.name)], [1, ["s", "t"]]);
  }
});

test("what does not fit is refused with what was found, or is none of its ops", async () => {
  const chain: Build = (b) => b.unary("gelu", b.add(b.mul(x(b), parameter(b, "s")), parameter(b, "t")));
  assert.deepEqual(await offers((b) => b.unary("gelu", x(b))), []);
  const wide: Build = (b) => b.unary("gelu", b.add(b.mul(x(b, 72), parameter(b, "s", 72)), parameter(b, "t", 72)));
  assert.equal(await onlyRefusal(wide), "it takes width from 8 to 64, found 72.");
  const odd: Build = (b) => b.unary("gelu", b.add(b.mul(x(b, 12), parameter(b, "s", 12)), parameter(b, "t", 12)));
  assert.equal(await onlyRefusal(odd), "it takes width in multiples of 8, found 12.");
  const scalar: Build = (b) => b.unary("gelu", b.add(b.mul(x(b), b.constant(2)), parameter(b, "t")));
  assert.match(await onlyRefusal(scalar), /^(scale|x) has the shape \[\]; it takes \[.*width\]\.$/);
  const shared: Build = (b) => {
    const scaled = b.mul(x(b), parameter(b, "s"));
    return b.mul(b.unary("gelu", b.add(scaled, parameter(b, "t"))), scaled);
  };
  assert.equal(await onlyRefusal(shared), 'its inner value "mul" has other users.');
  assert.equal(await onlyRefusal(chain, KERNEL, {}), "its builds need simd128.");
  const weighty = { ...KERNEL, operands: { ...KERNEL.operands, x: { shape: ["...rows", "width"], weight: true } } };
  assert.equal(await onlyRefusal(chain, weighty), "x does not depend on weights alone.");
  const heavy = { ...KERNEL, flops: "100000000000 * rows" };
  const below = { ...KERNEL, flops: "rows - 100 * width" };
  assert.match(await onlyRefusal(chain, below), /^its flops may be -3199; expected a size from 0 on\.$/);
  const greedy = { ...KERNEL, scratch: "4000000000", arguments: [...KERNEL.arguments, "scratch"] };
  assert.match(await onlyRefusal(chain, greedy), /^it takes 4000000000 bytes of scratch, more than 268435456\.$/);
  assert.match(await onlyRefusal(chain, heavy), /^one item of its grid does \d+ operations, more than 67108864/);
});

test("attributes and constants must be equal, or are bound; an operand that occurs twice is one value", async () => {
  const norm = (eps: unknown): object => ({
    ...KERNEL,
    pattern: { op: "layer_norm", inputs: ["x", "scale", "bias"], attributes: { eps } },
  });
  const build: Build = (b) => b.layerNorm(x(b), parameter(b, "s"), parameter(b, "t"), 1e-6);
  assert.equal((await onlyClaim(build, norm(1e-6))).output.op, "layer_norm");
  assert.equal((await onlyClaim(build, norm({ bind: "eps" }))).output.op, "layer_norm");
  assert.deepEqual(await offers(build, norm(1e-5)), []);
  const doubled = {
    ...KERNEL,
    pattern: { op: "mul", inputs: ["x", { constant: 2 }] },
    operands: { x: KERNEL.operands.x },
  };
  const twice = { ...doubled, arguments: ["output", "x", "rows", "width"] };
  assert.equal((await onlyClaim((b) => b.mul(b.constant(2), x(b)), twice)).output.op, "mul");
  assert.deepEqual(await offers((b) => b.mul(b.constant(3), x(b)), twice), []);
  const square = { ...twice, pattern: { op: "mul", inputs: ["x", "x"] } };
  const squared: Build = (b) => {
    const value = x(b);
    return b.mul(value, value);
  };
  assert.equal((await onlyClaim(squared, square)).output.op, "mul");
  assert.deepEqual(await offers((b) => b.mul(x(b), b.input("z", [b.dims.batch, b.dims.tokens, 32])), square), []);
});
