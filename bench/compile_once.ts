/**
 * One new process: SigLIP base's vision tower compiled, or taken from a pack, and what that took as JSON.
 *
 *   compile_once.ts <threads> [<pack>]
 */
import process from "node:process";
import { fileURLToPath } from "node:url";
import { createRuntime, type TraceSink } from "../mod.ts";

/** Its `config.json` alone. */
export const MODEL: string = fileURLToPath(
  new URL("../test/fixtures/configs/siglip-base-patch16-224", import.meta.url),
);

/** Compiles of one process: the first is cold. */
const COMPILES = 4;

export interface CompileTimes {
  /** Milliseconds of all artifacts together. */
  readonly compileMs: number;
  /** Milliseconds of sampling reference values, by component. */
  readonly expectations: Readonly<Record<string, number>>;
}

export interface OnceReport {
  /** Compiles of one process in order; empty where a pack was read. */
  readonly compiles: readonly CompileTimes[];
  /** Milliseconds of the pack's proofs; 0 without one. */
  readonly proofMs: number;
  readonly proven: number;
}

async function compileOnce(threads: number): Promise<CompileTimes> {
  const expectations: Record<string, number> = {};
  const trace: TraceSink = {
    span: ({ kind, name, tag = "", begin, end }) => {
      if (kind === "pass" && name === "expectations") expectations[tag] = (expectations[tag] ?? 0) + (end - begin);
    },
  };
  const runtime = await createRuntime({ threads, trace });
  await runtime.prepare(MODEL, { components: ["vision"] });
  const { compileMs } = runtime.stats().counters;
  await runtime.close();
  return { compileMs, expectations };
}

async function once(threads: number, pack: string | undefined): Promise<OnceReport> {
  if (pack === undefined) {
    const compiles: CompileTimes[] = [];
    for (let i = 0; i < COMPILES; i++) compiles.push(await compileOnce(threads));
    return { compiles, proofMs: 0, proven: 0 };
  }
  const runtime = await createRuntime({ threads, packs: [pack] });
  await runtime.prepare(MODEL, { components: ["vision"] });
  const { proofMs, proven } = runtime.stats().counters;
  await runtime.close();
  return { compiles: [], proofMs, proven };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , threads = "1", pack] = process.argv;
  console.log(JSON.stringify(await once(Number(threads), pack)));
}
