/** A model's weights with a calibration beside them. */
import type { Tensors } from "../../abi/encoder.ts";
import { isMagnitudesName, isScalesName } from "../../core/calibration.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { digestBytes } from "../../core/digest.ts";
import { bytesOf } from "../../core/dtype.ts";
import type { TensorSource } from "../../exec/weights/tensor_source.ts";

const madeAnew = "Make the calibration anew for this model: fovea tune calibration.";
const madeForAll =
  "it is of another model, or nothing that it was made of went through this tower. Make it anew, with inputs for every tower that is loaded: fovea tune calibration.";

const isCalibrated = (name: string): boolean => isMagnitudesName(name) || isScalesName(name);

/** Scales are divided by as well as multiplied with, and round nothing. */
const isPowerOfTwo = (value: number): boolean => value > 0 && Number.isInteger(Math.log2(value));
const isMagnitude = (value: number): boolean => Number.isFinite(value) && value >= 0;

/** The weights, and magnitudes and scales of columns by their names. @throws (reading) FoveaError `bad_calibration` */
export function withCalibration(weights: TensorSource, calibration: Tensors): TensorSource {
  return {
    ...weights,
    has: (name) => (isCalibrated(name) ? Object.hasOwn(calibration, name) : weights.has(name)),
    read: async (name, shape, options) => {
      if (!isCalibrated(name)) return weights.read(name, shape, options);
      const own = Object.hasOwn(calibration, name) ? calibration[name] : undefined;
      if (own === undefined)
        throw new FoveaError("bad_calibration", `The calibration has no tensor "${name}": ${madeForAll}`);
      const [fits, kind] = isScalesName(name)
        ? [isPowerOfTwo, "powers of two"]
        : [isMagnitude, "finite and not below 0"];
      if (own.shape.join() !== shape.join() || !own.data.every(fits)) {
        throw new FoveaError(
          "bad_calibration",
          `The calibration's tensor "${name}" has the shape [${own.shape.join(", ")}]; expected [${shape.join(", ")}], ${kind}. ${madeAnew}`,
        );
      }
      return Float32Array.from(own.data);
    },
    identityOf: (name) => {
      if (!isCalibrated(name)) return weights.identityOf?.(name);
      return Object.hasOwn(calibration, name) ? digestBytes(bytesOf(calibration[name].data)) : undefined;
    },
  };
}
