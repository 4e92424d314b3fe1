/** One kernel binary serves both modes: only the limits of its memory import tell shared from unshared memory. */
import { FoveaError } from "../../../runtime/core/diagnostics.ts";

const IMPORT_SECTION = 2;
const MEMORY_IMPORT = 2;
const UNSHARED_WITH_MAXIMUM = 0x01;
const SHARED_WITH_MAXIMUM = 0x03;

/**
 * A copy of a kernel module whose first import, a memory with a maximum, is declared as shared.
 * @throws FoveaError `invalid_code`
 */
export function withSharedMemory(code: Uint8Array): Uint8Array<ArrayBuffer> {
  let at = 8;
  const refuse = (found: string): never => {
    throw new FoveaError(
      "invalid_code",
      `A kernel module cannot be used with threads: ${found}; expected one import, a memory with a maximum.`,
    );
  };
  const number = (): number => {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      if (at >= code.length) return refuse("it ends within a number");
      const byte = code[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    return refuse("it holds a number that is too long");
  };
  const skip = (): void => {
    const length = number();
    at += length;
  };
  while (at < code.length) {
    const section = code[at++];
    if (section !== IMPORT_SECTION) {
      skip();
      continue;
    }
    number();
    if (number() !== 1) refuse("it has several imports or none");
    skip();
    skip();
    if (code[at] !== MEMORY_IMPORT) refuse("its import is not a memory");
    const flags = code[at + 1];
    if (flags !== UNSHARED_WITH_MAXIMUM && flags !== SHARED_WITH_MAXIMUM)
      refuse(`its memory import has limits kind ${flags}`);
    const patched = Uint8Array.from(code);
    patched[at + 1] = SHARED_WITH_MAXIMUM;
    return patched;
  }
  return refuse("it has no imports");
}
