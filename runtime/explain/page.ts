/** `fovea explain --html`: one self-contained page about what a model compiles to. */
import { bytesText } from "../core/diagnostics.ts";
import { countOf } from "../core/figures.ts";
import type { ComponentExplanation } from "../session/explain/explain.ts";
import type { ProgramExplanation } from "../session/explain/program_stage.ts";
import { element, escapeHtml } from "./html.ts";
import { codeTemplate } from "./inspector.ts";
import { createColors } from "./kernel_colors.ts";
import { rangePanel } from "./panel.ts";
import { programHtml } from "./program.ts";
import { SCRIPT } from "./script.ts";
import { STYLE } from "./style.ts";

export interface Page {
  /** Name of the model for the title; no path. */
  readonly title: string;
  readonly modelType: string;
  /** Runtime, device and target that it was compiled on and for. */
  readonly place: string;
  readonly version: string;
  readonly components: readonly ComponentExplanation[];
  /** One geometry of each tower. */
  readonly programs: readonly { readonly name: string; readonly program: ProgramExplanation }[];
  /** Code of a device's kernels as text, where the device tells. */
  readonly describe: (device: string, code: Uint8Array) => Promise<readonly string[] | undefined>;
}

const slug = (text: string): string => text.replaceAll(/[^A-Za-z0-9]+/g, "-");

function componentHtml(component: ComponentExplanation, hueOf: (kernel: string) => number): string {
  const { tag, instances, device, target, settings, ranges } = component;
  const id = slug(tag);
  const tabs = ranges.map(
    ({ range }, i) =>
      `<button role="tab" data-panel="${id}-${i}" aria-selected="${i === 0}">${escapeHtml(range)}</button>`,
  );
  const badges = [
    countOf(instances, "instance"),
    `${device} · ${target}`,
    settings.dtype.value,
    ...(settings.enabled.value ? [] : ["op by op"]),
    ...(settings.lazy.value ? ["lazy"] : []),
  ];
  return [
    `<section class="component" id="${id}"><h3>${escapeHtml(tag)}</h3>`,
    `<p class="badges">${badges.map((b) => element("span", b)).join("")}</p>`,
    `<div class="tabs" role="tablist">${tabs.join("")}</div>`,
    ...ranges.map((range, i) => rangePanel(range, `${id}-${i}`, `${tag}, ${range.range}`, hueOf)),
    "</section>",
  ].join("");
}

/** Every code blob once, for the inspectors to show. */
async function codeTemplates({ components, describe }: Page): Promise<readonly string[]> {
  const found = new Map<string, string>();
  for (const { device, ranges } of components) {
    for (const { details } of ranges) {
      const shown = new Set(details?.groups.flatMap((g) => g.launchList.map((s) => s.code)));
      for (const [digest, code] of details?.code ?? []) {
        if (found.has(digest) || !shown.has(digest)) continue;
        const lines = (await describe(device, code)) ?? ["This device does not print its code."];
        found.set(digest, codeTemplate(digest, code.length, lines));
      }
    }
  }
  return [...found.values()];
}

function legend(page: Page, hueOf: (kernel: string) => number): string {
  const kernels = page.components.flatMap((c) => c.ranges.flatMap((r) => r.details?.groups.map((g) => g.kernel) ?? []));
  return `<p class="legend">${[...new Set(kernels)].map((k) => `<span class="k${hueOf(k)}"><i></i>${escapeHtml(k)}</span>`).join("")}</p>`;
}

function summary({ components }: Page): string {
  const ranges = components.flatMap((c) => c.ranges);
  const known = ranges.flatMap((r) => (r.details === undefined ? [] : [r.details]));
  const launches = known.reduce((n, d) => n + d.groups.length, 0);
  const bytes = ranges.reduce((n, r) => n + (r.bytes ?? 0), 0);
  return `${countOf(components.length, "component")} in ${countOf(ranges.length, "range")}, ${countOf(launches, "group")}, ${bytesText(bytes)} of artifacts`;
}

/** The page as text. It refers to nothing outside of itself. */
export async function explainPage(page: Page): Promise<string> {
  const hueOf = createColors();
  const towers = [...new Set(page.components.map((c) => c.modality))];
  const links = towers.map((modality) => {
    const own = page.components.filter((c) => c.modality === modality);
    return `<h2>${escapeHtml(modality)}</h2>${own.map((c) => `<a href="#${slug(c.tag)}">${escapeHtml(c.tag.replace(/^.*\./, ""))}</a>`).join("")}`;
  });
  const programs = page.programs.map(({ name, program }) => programHtml(name, program));
  const title = `${page.title} · fovea explain`;
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    `<title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body>`,
    '<svg width="0" height="0" aria-hidden="true"><defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs></svg>',
    `<nav><p class="brand">fovea <b>explain</b></p>${links.join("")}${programs.length === 0 ? "" : '<h2>run</h2><a href="#programs">programs</a>'}</nav>`,
    `<main><header><h1>${escapeHtml(page.title)}</h1><p>${escapeHtml(`${page.modelType} on ${page.place}`)}</p><p class="note">${escapeHtml(summary(page))}</p>`,
    `${legend(page, hueOf)}</header>`,
    ...page.components.map((c) => componentHtml(c, hueOf)),
    programs.length === 0
      ? ""
      : `<section class="component" id="programs"><h3>Programs</h3>${programs.join("")}</section>`,
    `<footer>fovea ${escapeHtml(page.version)}. Figures are those of each range's upper corner; times are predicted by the target's roofline.</footer></main>`,
    ...(await codeTemplates(page)),
    `<script>${SCRIPT}</script></body></html>\n`,
  ].join("\n");
}
