/** What is refused before anything of a foreign plugin is linked: modules by their bytes, descriptions by what they say. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Code, i32, signed, unsigned } from "../../kernels/wasm/asm/code.ts";
import { FoveaError, loadPlugin } from "../../mod.ts";
import { functionImport, MEMORY_IMPORT, moduleBytes, pluginFiles, SQUARE } from "./assemble.ts";
import { squaring } from "./kernels.ts";

const text = (s: string): number[] => [s.length, ...[...s].map((c) => c.charCodeAt(0))];
const done: Code = i32.of(0);
const data = (offset: number, size: number): number[] => [
  ...[1, 0, 0x41, ...signed(offset), 0x0b, ...unsigned(size)],
  ...Array<number>(size).fill(1),
];
/** Moves a global that begins at `top`, as a stack pointer. */
const stack = (top: number): Parameters<typeof moduleBytes>[0] => ({
  code: [0x23, 0, 0x24, 0, done],
  sections: { 6: [1, 0x7f, 1, 0x41, ...signed(top), 0x0b] },
});

const MODULES: Readonly<Record<string, readonly [Uint8Array, RegExp]>> = {
  "a function of WASI": [
    moduleBytes({ code: done, imports: [functionImport("wasi_snapshot_preview1", "fd_write"), MEMORY_IMPORT] }),
    /it imports the function "wasi_snapshot_preview1.fd_write" of WASI; kernels have no files, clock or network/,
  ],
  "another function": [
    moduleBytes({ code: done, imports: [functionImport("env", "now"), MEMORY_IMPORT] }),
    /it imports the function "env.now"; kernels call nothing outside\. Allowed are the memory "env.memory"/,
  ],
  "another global": [
    moduleBytes({ code: done, imports: [MEMORY_IMPORT, [...text("env"), ...text("secret"), 3, 0x7f, 1]] }),
    /it imports the global "env.secret"; allowed are/,
  ],
  "memory under another name": [
    moduleBytes({ code: done, imports: [[...text("host"), ...text("memory"), 2, 0, 1]] }),
    /it imports the memory "host.memory"/,
  ],
  "shared memory": [
    moduleBytes({ code: done, imports: [[...text("env"), ...text("memory"), 2, 3, 1, 16]] }),
    /it imports shared memory/,
  ],
  "more memory than it reserves": [
    moduleBytes({ code: done, imports: [[...text("env"), ...text("memory"), 2, 0, 40]] }),
    /it asks for a memory of 2621440 bytes, but its description reserves 0/,
  ],
  "a memory of its own": [
    moduleBytes({ code: done, imports: [], sections: { 5: [1, 0, 1] } }),
    /it brings a memory of its own; link it .*--import-memory/,
  ],
  "a start function": [
    moduleBytes({ code: done, more: [done], sections: { 1: [2, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 0, 0], 8: [1] } }),
    /it has a start function/,
  ],
  "growing memory": [
    moduleBytes({ code: [i32.of(1), 0x40, 0] }),
    /byte \d+ is the instruction memory\.grow, but memory is the host's/,
  ],
  "data outside of its region": [
    moduleBytes({ code: done, sections: { 11: data(100, 8) } }),
    /its data segment 0 lies at bytes 100 to 108, but its description reserves the first 0 bytes/,
  ],
  "a stack outside of its region": [
    moduleBytes(stack(4096)),
    /its stack begins at byte 4096, but its description reserves the first 0 bytes/,
  ],
  "an export that nobody named": [
    moduleBytes({ code: done, exports: [[...text("other"), 0, 0]] }),
    /it exports the function "other", which its description does not name; entries are "run"/,
  ],
  "no entry": [
    moduleBytes({ code: done, sections: { 7: [0] } }),
    /it exports no function "run", which its description names as an entry/,
  ],
  "an entry of another type": [
    moduleBytes({ code: [], sections: { 1: [1, 0x60, 0, 0] } }),
    /its entry "run" is no function of one i32, the address of its arguments, to an i32/,
  ],
  "an atomic instruction": [
    moduleBytes({ code: [i32.of(0), 0xfe, 0x10, 2, 0] }),
    /the instruction 0xfe at byte \d+ is an atomic instruction/,
  ],
  "an exception": [moduleBytes({ code: [0x08, 0, done] }), /the instruction 0x8 at byte \d+ is an exception/],
  "an unknown instruction": [moduleBytes({ code: [0xe7, done] }), /the instruction 0xe7 at byte \d+ is unknown/],
  "an unknown vector instruction": [
    moduleBytes({ code: [0xfd, ...unsigned(300), done] }),
    /the instruction 0xfd 300 at byte \d+ is unknown/,
  ],
  "relaxed vectors where none are declared": [
    moduleBytes({ code: [...Array(3).fill([0xfd, 12, ...Array(16).fill(0)]), 0xfd, ...unsigned(261), 0x1a, done] }),
    /it uses relaxed-simd, which its description does not list/,
  ],
  "types that do not fit": [moduleBytes({ code: [0x42, 0] }), /this engine finds it invalid/],
  "half a module": [moduleBytes({ code: squaring() }).slice(0, 60), /it ends early/],
  "a component": [
    Uint8Array.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]),
    /it is a component; its description says `"form": "component"`/,
  ],
  "another file": [new TextEncoder().encode("kernel"), /it is no WebAssembly module/],
};

for (const [found, [module, says]] of Object.entries(MODULES)) {
  test(`a module with ${found} is refused with what was found`, async () => {
    await assert.rejects(loadPlugin(pluginFiles(module)), (error: unknown) => {
      assert.ok(error instanceof FoveaError);
      assert.equal(error.code, "refused_module");
      assert.match(error.message, /^the files given\/kernel\.wasm cannot be used as a kernel: /);
      assert.match(error.message, says);
      return true;
    });
  });
}

const RIGHT = moduleBytes({ code: squaring() });
const square = (change: object): Parameters<typeof pluginFiles>[1] => ({ ...SQUARE, ...change });

const withPattern = (op: string, attributes: object): Parameters<typeof pluginFiles>[1] =>
  square({ pattern: { op, inputs: ["x", "x"], attributes } });

const DESCRIPTIONS: Readonly<Record<string, readonly [ReturnType<typeof pluginFiles>, string, RegExp]>> = {
  "another abi": [pluginFiles(RIGHT, SQUARE, { abi: 2 }), "unsupported_abi", /was written for abi 2; .* speaks abi 1/],
  "an unknown member": [
    pluginFiles(RIGHT, square({ entyr: "run" })),
    "invalid_manifest",
    /plugin\.json, `kernels\[0\]` has no member "entyr"; .* Did you mean "entry"\?/,
  ],
  "a missing member": [
    pluginFiles(RIGHT, square({ flops: undefined })),
    "invalid_manifest",
    /`kernels\[0\]\.flops` is missing/,
  ],
  "another file's digest": [
    new Map([...pluginFiles(RIGHT), ["kernel.wasm", moduleBytes({ code: done })]]),
    "changed_plugin",
    /kernel\.wasm has the SHA-256 [0-9a-f]{64}, but its description says/,
  ],
  "a path out of its folder": [
    pluginFiles(RIGHT, SQUARE, { builds: [{ features: [], file: "../kernel.wasm", sha256: "0".repeat(64) }] }),
    "invalid_manifest",
    /`builds\[0\]\.file` is "\.\.\/kernel\.wasm"; expected a file inside of the plugin's folder/,
  ],
  "an operand that its pattern lacks": [
    pluginFiles(RIGHT, square({ operands: { x: { shape: ["...rows", "width"] }, z: { shape: [] } } })),
    "invalid_manifest",
    /the kernel "square" declares the operand "z", which its pattern does not hold/,
  ],
  "an unknown argument": [
    pluginFiles(RIGHT, square({ arguments: ["output", "x", "depth"] })),
    "invalid_manifest",
    /has the argument "depth"; there are x, rows, width, output, scratch/,
  ],
  "a wrong size": [
    pluginFiles(RIGHT, square({ flops: "rows * (width" })),
    "invalid_manifest",
    /has a wrong `flops`\. The size "rows \* \(width" cannot be read: expected "\)", found its end/,
  ],
  "a grid along an inner axis": [
    pluginFiles(RIGHT, square({ grid: "width" })),
    "invalid_manifest",
    /divides its grid along "width", which is an inner axis of "x"/,
  ],
  "an attribute that its op lacks": [
    pluginFiles(RIGHT, withPattern("layer_norm", { epsilon: 1e-6 })),
    "invalid_manifest",
    /In the files given\/plugin\.json, the kernel "square" names the attribute "epsilon" of "layer_norm", which that op does not have; it has eps\./,
  ],
  "an attribute of an inner op that has none": [
    pluginFiles(
      RIGHT,
      square({ pattern: { op: "add", inputs: ["x", { op: "mul", inputs: ["x", "x"], attributes: { axis: 1 } }] } }),
    ),
    "invalid_manifest",
    /names the attribute "axis" of "mul", which that op does not have; it has none\.$/,
  ],
  "an attribute near one of its op's": [
    pluginFiles(RIGHT, withPattern("matmul", { transpose_B: true })),
    "invalid_manifest",
    /it has transpose_b\. Did you mean "transpose_b"\?$/,
  ],
  "an attribute whose values are lists": [
    pluginFiles(RIGHT, withPattern("transpose", { perm: { bind: "perm" } })),
    "invalid_manifest",
    /names the attribute "perm" of "transpose", whose values are lists, which no pattern can hold; leave it out/,
  ],
  "a list as an attribute": [
    pluginFiles(RIGHT, withPattern("transpose", { perm: [1, 0] })),
    "invalid_manifest",
    /attributes\.perm` is \[1,0\]; expected a number, .* or \{ "bind": "name" \}; attributes that are lists are left out\./,
  ],
  "an attribute of another type": [
    pluginFiles(RIGHT, withPattern("matmul", { transpose_b: 1 })),
    "invalid_manifest",
    /wants 1 as the attribute "transpose_b" of "matmul", whose values are true or false\./,
  ],
  "scratch that nobody gets": [
    pluginFiles(RIGHT, square({ scratch: "64" })),
    "invalid_manifest",
    /needs both a `scratch` size and a `scratch` argument/,
  ],
};

for (const [found, [files, code, says]] of Object.entries(DESCRIPTIONS)) {
  test(`a description with ${found} is refused with its place`, async () => {
    await assert.rejects(loadPlugin(files), (error: unknown) => {
      assert.ok(error instanceof FoveaError);
      assert.equal(error.code, code);
      assert.match(error.message, says);
      return true;
    });
  });
}

test("a description without JSON, without files, and code with data in the device's memory are refused", async () => {
  const noJson = new Map([["plugin.json", new TextEncoder().encode("{")]]);
  await assert.rejects(loadPlugin(noJson), { code: "invalid_manifest", message: /plugin\.json is not valid JSON/ });
  await assert.rejects(loadPlugin(new Map()), { code: "file.not_found" });
  const reserving = pluginFiles(RIGHT, SQUARE, { memory: { reserved: 1024 } });
  await assert.rejects(loadPlugin(reserving, { isolation: "shared-memory" }), /reserves 1024 bytes of memory/);
  await assert.rejects(
    loadPlugin(pluginFiles(RIGHT), { isolation: "none" as "own-memory" }),
    /`isolation` .* "own-memory"/,
  );
});
