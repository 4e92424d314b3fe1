/** Assertions about errors for people. */
import { FoveaError } from "../../runtime/core/diagnostics.ts";

/** True for a FoveaError with this code whose message is a sentence and matches. */
export function hasCode(code: string, says: RegExp): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof FoveaError))
      throw new Error(`expected a FoveaError, found ${String(error)}`, { cause: error });
    if (error.code !== code) throw new Error(`expected the code ${code}, found ${error.code}: ${error.message}`);
    if (!says.test(error.message)) throw new Error(`expected ${says} in: ${error.message}`);
    if (!/[.?]$/.test(error.message)) throw new Error(`expected a sentence, found: ${error.message}`);
    return true;
  };
}
