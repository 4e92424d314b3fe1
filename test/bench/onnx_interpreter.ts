/** Computes ONNX graphs by the definitions of their operators (https://onnx.ai/onnx/operators), on the evaluator's tensors. */
import type { OnnxAttribute, OnnxModel, OnnxNode } from "../../bench/onnx/model.ts";
import type { Tensor } from "../../runtime/abi/encoder.ts";
import * as ref from "../../runtime/ir/evaluate/mod.ts";

type RefTensor = ref.RefTensor;
type Operator = (inputs: readonly RefTensor[], attributes: Readonly<Record<string, OnnxAttribute>>) => RefTensor;

const whole = (t: RefTensor): number[] => [...t.data];

/** [batch, in, ...spatial] with weight [out, in, ...kernel]; one spatial axis is two of which the second has size 1. */
function convolution(
  [x, weight, bias]: readonly RefTensor[],
  attributes: Readonly<Record<string, OnnxAttribute>>,
): RefTensor {
  const two = (sizes: readonly number[]): readonly number[] => (sizes.length === 1 ? [sizes[0], 1] : sizes);
  const [strides, pads] = [attributes.strides, attributes.pads] as readonly (readonly number[])[];
  const [stepY, stepX] = two(strides);
  const [padY, padX] = strides.length === 1 ? [pads[0], 0] : pads;
  const [batch, channels] = x.shape;
  const [height, width] = two(x.shape.slice(2));
  const [out] = weight.shape;
  const [kernelY, kernelX] = two(weight.shape.slice(2));
  const rows = Math.floor((height + 2 * padY - kernelY) / stepY) + 1;
  const columns = Math.floor((width + 2 * padX - kernelX) / stepX) + 1;
  const data = new Float64Array(batch * out * rows * columns);
  let to = 0;
  for (let b = 0; b < batch; b++)
    for (let o = 0; o < out; o++)
      for (let row = 0; row < rows; row++)
        for (let column = 0; column < columns; column++) {
          let sum = bias?.data[o] ?? 0;
          for (let c = 0; c < channels; c++)
            for (let ky = 0; ky < kernelY; ky++)
              for (let kx = 0; kx < kernelX; kx++) {
                const [y, xx] = [row * stepY - padY + ky, column * stepX - padX + kx];
                if (y < 0 || y >= height || xx < 0 || xx >= width) continue;
                const value = x.data[((b * channels + c) * height + y) * width + xx];
                sum += value * weight.data[((o * channels + c) * kernelY + ky) * kernelX + kx];
              }
          data[to++] = sum;
        }
  return ref.refTensor("f32", [batch, out, ...(strides.length === 1 ? [rows] : [rows, columns])], data);
}

const OPERATORS: Readonly<Record<string, Operator>> = {
  Add: ([a, b]) => ref.add(a, b),
  Sub: ([a, b]) => ref.sub(a, b),
  Mul: ([a, b]) => ref.mul(a, b),
  Sigmoid: ([x]) => ref.sigmoid(x),
  Gelu: ([x], { approximate }) => (approximate === "tanh" ? ref.geluTanh(x) : ref.gelu(x)),
  MatMul: ([a, b]) => ref.matmul(a, b),
  Softmax: ([x]) => ref.softmax(x),
  LayerNormalization: ([x, w, b], { epsilon }) => ref.layerNorm(x, w, b, (epsilon as { readonly float: number }).float),
  Gather: ([table, at]) => ref.gather(table, at),
  Reshape: ([x, shape]) => ref.reshape(x, whole(shape)),
  Expand: ([x, shape]) => ref.broadcastTo(x, whole(shape)),
  Transpose: ([x], { perm }) => ref.transpose(x, perm as readonly number[]),
  Concat: (inputs, { axis }) => ref.concat(inputs, axis as number),
  Slice: ([x, starts, ends, axes]) => {
    const place = (values: RefTensor, rest: readonly number[]): number[] =>
      rest.map((size, axis) => (whole(axes).includes(axis) ? values.data[whole(axes).indexOf(axis)] : size));
    return ref.slice(
      x,
      place(
        starts,
        x.shape.map(() => 0),
      ),
      place(ends, x.shape),
    );
  },
  Conv: convolution,
};

function initializer(tensor: OnnxModel["initializers"][number], file: Uint8Array): RefTensor {
  const { data } = tensor;
  const bytes = data instanceof Uint8Array ? data : file.slice(data.offset, data.offset + data.length);
  if (tensor.type === "f32") return ref.refTensor("f32", tensor.shape, new Float32Array(bytes.slice().buffer));
  const values =
    tensor.type === "i64"
      ? Int32Array.from(new BigInt64Array(bytes.slice().buffer), Number)
      : new Int32Array(bytes.slice().buffer);
  return ref.refTensor("i32", tensor.shape, values);
}

/** Results by name. @param file what external data lies in @throws Error for operators that are not known here */
export function runOnnx(
  { nodes, initializers, outputs }: OnnxModel,
  feeds: Readonly<Record<string, Tensor>>,
  file: Uint8Array,
): Readonly<Record<string, RefTensor>> {
  const values = new Map<string, RefTensor>();
  for (const [name, { dtype, shape, data }] of Object.entries(feeds))
    values.set(name, ref.refTensor(dtype, shape, data));
  for (const tensor of initializers) values.set(tensor.name, initializer(tensor, file));
  const operand = ({ op }: OnnxNode, name: string): RefTensor => {
    const value = values.get(name);
    if (value === undefined) throw new Error(`${op} reads "${name}" before it is there`);
    return value;
  };
  for (const node of nodes) {
    const operator = OPERATORS[node.op];
    if (operator === undefined) throw new Error(`no operator ${node.op}`);
    values.set(
      node.outputs[0],
      operator(
        node.inputs.map((name) => operand(node, name)),
        node.attributes,
      ),
    );
  }
  return Object.fromEntries(outputs.map(({ name }) => [name, values.get(name) as RefTensor]));
}
