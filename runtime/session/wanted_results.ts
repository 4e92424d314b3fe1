/** Which results a call is to give, and into which memory. */
import type { Modality, Tensors, TowerSpec } from "../abi/encoder.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { checkApart, type ResultMemory } from "../exec/result_memory.ts";
import { didYouMean } from "./check.ts";

/** @throws FoveaError `invalid_input` for a wanted output that is none of those that there are */
export function checkNames(wanted: readonly string[], all: readonly string[]): void {
  for (const name of wanted) {
    if (all.includes(name)) continue;
    throw new FoveaError(
      "invalid_input",
      `There is no output "${name}"; these inputs give ${[...new Set(all)].join(", ")}.${didYouMean(name, all)}`,
    );
  }
}

/**
 * What a tower gives.
 * @param tensors of inputs, which may lack what tells of another form: those of pictures have no grids of videos
 */
export const resultsOf = ({ outputs, layout = [] }: TowerSpec, tensors?: Tensors): readonly string[] => [
  ...outputs,
  ...layout.filter((name) => tensors === undefined || name in tensors),
];

/** @throws FoveaError `invalid_input` for memory that is for no result of this call, or for two */
export function checkMemory(into: ResultMemory | undefined, wanted: ReadonlyMap<Modality, readonly string[]>): void {
  if (into === undefined) return;
  if (wanted.size > 1) {
    throw new FoveaError("invalid_input", "`into` is for the results of one tower: encode pictures and texts apart.");
  }
  const names = [...wanted.values()].flat();
  for (const name of Object.keys(into)) {
    if (names.includes(name)) continue;
    const made = `this call makes ${names.join(", ")}`;
    throw new FoveaError("invalid_input", `\`into\` has memory for "${name}"; ${made}.${didYouMean(name, names)}`);
  }
  checkApart(into);
}
