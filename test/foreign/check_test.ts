/** The conformance check of kernels, on the worked example and on wrong ones, as a function and on the command line. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { f32 } from "../../kernels/wasm/asm/code.ts";
import { checkPlugin, differenceOf } from "../../runtime/session/registry/check_plugin.ts";
import { checkKernel } from "../kit/check_kernel.ts";
import { withFolder } from "../kit/folder.ts";
import { repositoryPath, runCli } from "../kit/run_cli.ts";
import { moduleBytes, pluginFiles, SQUARE } from "./assemble.ts";
import { elementsOf, SINS, squaring } from "./kernels.ts";

const EXAMPLE = repositoryPath("examples/kernel-c");

test("the example in C passes in both kinds of memory", async () => {
  for (const isolation of ["own-memory", "shared-memory"] as const) {
    const [kernel, ...others] = await checkKernel(EXAMPLE, { isolation });
    assert.deepEqual([kernel.kernel, kernel.points, others], ["add_layer_norm", 9, []]);
    assert.ok(kernel.worst > 0 && kernel.worst < 1);
  }
});

test("wrong kernels fail with what is wrong", async () => {
  const wrong = pluginFiles(moduleBytes({ code: SINS["computes wrong numbers"].code }));
  await assert.rejects(
    checkKernel(wrong),
    /square: At width 1: .*failed its proof.* is off by 0\.5\d* \(step .*\); at most \d.* passes\./s,
  );
  // Right for what proofs make up, which lies between -1 and 1.
  const clamped = pluginFiles(moduleBytes({ code: squaring((v) => f32.min(v, f32.of(2))) }));
  await assert.rejects(checkKernel(clamped), /At width 1, rows 24 its result is off by \d.* times what passes\./s);
  const unclaimed = pluginFiles(moduleBytes({ code: squaring() }), {
    ...{ name: "square", entry: "run", pattern: { op: "mul", inputs: ["x", "x"] }, operands: { x: { shape: ["n"] } } },
    // Claims no size that it declares: the product has two axes.
    ...{ output: ["n", 1], arguments: ["output", "x", "n"], flops: "n" },
  });
  await assert.rejects(checkKernel(unclaimed), /square: At n 1 it does not claim its own pattern: /);
  const ranged = pluginFiles(moduleBytes({ code: squaring() }), { ...SQUARE, ranges: { width: { min: 10, max: 5 } } });
  await assert.rejects(checkKernel(ranged), /does not claim its own pattern: it takes width from 10 to 5, found \d+\./);
});

test("numbers that are none are compared, and a pattern that gives nothing else is a problem", async () => {
  const { NaN: none, POSITIVE_INFINITY: infinite } = Number;
  assert.equal(differenceOf([1, none, -infinite], [1, none, -infinite]), 0);
  for (const found of [[1, 2], [none, 2], [1, infinite], [1, none, 3], [1]])
    assert.equal(differenceOf(found, [1, none]) < 1, false, String(found));
  assert.equal(differenceOf([2, none], [1, none]) > 1000, true);
  const root: object = { op: "sqrt", inputs: ["x"] };
  const rooted = (pattern: object) => pluginFiles(moduleBytes({ code: squaring() }), { ...SQUARE, pattern });
  await assert.rejects(checkKernel(rooted(root)), /result is off by Infinity times what passes|failed its proof/);
  const negative = { op: "log", inputs: [{ op: "neg", inputs: [{ op: "abs", inputs: ["x"] }] }] };
  await assert.rejects(
    checkKernel(rooted(negative)),
    /its pattern gives no finite number, so that nothing can be compared/,
  );
});

test("shapes of many axes are checked at sizes that a machine holds, and sizes that an op refuses are left out", async () => {
  const shape = ["a", "b", "c", "d", "e", "f"];
  const many = {
    ...{ name: "square", entry: "run", pattern: { op: "mul", inputs: ["x", "x"] }, operands: { x: { shape } } },
    ...{ output: shape, arguments: ["output", "x", ...shape], flops: shape.join(" * ") },
  };
  const squares = (sizes: number): Uint8Array =>
    moduleBytes({ code: squaring(undefined, undefined, elementsOf(sizes)) });
  const [kernel] = await checkKernel(pluginFiles(squares(shape.length), many));
  assert.equal(kernel.points, 9);

  const turned = { op: "rotary", attributes: { interleaved: false }, inputs: ["x", "cosines", "sines"] };
  const table = { shape: ["tokens", "pairs"] };
  const rotary = (width: object, pairs: object): object => ({
    ...{ name: "turn", entry: "run", pattern: turned, output: ["batch", "tokens", "heads", "width"] },
    operands: { x: { shape: ["batch", "tokens", "heads", "width"] }, cosines: table, sines: table },
    ranges: { width, pairs },
    ...{ arguments: ["output", "x", "batch", "tokens", "heads", "width"], flops: "batch * tokens * heads * width" },
  });
  const wrong = pluginFiles(squares(4), rotary({ min: 8, max: 8 }, { min: 4, max: 64 }));
  const [{ problems }] = (await checkPlugin(wrong)).kernels;
  // It squares where it is to turn: at the sizes that there are, and nothing is said of the others.
  assert.ok(problems.length > 0);
  for (const problem of problems) assert.match(problem, /pairs 4.* failed its proof/s);
  const never = pluginFiles(squares(4), rotary({ min: 8, max: 8 }, { min: 8, max: 64 }));
  await assert.rejects(
    checkKernel(never),
    /turn: An op refuses its pattern at all sizes that were tried: .*at most half/s,
  );
});

test("test vectors hold for the reference evaluator first, then for the kernel", async () => {
  const files = new Map(
    readdirSync(EXAMPLE)
      .filter((name) => /\.(wasm|json)$/.test(name))
      .map((name) => [name, new Uint8Array(readFileSync(join(EXAMPLE, name)))]),
  );
  const described = JSON.parse(new TextDecoder().decode(files.get("plugin.json")));
  const [{ vectors }] = described.kernels;
  const [{ operands, output, attributes }] = vectors;
  const { x, ...others } = operands;
  const [first, ...rest] = output.data;
  described.kernels[0].vectors = [
    { attributes, operands, output: { ...output, data: [first + 0.01, ...rest] } },
    { attributes, operands: { ...operands, scale: { shape: [7], data: [1, 1, 1, 1, 1, 1, 1] } }, output },
    { attributes, operands: { ...others, x: { shape: [8], data: x.data } }, output },
    { attributes, operands: others, output },
    { attributes, operands: { ...operands, q: { shape: [1], data: [1] } }, output },
    { attributes, operands, output: { ...output, data: [first] } },
    { attributes, operands, output: { ...output, shape: [...output.shape].reverse() } },
    ...vectors,
  ];
  files.set("plugin.json", new TextEncoder().encode(JSON.stringify(described)));
  const wrong = await checkPlugin(files);
  assert.deepEqual(
    wrong.kernels[0].problems.map((p) => p.replace(/ [\d.e+]+ times/, " … times")),
    [
      "Test vector 0: the reference evaluator computes something else, off by … times what passes.",
      'Test vector 1: "scale" has 7 at axis 0; expected 8.',
      'Test vector 2: "x" has the shape [8]; it takes [...rows, width].',
      'Test vector 3: it has no values for "x".',
      'Test vector 4: it has values for "q", which is none of the kernel\'s operands.',
      `Test vector 5: "output" has 1 values; its shape [${output.shape.join(", ")}] holds ${output.data.length}.`,
      'Test vector 6: "output" has 8 at axis 0; expected 1.',
    ],
  );
  const x4 = { shape: [1, 4], data: [1, 2, -3, 0.5] };
  const clamped = pluginFiles(moduleBytes({ code: squaring((v) => f32.min(v, f32.of(2))) }), {
    ...SQUARE,
    vectors: [{ operands: { x: x4 }, output: { shape: [1, 4], data: [1, 4, 9, 0.25] } }],
  });
  await assert.rejects(checkKernel(clamped), /Test vector 0: the kernel computes something else, off by \d/);
});

function writePlugin(folder: string, files: ReadonlyMap<string, Uint8Array>): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes);
}

test("`fovea plugin check` says form, what is enforced and what is wrong; `plugin ls` and `--plugin` load it", () =>
  withFolder(async (folder) => {
    const wrong = join(folder, "wrong");
    writePlugin(wrong, pluginFiles(moduleBytes({ code: SINS.traps.code })));
    const failed = await runCli(["plugin", "check", wrong]);
    assert.equal(failed.code, 1);
    assert.match(failed.stdout, /^form: core WebAssembly with plugin\.json\n@test\/foreign 1\.0\.0, abi 1: kernel /);
    assert.match(
      failed.stdout,
      /enforced: memory: its own.*\n +loops: stopped.*\n +numbers: compared.*\n +host: no imports/,
    );
    assert.match(failed.stdout, /\nkernel square\n {2}wrong: At width 1: .*it trapped/);

    const module = join(folder, "trusted.mjs");
    writeFileSync(module, 'export const one = { name: "@someone/one", version: "1.0.0", abi: 1 };');
    const trusted = await runCli(["plugin", "check", module]);
    assert.deepEqual(
      [trusted.code, trusted.stdout.split("\n")[2]],
      [0, "enforced: nothing; it is trusted code with all that this process may do"],
    );

    writeFileSync(join(folder, "fovea.config.json"), JSON.stringify({ plugins: [EXAMPLE] }));
    const listed = await runCli(["plugin", "ls", "--config", join(folder, "fovea.config.json"), "--plugin", module]);
    assert.match(listed.stdout, /^@fovea-examples\/kernel-c +1\.0\.0 +WebAssembly +.*kernel-c +1 kernel$/m);
    assert.match(listed.stdout, /^@someone\/one +1\.0\.0 +JavaScript/m);
    assert.match(listed.stdout, /^@fovea\/wasm +0\.1\.0 +built in +fovea +wasm, 12 kernels$/m);

    const missing = await runCli(["explain", folder, "--plugin", "nowhere"]);
    assert.equal(missing.code, 2);
    assert.match(missing.stderr, /There is no plugin nowhere: it is no file or folder/);
  }));

test("commands that load models ask the kernels of --plugin, and say why they were not taken", async () => {
  const model = repositoryPath("examples/models/digits-clip");
  const found = await runCli(["explain", model, "--component", "clip/vision.embed", "--plugin", EXAMPLE]);
  assert.equal(found.code, 0);
  // One picture: the sum and its norm match, and copying them costs more than the built-in kernels do.
  assert.match(found.stdout, /not @fovea-examples\/kernel-c\/add_layer_norm for add \+ layer_norm: costs more by /);
  // Several: positions are one for all.
  assert.match(
    found.stdout,
    /not @fovea-examples\/kernel-c\/add_layer_norm .*the size rows of residual is 65, elsewhere 65\*batch/,
  );
});
