/** Checks of what a runtime's methods are given beside options: those without types make typing mistakes too. */
import { FoveaError } from "../core/diagnostics.ts";
import { FUNCTION, foundText, isObject, OBJECT, TEXT } from "./check.ts";

const PARTS = { tag: TEXT, symbols: OBJECT, build: FUNCTION } as const;

/** @throws FoveaError `invalid_input` for what is no component */
export function checkComponent(component: unknown): void {
  if (!isObject(component)) {
    throw new FoveaError(
      "invalid_input",
      `compile takes a component { tag, symbols, build }; found ${foundText(component)}.`,
    );
  }
  for (const [name, { text, holds }] of Object.entries(PARTS)) {
    if (holds(component[name])) continue;
    throw new FoveaError(
      "invalid_input",
      `The component given to compile has \`${name}\` ${foundText(component[name])}; expected ${text}.`,
    );
  }
}

/** @throws FoveaError `invalid_input` for what holds no weights by name */
export function checkWeights(weights: unknown): void {
  if (isObject(weights)) return;
  throw new FoveaError("invalid_input", `compile takes weights by name; found ${foundText(weights)}.`);
}
