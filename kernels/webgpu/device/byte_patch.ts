/** Bytes that begin or end inside of a word: a small kernel merges them with what the word held. */
import { USAGE } from "./usage.ts";

/** Merges words of a patch into memory: of each word the bits that its mask has. */
const PATCH = `
@group(0) @binding(0) var<storage, read_write> target_words: array<u32>;
@group(0) @binding(1) var<storage, read> words: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= words[1]) { return; }
  let mask = words[3u + 2u * i];
  target_words[words[0] + i] = (target_words[words[0] + i] & ~mask) | (words[2u + 2u * i] & mask);
}`;

export interface BytePatcher {
  /** Commands that put `data` at a byte of a buffer. */
  encode(encoder: GPUCommandEncoder, target: GPUBuffer, offset: number, data: Uint8Array): void;
}

/** First word, count, then a word and its mask for each. */
function patchWords(offset: number, data: Uint8Array): Uint32Array<ArrayBuffer> {
  const first = offset >> 2;
  const count = Math.ceil((offset + data.length) / 4) - first;
  const words = new Uint32Array(2 + 2 * count);
  words[0] = first;
  words[1] = count;
  for (let i = 0; i < data.length; i++) {
    const at = offset - first * 4 + i;
    const shift = 8 * (at & 3);
    words[2 + 2 * (at >> 2)] |= data[i] << shift;
    words[3 + 2 * (at >> 2)] |= 0xff << shift;
  }
  return words;
}

export function createBytePatcher(device: GPUDevice): BytePatcher {
  let pipeline: GPUComputePipeline | undefined;
  return {
    encode: (encoder, target, offset, data) => {
      pipeline ??= device.createComputePipeline({
        layout: "auto",
        compute: { module: device.createShaderModule({ code: PATCH }), entryPoint: "main" },
      });
      const words = patchWords(offset, data);
      const patch = device.createBuffer({ size: words.byteLength, usage: USAGE.storage, mappedAtCreation: true });
      new Uint32Array(patch.getMappedRange()).set(words);
      patch.unmap();
      const group = device.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: [target, patch].map((buffer, binding) => ({ binding, resource: { buffer } })),
      });
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      const groups = Math.ceil(words[1] / 64);
      const across = Math.min(groups, 65535);
      pass.dispatchWorkgroups(across, Math.ceil(groups / across));
      pass.end();
    },
  };
}
