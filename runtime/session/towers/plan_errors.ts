/** Mistakes of encoders about their own components. */
import { FoveaError } from "../../core/diagnostics.ts";
import { didYouMean } from "../check.ts";

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
