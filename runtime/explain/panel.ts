/** One range of a component: figures, graph, where the time goes, losers, and the texts of all stages. */
import { bytesText } from "../core/diagnostics.ts";
import { countOf, countText, msText } from "../core/figures.ts";
import type { RangeExplanation } from "../session/explain/explain.ts";
import type { RangeDetails } from "../session/explain/explain_range.ts";
import { drawGraph } from "./drawing.ts";
import { groupGraph } from "./group_graph.ts";
import { element, escapeHtml } from "./html.ts";
import { inspectGroup, losersHtml } from "./inspector.ts";

function tile(name: string, value: string, note: string): string {
  return `<div class="tile">${element("span", name)}${element("strong", value)}${element("small", note)}</div>`;
}

const PROOF_STATES = { failed: "failed", whole: "proven", part: "part", none: "none" } as const;

function proofTile({ proof }: RangeDetails): string {
  const { proven, of, worst, failures } = proof;
  if (failures.length > 0) return tile("proof", PROOF_STATES.failed, failures.map((f) => f.kernel).join(", "));
  if (of === 0) return tile("proof", PROOF_STATES.none, "nothing to compare");
  const state = proven.length === of ? PROOF_STATES.whole : `${proven.length} of ${of}`;
  return tile("proof", state, `${of} samples, off by ${(100 * worst).toPrecision(2)} % of the tolerance`);
}

const STATES: Readonly<Record<string, string>> = {
  compiled: "not in the cache before",
  cache: "in the cache",
  pack: "from a pack",
};

function tiles(range: RangeExplanation, details: RangeDetails): string {
  const { ops, groups } = details;
  const launches = groups.reduce((n, g) => n + g.launchList.length, 0);
  const total = details.passes.reduce((n, p) => n + p.ms, 0);
  return `<div class="tiles">${[
    tile(
      "ops",
      `${ops.traced} → ${groups.length}`,
      `${ops.canonical} canonical, ${countOf(groups.length, "group")}, ${launches} ${launches === 1 ? "launch" : "launches"}`,
    ),
    tile("work", `${countText(details.flops)}FLOP`, `${details.intensity.toFixed(1)} FLOP a byte`),
    tile("predicted", msText(details.predictedMs), `${bytesText(details.movedBytes)} moved`),
    tile("peak memory", bytesText(range.peakBytes ?? 0), "beside weights"),
    tile("artifact", bytesText(range.bytes ?? 0), `${bytesText(details.codeBytes)} of code`),
    tile("compile", msText(total), STATES[range.state] ?? range.state),
    proofTile(details),
  ].join("")}</div>`;
}

interface Part {
  readonly name: string;
  readonly value: number;
  readonly text: string;
  readonly hue: number;
}

/** A bar whose parts are as wide as their shares; with a key below it where no table says the same. */
function shareBar(title: string, parts: readonly Part[], withKey: boolean): string {
  const total = parts.reduce((n, p) => n + p.value, 0) || 1;
  const pieces = parts.map(({ name, value, text, hue }) => {
    const share = (100 * value) / total;
    const label = share > 9 ? escapeHtml(name) : "";
    return `<span class="k${hue}" style="flex-grow:${Math.max(share, 0.4).toFixed(2)}" title="${escapeHtml(`${name}: ${text}, ${share.toFixed(1)} %`)}">${label}</span>`;
  });
  const key = parts.map(
    ({ name, text, hue }) => `<span class="k${hue}"><i></i>${escapeHtml(name)} ${element("b", text)}</span>`,
  );
  const below = withKey ? `<p class="key">${key.join("")}</p>` : "";
  return `<div class="share"><h4>${escapeHtml(title)}</h4><div class="bar">${pieces.join("")}</div>${below}</div>`;
}

function groupTable({ groups }: RangeDetails, hueOf: (kernel: string) => number): string {
  const rows = groups.map((g, i) => {
    const [step] = g.launchList;
    return [
      `<tr class="group" data-group="${i}"><td class="k${hueOf(g.kernel)}"><i></i>${escapeHtml(g.kernel)}</td>`,
      element("td", step?.covers ?? ""),
      element("td", `${countText(g.flops)}FLOP`, "number"),
      element("td", bytesText(g.bytes), "number"),
      element("td", msText(1e3 * g.seconds), "number"),
      g.losers.length === 0
        ? '<td class="note">none</td></tr>'
        : `<td><details><summary>${countOf(g.losers.length, "claim")}</summary>${losersHtml(g)}</details></td></tr>`,
    ].join("");
  });
  return `<div class="wide"><table class="groups"><thead><tr><th>kernel</th><th>covers</th><th class="number">work</th><th class="number">moved</th><th class="number">predicted</th><th>not taken</th></tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

function stageTexts({ stages, rules }: RangeDetails): string {
  const applied = Object.entries(rules).map(([name, count]) => `${name}: ${count}`);
  const texts = Object.entries(stages).map(
    ([stage, text]) =>
      `<details class="stage"><summary>${escapeHtml(stage)}</summary><pre>${escapeHtml(text)}</pre></details>`,
  );
  const rewrites = applied.length === 0 ? "" : `<p class="note">rewrites: ${escapeHtml(applied.join(", "))}</p>`;
  return `<div class="stages"><h4>Stages as text</h4>${rewrites}${texts.join("")}</div>`;
}

/** Position of the group that takes the most time. */
function dearest({ groups }: RangeDetails): number {
  return groups.reduce((best, g, i) => (g.seconds > groups[best].seconds ? i : best), 0);
}

/** @param id of the panel, unique on the page */
export function rangePanel(
  range: RangeExplanation,
  id: string,
  label: string,
  hueOf: (kernel: string) => number,
): string {
  const { details } = range;
  if (details === undefined) {
    return `<div class="panel" id="${id}"><p class="note">This range is lazy: it is compiled when it is first used.</p></div>`;
  }
  const templates = details.groups.map(
    (g, i) => `<template data-group="${i}">${inspectGroup(g, details, hueOf(g.kernel))}</template>`,
  );
  const at = details.at === "" ? "" : ` at ${details.at}`;
  return [
    `<div class="panel" id="${id}" data-first="${dearest(details)}">`,
    tiles(range, details),
    `<div class="look"><figure>${drawGraph(groupGraph(details), hueOf, label)}</figure>`,
    '<aside class="inspector"></aside></div>',
    shareBar(
      `Predicted time${at}`,
      details.groups.map((g) => ({
        name: g.kernel,
        value: g.seconds,
        text: msText(1e3 * g.seconds),
        hue: hueOf(g.kernel),
      })),
      false,
    ),
    groupTable(details, hueOf),
    shareBar(
      "Compile time by pass",
      details.passes.map((p, i) => ({ name: p.name, value: p.ms, text: msText(p.ms), hue: i % 8 })),
      true,
    ),
    stageTexts(details),
    ...templates,
    "</div>",
  ].join("");
}
