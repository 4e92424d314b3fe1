/** Products of integers in the place of large products with weights. */
import { scalesName } from "../core/calibration.ts";
import { type Graph, nodesOf, topological, weightOnly } from "../ir/graph.ts";
import type { Make, Node } from "../ir/node.ts";
import { firstTensor } from "./multiplied_weight.ts";
import { makeFor, mapGraph } from "./rewrite.ts";

/** Products with fewer rows of weights, or shorter ones, gain nothing. */
const LEAST_SIDE = 16;

const multipliesBytes = ({ inputs: [x] }: Node): boolean => x.op === "cast" && x.inputs[0].dtype === "u8";

function isLarge({ shape }: Node): boolean {
  return shape.length === 2 && shape.every((d) => typeof d === "number" && d >= LEAST_SIDE);
}

/** Magnitudes of the columns that a norm writes, as far as its parameters tell: |weight| + |bias|. */
function normMagnitudes(x: Node, make: Make): Node | undefined {
  if (x.op !== "layer_norm" && x.op !== "rms_norm") return undefined;
  const sizes = x.inputs.slice(1).map((p) => make("abs", [p]));
  return sizes.reduce((a, b) => make("add", [a, b]));
}

/** Scales of the columns that a checkpoint's own weights multiply, as a calibration has them. */
function calibratedScales(w: Node, make: Make): Node | undefined {
  const first = firstTensor(w);
  if (first === undefined) return undefined;
  return make("weight", [], {
    name: scalesName(first),
    shape: [w.shape[1]],
    dtype: "f32",
  });
}

/**
 * Weights with their columns multiplied by the scales that even out both sides, and, in one row more, what the other side is
 * multiplied by.
 */
function evenedOut(weights: Node, scales: Node, make: Make): Node {
  const inverse = make("div", [make("constant", [], { value: 1 }), scales]);
  return make("concat", [make("mul", [weights, scales]), make("reshape", [inverse], { shape: [1, ...scales.shape] })], {
    axis: 0,
  });
}

/**
 * Replaces products of f32 with weights kept as [out, in] by `quantized_matmul`, where both sides have at least 16. Behind a
 * norm whose parameters are weights, columns that they make larger than others are made smaller, and those of the weights
 * larger: an outlier would otherwise leave its row's other numbers few codes.
 * @param calibrated scales are weights of their own, for all products, see `core/calibration.ts`
 */
export function quantizeProducts(graph: Graph, make: Make, calibrated = false): Graph {
  const weights = weightOnly(nodesOf(graph));
  const fits = ({ op, attributes, inputs }: Node): boolean =>
    op === "matmul" &&
    attributes.transpose_b === true &&
    !weights.has(inputs[0]) &&
    weights.has(inputs[1]) &&
    isLarge(inputs[1]) &&
    topological([inputs[1]]).some((x) => x.op === "weight");
  return mapGraph(graph, make, (n, original) => {
    if (!fits(original) || multipliesBytes(original)) return n;
    const own = makeFor(make, n);
    const [x, w] = n.inputs;
    const isOfWeights = original.inputs[0].inputs.slice(1).every((p) => weights.has(p));
    const told = calibrated ? calibratedScales(w, make) : undefined;
    const magnitudes = told === undefined && isOfWeights ? normMagnitudes(x, make) : undefined;
    const scales = magnitudes === undefined ? told : make("channel_scales", [w, magnitudes]);
    return scales === undefined
      ? own("quantized_matmul", [x, w])
      : own("quantized_matmul", [x, evenedOut(w, scales, make)], { scaled: true });
  });
}
