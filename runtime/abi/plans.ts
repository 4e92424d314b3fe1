/** Pieces of plans that most towers share. */
import { FoveaError } from "../core/diagnostics.ts";
import type { Bindings } from "../core/dim.ts";
import type { ComponentCall } from "./encoder.ts";

/** Refuses outputs that a tower does not have. @throws FoveaError `invalid_input` that lists what there is */
export function checkOutputs(wanted: readonly string[], known: readonly string[]): void {
  const odd = wanted.find((name) => !known.includes(name));
  if (odd !== undefined || wanted.length === 0) {
    const found = odd === undefined ? "No output was asked for" : `There is no output "${odd}"`;
    throw new FoveaError("invalid_input", `${found}; this tower gives ${known.join(", ")}.`);
  }
}

/** A plan's key: the tower, the sizes that tell its geometries apart, the outputs in any order. */
export function planKey(tower: string, dims: Bindings, outputs: readonly string[]): string {
  const sizes = Object.entries(dims).map(([name, value]) => `${name}=${value}`);
  return `${tower} ${sizes.join(" ")} -> ${[...outputs].sort().join(" ")}`;
}

/** Name of the hidden states that passed `layers` layers of {@link layerCalls}. */
export function hiddenStates(layers: number): string {
  return `hidden_states.${layers}`;
}

/**
 * One call for each instance of a block with the port `hidden_states`, from {@link hiddenStates}(0) on.
 * @param shared the block's other inputs, the same for all layers
 */
export function layerCalls(
  tag: string,
  dims: Bindings,
  instances: readonly string[],
  shared: Readonly<Record<string, string>> = {},
): ComponentCall[] {
  return instances.map((instance, i) => ({
    tag,
    instance,
    dims,
    inputs: { hidden_states: hiddenStates(i), ...shared },
    outputs: { hidden_states: hiddenStates(i + 1) },
  }));
}

/** The wanted results out of all that a tower can give. */
export function pickResults(
  wanted: readonly string[],
  from: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(wanted.map((name) => [name, from[name]]));
}
