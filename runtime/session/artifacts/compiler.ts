/** The compiler, which an installation that only runs packs may lack. */
import { FoveaError } from "../../core/diagnostics.ts";

type CompilerModule = typeof import("../../compile/compile.ts");

/** Digest of the compiler's sources; nothing where there is no compiler. It is plain data: the compiler is not loaded. */
export async function compilerDigest(): Promise<string | undefined> {
  try {
    return (await import("../../compile/source_digest.ts")).SOURCE_DIGEST;
  } catch {
    return undefined;
  }
}

/** @throws FoveaError `no_compiler` naming what would have been compiled */
export async function loadCompiler(what: string): Promise<CompilerModule> {
  try {
    return await import("../../compile/compile.ts");
  } catch (cause) {
    throw new FoveaError(
      "no_compiler",
      `There is no artifact for ${what}, and this installation has no compiler. Build a pack that holds it with \`fovea build\`, or install fovea whole.`,
      { cause },
    );
  }
}
