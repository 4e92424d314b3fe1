/** Results of several calls under one name. */
import type { Tensor } from "../../abi/encoder.ts";
import { concatRows } from "./batching.ts";

export interface NamedTensor {
  readonly name: string;
  readonly tensor: Tensor;
}

/** Equal but along the axis that they are joined on. */
const fit = (parts: readonly Tensor[], axis: number): boolean =>
  parts.every(
    ({ shape }) =>
      shape.length === parts[0].shape.length && shape.every((d, i) => i === axis || d === parts[0].shape[i]),
  );

/** One behind the other along `axis`; `name.0`, `name.1` where their sizes differ. */
export function joinedParts(name: string, parts: readonly Tensor[], axis: number): readonly NamedTensor[] {
  if (!fit(parts, axis)) return parts.map((tensor, i) => ({ name: `${name}.${i}`, tensor }));
  const joined = concatRows(
    parts.map((tensor) => ({ [name]: tensor })),
    { [name]: axis },
  );
  return [{ name, tensor: joined[name] }];
}
