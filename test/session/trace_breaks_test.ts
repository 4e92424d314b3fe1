/** A deliberately bad component commits every sin that breaks a trace; each is found with its line. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ComponentInput,
  createRuntime,
  definePlugin,
  type EncoderSpec,
  FoveaError,
  findBreaks,
  type GraphBuilder,
  type Plugin,
  TraceBreakError,
  type TraceBreakKind,
} from "../../mod.ts";
import type { Box } from "../../runtime/core/dim.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { collectBreaks } from "../../runtime/session/artifacts/trace.ts";
import { hasCode } from "../kit/assertions.ts";

const SYMBOLS: Box = { tokens: { min: 1, max: 64 }, patches: { min: 1, max: 64 } };

interface Sin {
  readonly kind: TraceBreakKind;
  readonly says: RegExp;
  /** Commits it on its line; in a list, because engines with tail calls forget the line of a call that comes last. */
  readonly commit: (b: GraphBuilder, x: Any) => unknown;
}

// A plugin in plain JavaScript has no types that would stop it.
// biome-ignore lint/suspicious/noExplicitAny: see above
type Any = any;

const SINS: readonly Sin[] = [
  { kind: "host_read", says: /`\.data`/, commit: (_, x) => [x.data] },
  { kind: "host_read", says: /`\.item\(\)`/, commit: (_, x) => [x.item()] },
  { kind: "host_read", says: /turning it into text/, commit: (_, x) => [`${x}`] },
  { kind: "host_read", says: /iterating over it/, commit: (_, x) => [...x] },
  { kind: "branch", says: /compared or turned into a number/, commit: (_, x) => [x > 0 ? 1 : 2] },
  { kind: "branch", says: /compared or turned into a number/, commit: (_, x) => [Number(x)] },
  { kind: "unknown_op", says: /no operation "softmaks"/, commit: (b, x) => [b.op("softmaks", [x])] },
  { kind: "unnamed_size", says: /size -1/, commit: (b, x) => [b.reshape(x, [-1, 2])] },
  { kind: "unnamed_size", says: /size 1\.5/, commit: (b, x) => [b.reshape(x, [1.5, 2])] },
  { kind: "unnamed_size", says: /no symbol "token"/, commit: (b) => [(b.dims as Any).token] },
  { kind: "unnamed_size", says: /size undefined/, commit: (b, x) => [b.reshape(x, [x.shape[7], 4])] },
  { kind: "comparison", says: /tokens < patches/, commit: (b) => [b.dims.tokens.lessThan(b.dims.patches)] },
];

/** `file:line` of each sin as this file has it: the lines of SINS in order. */
function lineOf(message: string): string {
  return /at (trace_breaks_test\.ts:\d+):/.exec(message)?.[1] ?? message;
}

const bad = (sins: readonly Sin[]): ComponentInput => ({
  tag: "bad/vision.block",
  symbols: SYMBOLS,
  build: (b) => {
    const x = b.input("hidden_states", [b.dims.tokens, 4]);
    for (const sin of sins) sin.commit(b, b.unary("exp", x));
    b.output("y", x);
  },
});

test("every sin is a TraceBreakError with component, node, line, found and remedy", async () => {
  const runtime = await createRuntime({ threads: 0, device: "reference" });
  const lines: number[] = [];
  for (const sin of SINS) {
    await assert.rejects(runtime.compile(bad([sin])), (error: unknown) => {
      assert.ok(error instanceof TraceBreakError, String(error));
      assert.equal(error.code, "trace_break");
      assert.equal(error.info.kind, sin.kind);
      assert.equal(error.info.component, "bad/vision.block");
      assert.match(error.message, sin.says);
      assert.match(error.message, /^Component "bad\/vision\.block" breaks its trace at /);
      assert.match(error.info.remedy, /`plan`|`symbols`|`ops`/);
      if (sin.kind === "host_read" || sin.kind === "branch") {
        assert.equal(error.info.node, "exp <- input hidden_states");
      }
      lines.push(Number(lineOf(error.message).split(":")[1]));
      return true;
    });
  }
  // One sin a line, in the order of the list: on Node the lines are those of the source map.
  const [first] = lines;
  assert.ok(first > 25 && first < 40, `first line ${first}`);
  assert.deepEqual(
    lines,
    SINS.map((_, i) => first + i),
  );
  await runtime.close();
});

test("all breaks of a component are listed in one run, with their lines", async () => {
  const host = await detectHost();
  const spec = { instances: [""], ...bad(SINS) };
  const found = await collectBreaks(spec, [SYMBOLS], OP_TABLE, (place) => host.originalPlace(place));
  assert.deepEqual(
    found.map((one) => one.kind),
    SINS.map((sin) => sin.kind),
  );
  found.forEach((one, i) => {
    assert.match(one.found, SINS[i].says);
    assert.equal(one.component, spec.tag);
    assert.match(String(one.place?.file), /trace_breaks_test\.ts$/);
    assert.equal(one.place?.line, (found[0].place?.line as number) + i);
  });
});

test("stand-ins do not add breaks of their own, and a wrong graph without breaks keeps its error", async () => {
  const host = await detectHost();
  const collect = (build: (b: GraphBuilder) => void) =>
    collectBreaks({ tag: "bad/vision", symbols: SYMBOLS, instances: [""], build }, [SYMBOLS], OP_TABLE, (p) =>
      host.originalPlace(p),
    );
  const found = await collect((b) => {
    const odd = b.op("unheard_of", [b.input("x", [b.dims.tokens, 4])]);
    const used = b.matmul(b.add(odd, b.constant(1)), b.weight("w", [odd.shape[1], 3]));
    b.output("y", b.reshape(used, [b.dims.tokens, 3]));
  });
  assert.deepEqual(
    found.map((one) => one.kind),
    ["unknown_op"],
  );
  assert.deepEqual(await collect((b) => b.output("y", b.input("x", [b.dims.tokens]))), []);
  await assert.rejects(
    collect((b) => b.output("y", b.add(b.input("x", [3]), b.weight("w", [4])))),
    /sizes 3 and 4 do not broadcast/,
  );
});

test("listing breaks ends where a build asks for too many splits, with all that it asked for", async () => {
  const host = await detectHost();
  const greedy = {
    tag: "bad/splits",
    symbols: SYMBOLS,
    instances: [""],
    build: (b: GraphBuilder) => {
      for (let n = 2; n < 12; n++) b.dims.tokens.lessThan(n);
      b.output("y", b.input("x", [b.dims.tokens]));
    },
  };
  await assert.rejects(
    collectBreaks(greedy, [SYMBOLS], OP_TABLE, (place) => host.originalPlace(place)),
    hasCode(
      "too_many_splits",
      /^Component "bad\/splits" asks for more than 8 splits of its ranges while it is built: tokens at 1, asked at trace_breaks_test\.ts:\d+; .*\. Compare with fewer sizes/,
    ),
  );
});

test("breaks are listed of encoders that open without a model, and others are told", async () => {
  const opening = (open: EncoderSpec["open"]): Plugin =>
    definePlugin({
      ...{ name: "@test/opening", version: "1.0.0", abi: 1 },
      encoders: [{ name: "opening", modelTypes: ["opening"], files: [], open }],
    });
  const careful = opening(() => {
    throw new FoveaError("invalid_config", "The configuration has no hidden_size.");
  });
  await assert.rejects(
    findBreaks(undefined, [careful]),
    hasCode(
      "invalid_config",
      /^The encoder "opening" cannot be opened without a model: The configuration has no hidden_size\. Give a model folder with its config\.json\.$/,
    ),
  );
  // What is no error for people is the plugin's own.
  const broken = opening(() => {
    throw new TypeError("undefined is not a function");
  });
  await assert.rejects(findBreaks(undefined, [broken]), TypeError);
});

test("a shape error names the line of the source, not of what was compiled from it", async () => {
  const runtime = await createRuntime({ threads: 0, device: "reference" });
  await assert.rejects(
    runtime.compile({
      tag: "bad/shape",
      symbols: SYMBOLS,
      build: (b) => b.output("y", b.add(b.input("x", [3]), b.weight("w", [4]))),
    }),
    /The call is at trace_breaks_test\.ts:\d+\. This is in component "bad\/shape"\.$/,
  );
  await runtime.close();
});

test("whatever `build` throws is told with its component", async () => {
  const runtime = await createRuntime({ threads: 0 });
  const compile = (build: ComponentInput["build"]): Promise<unknown> =>
    runtime.compile({ tag: "bad/vision.block", symbols: SYMBOLS, build });
  try {
    await assert.rejects(
      compile(() => {
        throw new TypeError("x is not a node");
      }),
      hasCode("build_failed", /^Component "bad\/vision\.block" cannot be built, because its `build` threw: x is not/),
    );
    // What it throws later must not end the process.
    const late = (async () => {
      throw new Error("late");
    }) as unknown as ComponentInput["build"];
    await assert.rejects(
      compile(late),
      hasCode(
        "build_failed",
        /^Component "bad\/vision\.block" cannot be built: its `build` gives a promise; it must not/,
      ),
    );
    const none = undefined as never;
    for (const [build, says] of [
      [(b) => b.output("y", none), /^The output "y" must be a node, which the builder's calls give; found undefined\./],
      [(b) => b.output("y", "x" as never), /^The output "y" must be a node, .*; found "x"\./],
      [
        (b) => b.output("y", b.add(b.input("x", [4]), none)),
        /^Operand 1 of operation "add" must be a node, .*; found undefined\. The call is at .*component "bad\/vision\.block"\.$/,
      ],
      [
        (b) => b.output("y", b.add(2 as never, b.input("x", [4]))),
        /^Operand 0 of operation "add" must be a node, .*found 2/,
      ],
    ] as readonly (readonly [ComponentInput["build"], RegExp])[])
      await assert.rejects(compile(build), hasCode("shape_error", says));
    await assert.rejects(
      compile((b) => b.output("y", b.add(b.input("x", [b.dims.tokens, 4]), b.weight("w", [5])))),
      hasCode("shape_error", /do not broadcast.* The call is at .*\. This is in component "bad\/vision\.block"\.$/),
    );
  } finally {
    await runtime.close();
  }
});
