/** Loads a model of the example's family from memory, encodes two pictures, and computes the same by hand. */
import { createRuntime } from "fovea";
import { wasmPlugin } from "fovea/wasm";
import { patchMlpPlugin } from "./patch_mlp.ts";

const [SIZE, PATCH, WIDTH] = [8, 4, 6];
const IN = 3 * PATCH * PATCH;

/** Any numbers, the same on every run. */
const numbers = (count: number, seed: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => (((i + 1) * 7919 * seed) % 1000) / 2500 - 0.2);

const weights = {
  "embed.weight": { shape: [WIDTH, 3, PATCH, PATCH], data: numbers(WIDTH * IN, 1) },
  "embed.bias": { shape: [WIDTH], data: numbers(WIDTH, 2) },
  "project.weight": { shape: [WIDTH, WIDTH], data: numbers(WIDTH * WIDTH, 3) },
  "project.bias": { shape: [WIDTH], data: numbers(WIDTH, 4) },
};

/** The safetensors format: length of the header, header, data. */
function safetensors(): Uint8Array {
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, { shape, data }] of Object.entries(weights)) {
    header[name] = { dtype: "F32", shape, data_offsets: [end, end + data.byteLength] };
    end += data.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + end);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  let at = 8 + text.length;
  for (const { data } of Object.values(weights)) {
    bytes.set(new Uint8Array(data.buffer), at);
    at += data.byteLength;
  }
  return bytes;
}

const erf = (x: number): number => {
  let [term, sum] = [x, x];
  for (let n = 1; n < 80; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
};

/** The family's formula, a loop for each index. */
function byHand(pixels: Float32Array, picture: number): number[] {
  const pooled = new Array<number>(WIDTH).fill(0);
  const across = SIZE / PATCH;
  for (let patch = 0; patch < across * across; patch++) {
    const [top, left] = [Math.floor(patch / across) * PATCH, (patch % across) * PATCH];
    const hidden = Array.from({ length: WIDTH }, (_, o) => {
      let sum = weights["embed.bias"].data[o];
      for (let i = 0; i < IN; i++) {
        const [channel, y, x] = [Math.floor(i / PATCH ** 2), Math.floor(i / PATCH) % PATCH, i % PATCH];
        sum +=
          weights["embed.weight"].data[o * IN + i] *
          pixels[((picture * 3 + channel) * SIZE + top + y) * SIZE + left + x];
      }
      return (sum / 2) * (1 + erf(sum / Math.SQRT2));
    });
    for (let o = 0; o < WIDTH; o++) {
      let sum = weights["project.bias"].data[o];
      for (let i = 0; i < WIDTH; i++) sum += weights["project.weight"].data[o * WIDTH + i] * hidden[i];
      pooled[o] += sum / across ** 2;
    }
  }
  return pooled;
}

const config = { model_type: "patch_mlp", image_size: SIZE, patch_size: PATCH, hidden_size: WIDTH };
const files = new Map([
  ["config.json", new TextEncoder().encode(JSON.stringify(config))],
  ["model.safetensors", safetensors()],
]);

const runtime = await createRuntime({ plugins: [wasmPlugin, patchMlpPlugin] });
const encoder = await runtime.load(files);
const pixels = numbers(2 * 3 * SIZE * SIZE, 5);
const { pooler_output } = await encoder.encode({
  pixel_values: { dtype: "f32", shape: [2, 3, SIZE, SIZE], data: pixels },
});
await runtime.close();

const expected = [...byHand(pixels, 0), ...byHand(pixels, 1)];
const worst = Math.max(...expected.map((v, i) => Math.abs(v - Number(pooler_output?.data[i]))));
console.log(JSON.stringify({ host: runtime.host, shape: pooler_output?.shape, worst }));
if (!(worst < 1e-5)) throw new Error(`the encoder is off by ${worst}`);
