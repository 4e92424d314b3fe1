/** A kernel in WGSL. */
import {
  GATE_PATTERN,
  GATE_WORK,
  json,
  KERNEL_TEST,
  kernelReadme,
  packageJson,
  type Template,
  UNBUILT,
} from "./project.ts";

const SOURCE = `// output = x * (x + y): an invocation for each number.
struct Sizes { rows: u32, width: u32 }

@group(0) @binding(0) var<storage, read_write> output: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<uniform> sizes: Sizes;

@compute @workgroup_size(64)
fn gate(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  if (i < sizes.rows * sizes.width) { output[i] = x[i] * (x[i] + y[i]); }
}
`;

export const KERNEL_WGSL: Template = {
  name: "kernel-wgsl",
  makes: "a kernel in WGSL, for WebGPU",
  files: (name) => ({
    "package.json": packageJson(name, "fovea plugin build .", "node --test plugin.test.mjs", {
      files: ["plugin.json", "gate.wgsl"],
    }),
    "plugin.json": json({
      ...{ name, version: "0.1.0", abi: 1, form: "wgsl" },
      kernels: [
        {
          ...GATE_PATTERN,
          ...{ file: "gate.wgsl", sha256: UNBUILT, entry: "gate" },
          bindings: [
            { binding: 0, role: "output" },
            { binding: 1, role: "operand", of: "x" },
            { binding: 2, role: "operand", of: "y" },
            { binding: 3, role: "sizes", of: ["rows", "width"] },
          ],
          dispatch: ["(rows * width + 63) / 64"],
          ...GATE_WORK,
        },
      ],
    }),
    "gate.wgsl": SOURCE,
    "plugin.test.mjs": KERNEL_TEST,
    "README.md": kernelReadme(name, "A kernel for fovea in WGSL: `x * (x + y)` in one pass.", [
      "The test needs WebGPU: Deno has it; for Node and Bun `npm install --save-dev webgpu` and `bun-webgpu`.",
    ]),
  }),
};
