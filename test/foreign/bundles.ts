/** Bundles of WGSL for tests: a kernel that squares, right or with a sin. */
import { digestBytes } from "../../runtime/core/digest.ts";

export interface BundleParts {
  /** Statements of the entry before it squares; `i` is the element, `n` how many there are. */
  readonly before?: string;
  /** The value that is written for `v`. */
  readonly value?: string;
  /** Where it is written. */
  readonly place?: string;
  /** Module scope. */
  readonly scope?: string;
  /** The whole file instead. */
  readonly wgsl?: string;
  /** Members of the kernel's description instead of those of {@link SQUARE_SHADER}. */
  readonly kernel?: object;
  readonly requires?: object;
}

export const SQUARE_SHADER: Readonly<Record<string, unknown>> = {
  name: "square",
  file: "square.wgsl",
  entry: "square",
  pattern: { op: "mul", inputs: ["x", "x"] },
  operands: { x: { shape: ["...rows", "width"] } },
  output: ["...rows", "width"],
  grid: "rows",
  bindings: [
    { binding: 0, role: "output" },
    { binding: 1, role: "operand", of: "x" },
    { binding: 2, role: "sizes", of: ["rows", "width"] },
  ],
  dispatch: ["(rows * width + 63) / 64"],
  flops: "rows * width",
};

export const squareShader = ({ before = "", value = "v * v", place = "i", scope = "" }: BundleParts = {}): string => `
struct Sizes { rows: u32, width: u32 }
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<uniform> sizes: Sizes;
${scope}
@compute @workgroup_size(64)
fn square(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  let n = sizes.rows * sizes.width;
  ${before}
  if (i < n) { let v = x[i]; y[${place}] = ${value}; }
}
`;

/** Files of a bundle with one kernel. */
export function bundleFiles(parts: BundleParts = {}): ReadonlyMap<string, Uint8Array> {
  const bytes = new TextEncoder().encode(parts.wgsl ?? squareShader(parts));
  const manifest = {
    ...{ name: "@test/shaders", version: "1.0.0", abi: 1, form: "wgsl" },
    ...(parts.requires === undefined ? {} : { requires: parts.requires }),
    kernels: [{ ...SQUARE_SHADER, sha256: digestBytes(bytes), ...parts.kernel }],
  };
  return new Map([
    ["plugin.json", new TextEncoder().encode(JSON.stringify(manifest))],
    ["square.wgsl", bytes],
  ]);
}
