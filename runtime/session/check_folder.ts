/** The path of a folder that a runtime writes into. */
import { FoveaError } from "../core/diagnostics.ts";
import { foundText, TEXT } from "./check.ts";

/** @throws FoveaError `bad_usage` for what is no path of a folder */
export function checkFolderPath(of: string, folder: unknown): void {
  if (TEXT.holds(folder)) return;
  throw new FoveaError("bad_usage", `${of} takes the path of a folder to write into; found ${foundText(folder)}.`);
}
