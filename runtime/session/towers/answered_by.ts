/** Which device a result is from. */

const DEVICE: unique symbol = Symbol.for("fovea.device");

/** A result that says who computed it; not among its names, which are those of tensors. */
export function answeredBy<T extends object>(device: string, result: T): T {
  return Object.defineProperty(result, DEVICE, { value: device, enumerable: false, configurable: true });
}

/** Kind of the device that computed a result of `encode`; nothing for copies of one and for what is none. */
export function deviceOf(result: object): string | undefined {
  return (result as { readonly [DEVICE]?: string } | null | undefined)?.[DEVICE];
}
