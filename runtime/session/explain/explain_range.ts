/** One range in full, as data: sizes, groups with their losers, steps, passes, proof and the texts of all stages. */
import type { BufferRef, Step, StepArgument } from "../../abi/artifact.ts";
import type { GroupDetail, NodeDetail } from "../../compile/details.ts";
import type { PassReport } from "../../compile/pass_clock.ts";
import { internal } from "../../core/diagnostics.ts";
import { type Bindings, dimKey } from "../../core/dim.ts";
import { dimFromData, evaluateData } from "../../core/dim_data.ts";
import type { Attestation } from "../artifacts/proofs.ts";
import type { RangeSlot } from "../artifacts/ready_component.ts";

/** The compiler's stages that print as text. */
export const STAGES = ["traced", "canonical", "claimed", "planned"] as const;
export type Stage = (typeof STAGES)[number];

export interface StepDetail {
  readonly kernel: string;
  readonly covers: string;
  /** Digest of the code. */
  readonly code: string;
  readonly codeBytes: number;
  /** Argument words in order: a buffer with its offset in bytes, or a size. */
  readonly words: readonly string[];
  /** Work items, and floating-point operations, at the upper corner. */
  readonly grid: number;
  readonly flops: number;
}

export interface GroupExplanation extends GroupDetail {
  readonly launchList: readonly StepDetail[];
}

/** Figures are those of the range's upper corner. */
export interface RangeDetails {
  /** The upper corner, such as `batch 64`. */
  readonly at: string;
  readonly ops: { readonly traced: number; readonly canonical: number; readonly legal: number };
  readonly flops: number;
  /** Bytes read and written by all groups. */
  readonly movedBytes: number;
  /** Floating-point operations for each byte. */
  readonly intensity: number;
  /** By the target's roofline. */
  readonly predictedMs: number;
  readonly codeBytes: number;
  readonly passes: readonly Pick<PassReport, "name" | "ms">[];
  /** How often each rewrite rule applied. */
  readonly rules: Readonly<Record<string, number>>;
  readonly proof: Attestation;
  readonly nodes: readonly NodeDetail[];
  readonly outputs: readonly { readonly name: string; readonly node: number }[];
  readonly groups: readonly GroupExplanation[];
  readonly stages: Readonly<Record<Stage, string>>;
  /** Code blobs by digest. */
  readonly code: ReadonlyMap<string, Uint8Array>;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

function placeText({ space, index, offset }: BufferRef): string {
  return `${space} ${index}${offset === 0 ? "" : ` + ${dimKey(dimFromData(offset))}`}`;
}

const wordText = (word: StepArgument): string =>
  "buffer" in word ? placeText(word.buffer) : dimKey(dimFromData(word.size));

function stepDetail(step: Step, at: Bindings, code: ReadonlyMap<string, Uint8Array>): StepDetail {
  return {
    kernel: step.kernel,
    covers: step.covers,
    code: step.code,
    codeBytes: code.get(step.code)?.length ?? 0,
    words: step.args.map(wordText),
    grid: evaluateData(step.grid, at),
    flops: evaluateData(step.flops, at),
  };
}

/** Obtains the range's artifact and compiles it once more for the rest. @throws what obtaining it throws */
export async function explainInFull(slot: RangeSlot): Promise<RangeDetails> {
  const { artifact, code, report, details, passes } = await slot.examine();
  const { attestation: proof } = slot.ready ?? internal("a range was examined and is not ready");
  const at = Object.fromEntries(Object.entries(slot.box).map(([name, { max }]) => [name, max]));
  const flops = sum(artifact.steps.map((s) => evaluateData(s.flops, at)));
  const movedBytes = sum(details.groups.map((g) => g.bytes));
  return {
    at: Object.entries(at)
      .map(([name, value]) => `${name} ${value}`)
      .join(", "),
    ops: details.ops,
    flops,
    movedBytes,
    intensity: movedBytes === 0 ? 0 : flops / movedBytes,
    predictedMs: 1e3 * sum(details.groups.map((g) => g.seconds)),
    codeBytes: sum([...code.values()].map((blob) => blob.length)),
    passes: passes.map(({ name, ms }) => ({ name, ms })),
    rules: report.rules,
    proof,
    nodes: details.nodes,
    outputs: details.outputs,
    groups: details.groups.map((g) => ({
      ...g,
      launchList: artifact.steps.slice(...g.steps).map((s) => stepDetail(s, at, code)),
    })),
    stages: Object.fromEntries(STAGES.map((stage) => [stage, report[stage]])) as Record<Stage, string>,
    code,
  };
}
