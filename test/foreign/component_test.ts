/** Components of the world fovea:kernel through the lean loader: right ones serve, each kind of wrong one is stopped and named. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { createRuntime, loadPlugin } from "../../mod.ts";
import { checkKernel } from "../kit/check_kernel.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { componentFiles, squareComponent } from "./components.ts";
import { cheap, square } from "./square.ts";

const EXAMPLE = repositoryPath("examples/kernel-component");

/** By the number in square.c: what a kernel does wrong when it runs, and what is said about it. */
const SINS: Readonly<Record<string, readonly [number, RegExp]>> = {
  traps: [1, /it trapped: .*unreachable/i],
  "loops without an end": [2, /stopped after the \d+ instructions .*a loop without an end/],
  "calls itself without an end": [3, /stopped after|it trapped: .*(stack|call)/i],
  "writes outside of its memory": [4, /it trapped: .*out of bounds/i],
  "returns a failure": [5, /it says: it cannot do what it offers/],
  "cannot do what it offers": [6, /it says: it takes 2 rows at most/],
  "computes wrong numbers": [7, /off by 0\.5/],
  "gives fewer elements": [8, /its result has \d+ elements; expected \d+/],
  "gives a result that is not in its memory": [9, /a list of it lies at byte 2147418112/],
  "refuses to load": [10, /it says: it has no wish to load/],
  "gives weights that there are not": [11, /it names the resource 77, which there is not/],
};

for (const threads of [0, 2]) {
  test(`a component serves, with ${threads} workers`, async () => {
    for (const rows of [1, 3, 500]) {
      const { kernels, problems } = await square(componentFiles(squareComponent(0)), rows, { threads });
      assert.deepEqual({ kernels, problems }, { kernels: ["@test/foreign/square"], problems: [] });
    }
  });

  const some = threads === 0 ? Object.keys(SINS) : ["loops without an end", "returns a failure"];
  for (const sin of some) {
    const [number, says] = SINS[sin];
    test(`a component that ${sin} is stopped and named, with ${threads} workers, and the next cover computes`, async () => {
      const { kernels, problems } = await square(componentFiles(squareComponent(number)), 7, { threads });
      assert.deepEqual(kernels, ["elementwise"]);
      assert.equal(problems.length, 1);
      assert.match(problems[0], /^The kernel "@test\/foreign\/square" was put aside: /);
      assert.match(problems[0], says);
    });
  }

  test(`a component that fails only in a call is put aside then, and the call completes, with ${threads} workers`, async () => {
    for (const [number, says] of [
      [21, /it trapped/],
      [22, /stopped after/],
    ] as const) {
      const files = componentFiles(squareComponent(number));
      assert.deepEqual((await square(files, 9, { threads })).problems, []);
      const met = await square(files, 9, { threads }, {}, (index) => (index === 0 ? 1000 : index));
      assert.deepEqual([met.kernels, met.recompiles], [["elementwise"], ["kernel failed"]]);
      assert.match(met.problems[0], /^The kernel "@test\/foreign\/square" was put aside during a call: /);
      assert.match(met.problems[0], says);
    }
  });
}

test("a component that refuses the host, does not end or offers nonsense is refused when it is loaded", async () => {
  for (const [number, says] of [
    [12, /asked for `negotiate`, it says: it was written for another host\.$/],
    [13, /asked for `negotiate`, it was stopped after/],
    [14, /it wants to speak abi 2; this fovea speaks abi 1/],
    [15, /asked for `offers`, it gives 0 offers; expected 1 to 256/],
    [16, /asked for `offers`, a list of it lies at byte 2147418112/],
  ] as const) {
    await assert.rejects(loadPlugin(componentFiles(squareComponent(number))), {
      code: "refused_module",
      message: says,
    });
  }
  const damaged = squareComponent(0).subarray(0, 2000);
  await assert.rejects(loadPlugin(componentFiles(damaged)), { code: "refused_module", message: /it ends early/ });
  await assert.rejects(loadPlugin(componentFiles(squareComponent(0)), { isolation: "shared-memory" }), {
    message: /is a component, whose memory is always its own/,
  });
});

test("strict: a component that fails is an error that names it", async () => {
  await assert.rejects(square(componentFiles(squareComponent(5)), 9, { compile: { strict: true } }), {
    code: "proof_failed",
    message: /it says: it cannot do what it offers/,
  });
});

test("the example passes the conformance check", async () => {
  const [kernel, ...others] = await checkKernel(EXAMPLE);
  assert.deepEqual([kernel.kernel, kernel.points, others], ["product", 15, []]);
});

test("weights load once for each set, and again where their memory has got another owner", async () => {
  const plugin = cheap(await loadPlugin(EXAMPLE));
  const runtime = await createRuntime({ threads: 0, plugins: [plugin, wasmPlugin] });
  try {
    const [rows, columns, depth] = [3, 8, 5];
    const x = { dtype: "f32", shape: [rows, depth], data: Float32Array.from({ length: 15 }, (_, i) => i - 7) } as const;
    const of = async (first: number): Promise<void> => {
      const data = Float32Array.from({ length: columns * depth }, (_, i) => ((first + i) % 13) - 6);
      const weights = { w: { dtype: "f32", shape: [columns, depth], data } as const };
      const component = await runtime.compile(
        {
          tag: "example/product",
          symbols: { rows: { min: 1, max: 64 } },
          build: (b) => {
            const product = b.matmul(b.input("x", [b.dims.rows, depth]), b.weight("w", [columns, depth]), {
              transposeB: true,
            });
            b.output("y", product);
          },
        },
        weights,
      );
      assert.match(component.explain(), /@fovea-examples\/kernel-component\/product/);
      for (let again = 0; again < 2; again++) {
        const { y } = await component.run({ x });
        const expected = Array.from({ length: rows * columns }, (_, at) => {
          const [row, column] = [Math.floor(at / columns), at % columns];
          return Array.from({ length: depth }, (_, i) => x.data[row * depth + i] * data[column * depth + i]).reduce(
            (a, b) => a + b,
          );
        });
        assert.deepEqual(Array.from(y.data as Float32Array), expected);
      }
      component.close();
    };
    // What is closed gives its memory back, so that the next weights lie where those before did.
    for (let first = 0; first < 5; first++) await of(first);
  } finally {
    await runtime.close();
  }
});
