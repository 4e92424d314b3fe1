/** Mistakes of encoders about their own components. */

import type { Tensors, TowerSpec } from "../../abi/encoder.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { didYouMean } from "../check.ts";

/** A tower in messages: by its model's type. */
export const towerText = ({ modality, modelType }: TowerSpec & { readonly modelType?: string }): string =>
  `the ${modality} tower of the model_type "${modelType}"`;

/** An error about what a tower gives, which says whose it is. */
export function ofTower(error: unknown, spec: TowerSpec): unknown {
  const tower = towerText(spec);
  const isNameless = error instanceof FoveaError && error.code === "invalid_plan" && !error.message.includes(tower);
  return isNameless ? error.adding(`This is ${tower}.`) : error;
}

const listText = (names: Iterable<string>): string => [...names].map((name) => `"${name}"`).join(", ");

/** A plan calls what its tower does not list. @throws FoveaError `invalid_plan` */
export function noComponent(tag: string, known: Iterable<string>): never {
  const tags = [...known];
  throw new FoveaError(
    "invalid_plan",
    `The plan calls the component "${tag}", which its tower does not list; there are ${listText(tags)}.${didYouMean(tag, tags)}`,
  );
}

/** A plan calls a component for weights that it does not list. @throws FoveaError `invalid_plan` */
export function noInstance(tag: string, instance: string, known: readonly string[]): never {
  throw new FoveaError(
    "invalid_plan",
    `The plan calls the component "${tag}" for the instance "${instance}", which it does not list; its \`instances\` are ${listText(known)}.${didYouMean(instance, known)}`,
  );
}

/** Two components of a tower cannot be told apart. @throws FoveaError `invalid_plugin` */
export function twoComponents(tag: string): never {
  throw new FoveaError(
    "invalid_plugin",
    `The tower lists two components with the tag "${tag}"; a tag tells a component from all others.`,
  );
}

/** A batch is cut whose tensors have no row for each of its items. @throws FoveaError `invalid_plan` */
export function checkRows(tensors: Tensors, rows: number, limit: number): void {
  const other = Object.entries(tensors).find(([, { shape }]) => shape[0] !== rows);
  if (other === undefined) return;
  const [name, { shape }] = other;
  throw new FoveaError(
    "invalid_plan",
    `\`prepare\` gives "${name}" as [${shape}] for a batch of ${rows}, which is cut into runs of ${limit}; give it a row for each item, or the tower a \`split\`.`,
  );
}
