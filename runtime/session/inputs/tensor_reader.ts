/** Tensors in memory as a component's weights. */
import type { Tensor } from "../../abi/encoder.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import type { TensorReader } from "../../exec/instance_weights.ts";
import { tensorProblem } from "../check.ts";

/** Reads from tensors in memory. @throws FoveaError `missing_tensor`, `invalid_tensor`, `wrong_shape`, `non_finite_weights` */
export function tensorReader(weights: Readonly<Record<string, Tensor>>, tag: string): TensorReader {
  return async (name, shape) => {
    const tensor = weights[name];
    if (tensor === undefined) {
      throw new FoveaError(
        "missing_tensor",
        `Component "${tag}" needs the weight "${name}"; given are ${Object.keys(weights).join(", ") || "none"}.`,
      );
    }
    const what = `The weight "${name}" of component "${tag}"`;
    const problem = tensorProblem(tensor);
    if (problem !== undefined) throw new FoveaError("invalid_tensor", `${what} ${problem}`);
    if (tensor.shape.join() !== shape.join()) {
      throw new FoveaError(
        "wrong_shape",
        `${what} has the shape [${tensor.shape.join(", ")}]; expected [${shape.join(", ")}].`,
      );
    }
    const count = shape.reduce((a, b) => a * b, 1);
    if (tensor.data.length !== count) {
      throw new FoveaError(
        "wrong_shape",
        `${what} brings ${tensor.data.length} values for the shape [${shape.join(", ")}], which takes ${count}.`,
      );
    }
    const values = tensor.data instanceof Float32Array ? tensor.data : Float32Array.from(tensor.data);
    for (let i = 0; i < values.length; i++) {
      if (Number.isFinite(values[i])) continue;
      throw new FoveaError(
        "non_finite_weights",
        `${what} holds ${values[i]} at element ${i}; expected finite numbers.`,
      );
    }
    return values;
  };
}
