/**
 * Single elements of a graph's values, in f64: only what an element depends on is computed, so that a few hundred
 * reference values at true sizes cost milliseconds.
 */

import { internal } from "../../core/diagnostics.ts";
import { type Bindings, type Dim, evaluate as evaluateDim, type Shape } from "../../core/dim.ts";
import type { HalfDType } from "../../core/dtype.ts";
import { roundToHalf } from "../../core/half.ts";
import type { Node, OpTable } from "../node.ts";
import { OP_TABLE } from "../ops.ts";
import { evaluateNode, evaluatorOf, expansionOf } from "./graph.ts";
import { resampleOne } from "./resample.ts";
import { sampleAttention } from "./sample_attention.ts";
import { sampleMatmul } from "./sample_products.ts";
import { type Run, sampleChannelScales, sampleQuantizedMatmul } from "./sample_quantized.ts";
import { atStrides, float64, type Reader, remember, rememberLast, several, strided, vector } from "./sample_reader.ts";
import { broadcastStrides, isFloat, type RefTensor, refTensor, sameShape, stridesOf } from "./tensor.ts";

/** Elements of a value at row-major positions. */
export type ElementsAt = (node: Node, positions: readonly number[]) => Float64Array;

export interface SampleOptions {
  readonly bindings: Bindings;
  /** Values that are given instead of computed; `undefined` means "compute it". Asked once for each node. */
  readonly given: (node: Node) => Reader | undefined;
  readonly table?: OpTable;
}

/** Values as a tensor, which nobody writes to. */
function tensorOf(dtype: Node["dtype"], shape: readonly number[], data: Float64Array): RefTensor {
  return isFloat(dtype) ? { dtype, shape, data } : refTensor(dtype, shape, data);
}

/** Creates a sampler; rows that several elements share (norms, products, attention weights) are computed once. */
export function createSampler(options: SampleOptions): ElementsAt {
  const readerOf = createReaders(options);
  return (node, positions) => several(readerOf(node), positions);
}

/** Readers of values' elements; the same one whenever a node is asked for. */
export function createReaders(options: SampleOptions): (node: Node) => Reader {
  const { bindings } = options;
  const table = options.table ?? OP_TABLE;
  const sizes = (shape: Shape): number[] => shape.map((d: Dim) => evaluateDim(d, bindings));
  const shapeOf = (node: Node): number[] => sizes(node.shape);
  const lastOf = (shape: readonly number[]): number => shape[shape.length - 1] ?? 1;

  const readers = new Map<Node, Reader>();
  const readerOf = (node: Node): Reader => {
    let reader = readers.get(node);
    if (reader === undefined) {
      reader = options.given(node) ?? build(node);
      readers.set(node, reader);
    }
    return reader;
  };

  /** Whole vectors at once: a chain of such ops above a row costs a few calls instead of a few for each element. */
  const elementwise = (node: Node): Reader => {
    const shape = shapeOf(node);
    const operands = node.inputs.map((x) => {
      const own = shapeOf(x);
      const read = readerOf(x);
      const placed = sameShape(own, shape) ? read : strided(read, shape, broadcastStrides(own, shape));
      return { dtype: x.dtype, read: placed };
    });
    const apply = (values: readonly Float64Array[], count: number): Float64Array => {
      const tensors = operands.map(({ dtype }, i) => tensorOf(dtype, [count], values[i]));
      return float64(evaluateNode(node, tensors, bindings, table).data);
    };
    const many = rememberLast((positions) =>
      apply(
        operands.map(({ read }) => several(read, positions)),
        positions.length,
      ),
    );
    const run = rememberLast(([start, step, count]) =>
      apply(
        operands.map(({ read }) => vector(read, start, step, count)),
        count,
      ),
    );
    return Object.assign((position: number): number => many([position])[0], {
      many,
      run: (start: number, step: number, count: number): Float64Array => run([start, step, count]),
    });
  };

  const rowTensor = (x: Node, width: number): ((row: number) => RefTensor) => {
    const read = readerOf(x);
    return (row) => tensorOf(x.dtype, [1, width], vector(read, row * width, 1, width));
  };

  const normalization = (node: Node): Reader => {
    const [x, ...parameters] = node.inputs;
    const width = lastOf(shapeOf(node));
    const rowOf = rowTensor(x, width);
    const whole = parameters.map((p) => tensorOf(p.dtype, [width], vector(readerOf(p), 0, 1, width)));
    const values = remember((row) => evaluateNode(node, [rowOf(row), ...whole], bindings, table).data);
    const at = (position: number): number => {
      const row = Math.floor(position / width);
      return values(row)[position - row * width];
    };
    return Object.assign(at, { many: (positions: readonly number[]) => new Float64Array(positions.map(at)) });
  };

  const reduction = (node: Node): Reader => {
    const rowOf = rowTensor(node.inputs[0], lastOf(shapeOf(node.inputs[0])));
    return remember((row) => evaluateNode(node, [rowOf(row)], bindings, table).data[0]);
  };

  const view = (node: Node): Reader => {
    const [x] = node.inputs;
    const read = readerOf(x);
    const a = node.attributes;
    if (node.op === "reshape" || node.op === "contiguous" || node.op === "widen") return read;
    const shape = shapeOf(node);
    const own = stridesOf(shapeOf(x));
    const axis = a.axis as number;
    switch (node.op) {
      case "windows":
        return strided(read, shape, [...own.slice(0, axis), own[axis] * (a.step as number), ...own.slice(axis)]);
      case "broadcast_to":
        return strided(read, shape, broadcastStrides(shapeOf(x), shape));
      case "transpose":
        return strided(
          read,
          shape,
          (a.perm as readonly number[]).map((p) => own[p]),
        );
      default:
        return strided(read, shape, own, evaluateDim(a.start as Dim, bindings) * own[axis]);
    }
  };

  const matmul = (node: Node): Reader => {
    const [a, b] = node.inputs;
    return sampleMatmul({
      a: readerOf(a),
      b: readerOf(b),
      shape: shapeOf(node),
      shapeA: shapeOf(a),
      shapeB: shapeOf(b),
      transposed: node.attributes.transpose_b === true,
    });
  };

  const attention = (node: Node): Reader => {
    const [q, k, v, ...extra] = node.inputs;
    const a = node.attributes;
    const masked = a.key_mask === true;
    const segments = a.segments === true ? extra[masked ? 1 : 0] : undefined;
    return sampleAttention({
      q: readerOf(q),
      k: readerOf(k),
      v: readerOf(v),
      shapeQ: shapeOf(q),
      shapeK: shapeOf(k),
      scale: a.scale as number,
      causal: a.causal === true,
      window: (a.window as number | undefined) ?? 0,
      masked: masked ? readerOf(extra[0]) : undefined,
      offsets: segments && vector(readerOf(segments), 0, 1, shapeOf(segments)[0]),
    });
  };

  const indexed = (node: Node): Reader => {
    const [x, indices] = node.inputs;
    const [read, readIndex] = [readerOf(x), readerOf(indices)];
    const width = lastOf(shapeOf(x));
    const rowsEach = node.op === "take_row" ? shapeOf(x)[1] : 0;
    const rowAt = (row: number): number => (readIndex(row) + row * rowsEach) * width;
    const at = (position: number): number => {
      const row = Math.floor(position / width);
      return read(rowAt(row) + position - row * width);
    };
    return Object.assign(at, {
      run: (start: number, step: number, count: number): Float64Array => {
        const row = Math.floor(start / width);
        const from = start - row * width;
        if (step === 1 && from + count <= width) return vector(read, rowAt(row) + from, 1, count);
        return vector((position) => at(position), start, step, count);
      },
    });
  };

  const concat = (node: Node): Reader => {
    const axis = node.attributes.axis as number;
    const shape = shapeOf(node);
    // Runs of the axis and all behind it.
    const inner = stridesOf(shape)[axis];
    const run = inner * shape[axis];
    const parts = node.inputs.map((x) => ({ read: readerOf(x), length: shapeOf(x)[axis] * inner }));
    const locate = (position: number): { readonly read: Reader; readonly from: number; readonly rest: number } => {
      const outer = Math.floor(position / run);
      let at = position - outer * run;
      for (const { read, length } of parts) {
        if (at < length) return { read, from: outer * length + at, rest: length - at };
        at -= length;
      }
      return internal(`a concatenation has no element ${position}`);
    };
    const at = (position: number): number => {
      const { read, from } = locate(position);
      return read(from);
    };
    return Object.assign(at, {
      run: (start: number, step: number, count: number): Float64Array => {
        const { read, from, rest } = locate(start);
        if (step === 1 && count <= rest) return vector(read, from, 1, count);
        return vector((position) => at(position), start, step, count);
      },
    });
  };

  const patchify = (node: Node): Reader => {
    const read = readerOf(node.inputs[0]);
    const [ph, pw] = [node.attributes.patch_height as number, node.attributes.patch_width as number];
    const [batches, channels, height, width] = shapeOf(node.inputs[0]);
    const [down, across] = [Math.floor(height / ph), Math.floor(width / pw)];
    const image = height * width;
    const place = atStrides(
      [batches, down, across, channels, ph, pw],
      [channels * image, ph * width, pw, image, width, 1],
    );
    return (position) => read(place(position));
  };

  const resample = (node: Node): Reader => {
    const [x, ...operands] = node.inputs;
    const read = readerOf(x);
    const sources = shapeOf(x);
    const [starts, weights, bits] = operands.map(shapeOf);
    const table = {
      outputs: starts[0],
      taps: weights[1],
      start: readerOf(operands[0]),
      weight: (output: number, tap: number): number => {
        const w = readerOf(operands[1])(output * weights[1] + tap);
        return node.attributes.narrow === true ? (w << 16) >> 16 : w;
      },
      bits: bits[0] === 1 ? readerOf(operands[2])(0) : internal("resampling needs one number of bits"),
    };
    if (node.op === "resample_rows") {
      const [height, width] = sources;
      return (position) => {
        const column = position % width;
        const source = (row: number): number => read(row * width + column);
        return resampleOne(source, height, table, Math.floor(position / width));
      };
    }
    const [, width, channels] = sources;
    return (position) => {
      const output = position % table.outputs;
      const plane = Math.floor(position / table.outputs);
      const [row, channel] = [Math.floor(plane / channels), plane % channels];
      const source = (i: number): number => read((row * width + i) * channels + channel);
      return resampleOne(source, width, table, output);
    };
  };

  const runOf = (node: Node): Run => {
    const read = readerOf(node);
    return (start, count) => vector(read, start, 1, count);
  };

  const quantizedMatmul = (node: Node): Reader => {
    const [x, w] = node.inputs;
    const [n, k] = [lastOf(shapeOf(node)), lastOf(shapeOf(x))];
    return sampleQuantizedMatmul({ x: runOf(x), w: runOf(w), n, k, scaled: node.attributes.scaled === true });
  };

  const channelScales = (node: Node): Reader => {
    const [w, magnitudes] = node.inputs;
    const [n, k] = shapeOf(w);
    return sampleChannelScales(runOf(w), runOf(magnitudes), n, k);
  };

  /** An op of a plugin whose kind says too little: what it means in simpler ops. */
  const expanded = (node: Node): Reader => {
    const { outputs } = expansionOf(node, table);
    const sample = createSampler({
      bindings,
      table,
      given: (x) => (x.op === "input" ? readerOf(node.inputs[Number(x.attributes.name)]) : undefined),
    });
    const many = (positions: readonly number[]): Float64Array => sample(outputs[0].node, positions);
    return Object.assign((position: number): number => many([position])[0], { many });
  };

  const build = (node: Node): Reader => {
    const kind = table.get(node.op)?.kind;
    if (kind === "elementwise") return elementwise(node);
    if (kind === "normalization") return normalization(node);
    if (node.op === "input" || node.op === "weight")
      return internal(`the ${node.op} "${String(node.attributes.name)}" has no values to sample`);
    if (evaluatorOf(node.op) === undefined) return expanded(node);
    if (kind === "view" || node.op === "contiguous") return view(node);
    if (kind === "reduction") return reduction(node);
    switch (node.op) {
      case "constant":
        return () => node.attributes.value as number;
      case "matmul":
        return matmul(node);
      case "attention":
        return attention(node);
      case "quantized_matmul":
        return quantizedMatmul(node);
      case "channel_scales":
        return channelScales(node);
      case "gather":
      case "take_row":
        return indexed(node);
      case "concat":
        return concat(node);
      case "patchify":
        return patchify(node);
      case "resample_columns":
      case "resample_rows":
        return resample(node);
      case "rotary":
        return expanded(node);
      case "stored_as": {
        const read = readerOf(node.inputs[0]);
        const round = (value: number): number => roundToHalf(node.attributes.dtype as HalfDType, value);
        return Object.assign((position: number): number => round(read(position)), {
          run: (start: number, step: number, count: number): Float64Array =>
            vector(read, start, step, count).map(round),
          many: (positions: readonly number[]): Float64Array => several(read, positions).map(round),
        });
      }
      default:
        return internal(`the sampler does not know "${node.op}"`);
    }
  };

  return readerOf;
}
