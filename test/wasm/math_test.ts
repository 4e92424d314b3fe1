/** Functions of kernels' own that no op stands for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Code, get, type Local, set, v128 } from "../../kernels/wasm/asm/code.ts";
import { kernelModule } from "../../kernels/wasm/asm/module.ts";
import { expWeight } from "../../kernels/wasm/emit/math.ts";
import { RELAXED } from "./emit_kit.ts";

/** e^x of the numbers, in fours. */
function weightsOf(x: Float32Array, madd: boolean): Float32Array {
  const { bytes } = kernelModule((frame) => {
    const steps: Code[] = [];
    const keep = (value: Code): Local => {
      const local = frame.local("v128");
      steps.push(set(local, value));
      return local;
    };
    const result = expWeight({ madd, keep }, v128.load(get(frame.args)));
    return [steps, v128.store(get(frame.args), result)];
  });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
  const module = new WebAssembly.Module(Uint8Array.from(bytes));
  const run = new WebAssembly.Instance(module, { e: { m: memory } }).exports.f as (...args: number[]) => void;
  const four = new Uint32Array(memory.buffer, 64, 4);
  const bits = new Uint32Array(x.buffer);
  const found = new Uint32Array(x.length);
  for (let i = 0; i < x.length; i += 4) {
    // By bits, so that no NaN changes on its way.
    four.set(bits.subarray(i, i + 4));
    run(64, 0, 1, 0);
    found.set(four, i);
  }
  return new Float32Array(found.buffer);
}

/** Numbers from -0 down to `lowest`, each so many steps of f32 from the next; as many as fill fours. */
function numbersTo(lowest: number, step: number): Float32Array<ArrayBuffer> {
  const end = new Uint32Array(Float32Array.of(lowest).buffer)[0];
  const count = Math.ceil((end - 0x80000000) / step / 4) * 4;
  const bits = Uint32Array.from({ length: count }, (_, i) => Math.min(end, 0x80000000 + i * step));
  return new Float32Array(bits.buffer);
}

for (const madd of [false, true]) {
  const skip = madd && !RELAXED ? "this engine has no relaxed SIMD" : false;
  test(`weights of a softmax${madd ? ", relaxed" : ""}: near e^x wherever that is a normal number, then 0`, {
    skip,
  }, () => {
    const x = numbersTo(-87.3, 20_011);
    for (const [i, found] of weightsOf(x, madd).entries()) {
      const exact = Math.exp(x[i]);
      const allowed = (2.4e-7 - 7.5e-8 * x[i]) * exact;
      assert.ok(Math.abs(found - exact) <= allowed, `e^${x[i]} is ${exact}, found ${found}`);
    }
    assert.deepEqual(weightsOf(Float32Array.of(0, -0, 0, -0), madd), Float32Array.of(1, 1, 1, 1));
    const beyond = Float32Array.of(-87.7, -88, -88.03, -89, -1000, -3.4e38, Number.NEGATIVE_INFINITY, -104);
    assert.deepEqual(weightsOf(beyond, madd), new Float32Array(8));
    const large = [1, 20, 88, 128 * Math.LN2];
    for (const [i, found] of weightsOf(Float32Array.from(large), madd).entries()) {
      const exact = i < 3 ? Math.exp(large[i]) : Number.POSITIVE_INFINITY;
      assert.ok(
        Math.abs(found / exact - 1) <= 2.4e-7 + 7.5e-8 * large[i] || found === exact,
        `e^${large[i]} is ${found}`,
      );
    }
    // A NaN of any bits stays one.
    const nans = new Float32Array(Uint32Array.of(0x7fc00000, 0xffc0dead, 0x7fc001ff, 0xffffffff).buffer);
    assert.ok(weightsOf(nans, madd).every(Number.isNaN));
  });
}
