/** Strides of symbolic shapes, in elements. */
import { type Dim, dimEquals, mul, type Shape } from "./dim.ts";

/** Strides of a dense, row-major value. */
export function denseStrides(shape: Shape): readonly Dim[] {
  const strides: Dim[] = new Array(shape.length);
  let step: Dim = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step = mul(step, shape[axis]);
  }
  return strides;
}

/** Strides over `shape` of a value that broadcasts to it: 0 on axes that it lacks or has once. */
export function broadcastStrides(own: Shape, strides: readonly Dim[], shape: Shape): readonly Dim[] {
  const lead = shape.length - own.length;
  return shape.map((size, axis): Dim => (axis < lead || !dimEquals(own[axis - lead], size) ? 0 : strides[axis - lead]));
}
