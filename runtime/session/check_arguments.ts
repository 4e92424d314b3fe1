/** Checks of what a runtime's methods are given beside options: those without types make typing mistakes too. */
import { FoveaError } from "../core/diagnostics.ts";
import { FUNCTION, foundText, isObject, OBJECT, TEXT } from "./check.ts";

/** @throws FoveaError `bad_usage` for what is no path of a folder */
export function checkFolderPath(of: string, folder: unknown): void {
  if (TEXT.holds(folder)) return;
  throw new FoveaError("bad_usage", `${of} takes the path of a folder to write into; found ${foundText(folder)}.`);
}

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

/** @throws FoveaError `invalid_input` for what is no list of inputs */
export function checkCalibrationInputs(inputs: unknown): void {
  if (Array.isArray(inputs) && inputs.length > 0) return;
  throw new FoveaError(
    "invalid_input",
    `calibrate takes a list of at least one input, such as [{ images: ["cat.jpg"] }]; found ${foundText(inputs)}.`,
  );
}

/** @throws FoveaError `invalid_input` for what is no list of sizes */
export function checkSizes(sizes: unknown): void {
  if (Array.isArray(sizes)) return;
  throw new FoveaError(
    "invalid_input",
    `tuneRanges takes a list of sizes such as { tag: "clip/text.block", dims: { batch: 1 } }; found ${foundText(sizes)}.`,
  );
}
