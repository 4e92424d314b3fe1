/** What explaining a range in full says, as text for people. */
import { bytesText } from "../../core/diagnostics.ts";
import { countOf, countText, msText } from "../../core/figures.ts";
import type { GroupExplanation, RangeDetails } from "./explain_range.ts";

/** How far a proof got, in words. */
export function proofText({ proof }: Pick<RangeDetails, "proof">): string {
  if (proof.of === 0) return "nothing to prove";
  if (proof.failures.length > 0) return `failed: ${proof.failures.map((f) => f.kernel).join(", ")}`;
  const share = `largest difference ${(100 * proof.worst).toPrecision(2)} % of what passes`;
  return `${proof.proven.length} of ${proof.of} expectations compared on ${proof.place}; ${share}`;
}

/** Losers of one group, one a line; equal reasons of one kernel once. */
export function loserTexts(group: GroupExplanation): readonly string[] {
  return group.losers.map(({ kernel, covers, seconds, reason }) => {
    const cost =
      seconds === undefined || seconds <= group.totalSeconds
        ? ""
        : ` by ${msText(1e3 * (seconds - group.totalSeconds))}`;
    return `${kernel} for ${covers}: ${reason}${cost}`;
  });
}

function groupLines(group: GroupExplanation): readonly string[] {
  const [step] = group.launchList;
  const more = group.launchList.length > 1 ? ` in ${group.launchList.length} launches` : "";
  const figures = [
    `${countText(group.flops)}FLOP`,
    `${bytesText(group.bytes)} moved`,
    `${msText(1e3 * group.seconds)} predicted`,
  ];
  return [
    `      ${step?.kernel ?? group.kernel}: ${step?.covers ?? ""}${more}`,
    `        ${figures.join(", ")}`,
    ...loserTexts(group).map((text) => `        not ${text}`),
  ];
}

/** Lines below a range's own: groups with their losers, then figures. */
export function detailLines(details: RangeDetails): readonly string[] {
  const { ops, groups } = details;
  const launches = groups.reduce((n, g) => n + g.launchList.length, 0);
  const at = details.at === "" ? "" : ` at ${details.at}`;
  const passes = details.passes.map(({ name, ms }) => `${name} ${ms.toFixed(1)}`);
  return [
    ...groups.flatMap(groupLines),
    `      ops: ${ops.traced} traced, ${ops.canonical} canonical, ${ops.legal} legal; ${countOf(groups.length, "group")}, ${launches} ${launches === 1 ? "launch" : "launches"}`,
    `      work${at}: ${countText(details.flops)}FLOP, ${bytesText(details.movedBytes)} moved, ${details.intensity.toFixed(1)} FLOP a byte, ${msText(details.predictedMs)} predicted`,
    `      code: ${bytesText(details.codeBytes)}`,
    `      passes, ms: ${passes.join(", ")}`,
    `      proof: ${proofText(details)}`,
  ];
}
