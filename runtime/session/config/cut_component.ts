/** Components that a granularity made, beside those of encoders. */
import type { ComponentSpec } from "../../abi/encoder.ts";
import type { Dim } from "../../core/dim.ts";

/** A component inside of a larger one. */
export interface JoinedPart {
  readonly spec: ComponentSpec;
  /** Its symbols in those of the larger one. */
  readonly dims: Readonly<Record<string, Dim>>;
}

/** A component as a tower has it after it was cut. */
export interface CutComponent extends ComponentSpec {
  /** What a larger component consists of: its settings are those of its parts. */
  readonly parts?: readonly JoinedPart[];
  /**
   * Instances of an encoder's own component whose calls larger ones make: their weights are read where a plan calls them all
   * the same, and where there are no other instances the component is compiled then.
   */
  readonly spare?: readonly string[];
}

/** Instances whose weights are there from the start. */
export function usualInstances({ instances, spare = [] }: CutComponent): readonly string[] {
  return instances.filter((instance) => !spare.includes(instance));
}
