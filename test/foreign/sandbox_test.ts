/** Foreign kernels in their sandbox: right ones serve, each kind of wrong one is stopped, named and replaced. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { f32, get, i32 } from "../../kernels/wasm/asm/code.ts";
import { KernelError } from "../../runtime/core/diagnostics.ts";
import { ProofError } from "../../runtime/exec/prove.ts";
import { openDevice } from "../wasm/device_kit.ts";
import { emittedCode, i32At, moduleBytes, pluginFiles } from "./assemble.ts";
import { argument, SINS, squaring } from "./kernels.ts";
import { square } from "./square.ts";

for (const threads of [0, 2]) {
  test(`a right kernel serves, with ${threads} workers, in its own memory and in the device's`, async () => {
    const files = pluginFiles(moduleBytes({ code: squaring() }));
    for (const isolation of ["own-memory", "shared-memory"] as const) {
      for (const rows of threads === 0 ? [1, 3, 500] : [500]) {
        const { kernels, problems } = await square(files, rows, { threads }, { isolation });
        assert.deepEqual({ kernels, problems }, { kernels: ["@test/foreign/square"], problems: [] });
      }
    }
  });

  // How a call ends is told across threads in the same way for all.
  const some = threads === 0 ? Object.keys(SINS) : ["traps", "loops without an end", "returns a status"];
  for (const sin of some) {
    const { code, says } = SINS[sin];
    test(`a kernel that ${sin} is stopped and named, with ${threads} workers, and the next cover computes`, async () => {
      const { kernels, problems } = await square(pluginFiles(moduleBytes({ code })), 7, { threads });
      assert.deepEqual(kernels, ["elementwise"]);
      assert.equal(problems.length, 1);
      assert.match(problems[0], /^The kernel "@test\/foreign\/square" was put aside: /);
      assert.match(problems[0], says);
    });
  }
}

/** Right for what proofs make up, and not where the first number is 1000: `sin` is met in calls alone. */
const later = (sin: (typeof SINS)[string]["code"]): Uint8Array => {
  const isMet = [f32.load(argument(1)), f32.of(1000), 0x5b];
  return moduleBytes({ code: [isMet, 0x04, 0x40, sin, 0x0b, squaring()] });
};
const TRAP = [0x00];
const FOREVER = [0x03, 0x40, 0x0c, 0x00, 0x0b];

for (const threads of [0, 2]) {
  test(`a kernel that fails only in a call is put aside then, and the call completes, with ${threads} workers`, async () => {
    for (const [sin, says] of [
      [TRAP, /it trapped/],
      [FOREVER, /stopped after/],
    ] as const) {
      const files = pluginFiles(later(sin));
      assert.deepEqual((await square(files, 9, { threads })).problems, []);
      const met = await square(files, 9, { threads }, {}, (index) => (index === 0 ? 1000 : index));
      assert.deepEqual([met.kernels, met.recompiles], [["elementwise"], ["kernel failed"]]);
      assert.equal(met.problems.length, 1);
      assert.match(met.problems[0], /^The kernel "@test\/foreign\/square" was put aside during a call: /);
      assert.match(met.problems[0], says);
    }
  });
}

test("strict: a kernel that fails in a call or in its proof is an error that names it", async () => {
  const compile = { strict: true };
  await assert.rejects(
    square(pluginFiles(later(TRAP)), 9, { compile }, {}, () => 1000),
    (error: unknown) => {
      assert.ok(error instanceof KernelError);
      assert.match(error.message, /^The kernel @test\/foreign\/square\/run failed on the device "wasm": it trapped/);
      return true;
    },
  );
  const { code } = SINS["returns a status"];
  await assert.rejects(square(pluginFiles(moduleBytes({ code })), 9, { compile }), (error: unknown) => {
    assert.ok(error instanceof ProofError);
    assert.match(error.message, /"@?example\/square".*it returned the status 3/);
    return true;
  });
});

test("a kernel keeps what it holds in its own memory, where nobody else's values are", async () => {
  // Adds the word at 512 KiB, far behind its operands, which is 0 in its memory and something in the device's.
  const secret = f32.load(i32.of(0x80000));
  const code = squaring((value) => f32.add(value, f32.mul(secret, f32.of(0))));
  const { problems } = await square(pluginFiles(moduleBytes({ code })), 9);
  assert.equal(problems.length, 1);
  assert.match(problems[0], /it trapped: .*out of bounds/i);
});

test("an endless loop stops within 20 ms inline and on workers, and the device goes on", async () => {
  const endless = [...FOREVER, get(i32At(0))];
  const code = emittedCode(moduleBytes({ code: endless }));
  for (const threads of [0, 2]) {
    const device = await openDevice({ threads });
    try {
      await device.load(new Map([["endless", code]]));
      const buffer = device.allocate(4096);
      const place = { buffer, offset: 0 };
      // 64 rows of 16 numbers: address and bytes of a row of the result and of x, width, operations of a row.
      const launch = { kernel: "test/endless", code: "endless", args: [place, 64, place, 64, 16, 16] };
      const bound = device.bind([{ ...launch, grid: 64, flops: 4e6, workerScratch: 0 }]);
      const times: number[] = [];
      for (let i = 0; i < 5; i++) {
        const begin = performance.now();
        await assert.rejects(device.run(bound, {}), /test\/endless failed .*a loop without an end/);
        times.push(performance.now() - begin);
      }
      // The machine may be busy with others.
      assert.ok(Math.min(...times) < 20, `${times.map((t) => t.toFixed(1)).join(", ")} ms`);
      bound.release();
    } finally {
      await device.close();
    }
  }
});
