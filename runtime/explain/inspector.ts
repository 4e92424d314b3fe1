/** What the page shows beside the graph for the group under the pointer. */
import { bytesText } from "../core/diagnostics.ts";
import { countText, msText } from "../core/figures.ts";
import type { GroupExplanation, RangeDetails, StepDetail } from "../session/explain/explain_range.ts";
import { definitions, element, escapeHtml } from "./html.ts";

/** Lines of code that the page shows of one kernel. */
const CODE_LINES = 160;

export const codeId = (digest: string): string => `code-${digest.slice(0, 16)}`;

/** Code as a template, once for each blob. */
export function codeTemplate(digest: string, bytes: number, lines: readonly string[]): string {
  const left = lines.length - CODE_LINES;
  const rest = left > 0 ? [`… ${left} more lines`] : [];
  const text = [...lines.slice(0, CODE_LINES), ...rest].join("\n");
  const head = `${digest.slice(0, 12)} · ${bytesText(bytes)} · ${lines.length} lines`;
  return `<template id="${codeId(digest)}"><p class="note">${escapeHtml(head)}</p><pre class="code">${escapeHtml(text)}</pre></template>`;
}

function stepHtml(step: StepDetail): string {
  const words = step.words.map((w, i) => `<li><b>${i}</b>${escapeHtml(w)}</li>`).join("");
  return [
    `<section class="step"><h5>${escapeHtml(step.kernel)}</h5>`,
    definitions([
      ["code", bytesText(step.codeBytes)],
      ["work items", countText(step.grid)],
      ["floating-point operations", countText(step.flops)],
    ]),
    `<details><summary>${step.words.length} argument words</summary><ol class="words">${words}</ol></details>`,
    `<details class="blob" data-code="${codeId(step.code)}"><summary>generated code</summary><div></div></details>`,
    "</section>",
  ].join("");
}

function opsHtml(group: GroupExplanation, { nodes }: RangeDetails): string {
  const rows = group.nodes.map((at) => {
    const n = nodes[at];
    const source = n.source === undefined ? "" : `<span class="source">${escapeHtml(n.source)}</span>`;
    const attributes = n.attributes === "" ? "" : element("small", n.attributes);
    return `<li><b>${escapeHtml(n.op)}</b> ${element("code", n.type)} ${source}${attributes}</li>`;
  });
  return `<ul class="ops">${rows.join("")}</ul>`;
}

export function losersHtml(group: GroupExplanation): string {
  if (group.losers.length === 0) return '<p class="note">No other claim was made.</p>';
  const rows = group.losers.map(({ kernel, covers, seconds, reason }) => {
    const cost =
      seconds === undefined ? "" : element("td", `+ ${msText(1e3 * (seconds - group.totalSeconds))}`, "number");
    return `<tr>${element("td", kernel)}${element("td", covers)}<td>${escapeHtml(reason)}</td>${cost === "" ? "<td></td>" : cost}</tr>`;
  });
  return `<table class="losers"><thead><tr><th>kernel</th><th>would cover</th><th>why not</th><th class="number">cost</th></tr></thead><tbody>${rows.join("")}</tbody></table>`;
}

/** Everything about one group. */
export function inspectGroup(group: GroupExplanation, range: RangeDetails, hue: number): string {
  const { output } = group;
  const share = range.predictedMs === 0 ? 0 : (100 * 1e3 * group.seconds) / range.predictedMs;
  return [
    `<h4 class="k${hue}"><i></i>${escapeHtml(group.kernel)}</h4>`,
    `<p class="note">writes ${element("code", range.nodes[output].type)}</p>`,
    definitions([
      ["predicted", `${msText(1e3 * group.seconds)}, ${share.toFixed(0)} %`],
      ["work", `${countText(group.flops)}FLOP`],
      ["moved", bytesText(group.bytes)],
      ["intensity", group.bytes === 0 ? "none" : `${(group.flops / group.bytes).toFixed(1)} FLOP a byte`],
    ]),
    opsHtml(group, range),
    group.weights.length === 0
      ? ""
      : `<p class="weights"><b>weights</b> ${group.weights.map((w) => element("code", w)).join(" ")}</p>`,
    ...group.launchList.map(stepHtml),
  ].join("");
}
