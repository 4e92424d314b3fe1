/** The arena of one geometry as a picture: time over the calls, memory downwards. */
import { bytesText } from "../core/diagnostics.ts";
import type { ProgramExplanation } from "../session/explain/program_stage.ts";
import { escapeHtml } from "./html.ts";

const WIDTH = 880;
const HEIGHT = 220;

type Segment = ProgramExplanation["segments"][number];

function arenaSvg({ calls, values, arenaBytes }: Segment, label: string): string {
  const columns = calls.length + 2;
  const x = (call: number): number => ((call + 1) / columns) * WIDTH;
  const y = (bytes: number): number => (bytes / Math.max(arenaBytes, 1)) * HEIGHT;
  const rects = values.map(({ name, type, offset, bytes, first, last }, i) => {
    const [left, right] = [x(first), x(Math.min(last, calls.length) + 1)];
    const text = `${name} ${type}, ${bytesText(bytes)} at ${offset}`;
    return `<rect class="k${i % 8}" x="${left.toFixed(1)}" y="${y(offset).toFixed(1)}" width="${Math.max(right - left - 1, 1).toFixed(1)}" height="${Math.max(y(bytes) - 0.5, 0.8).toFixed(1)}"><title>${escapeHtml(text)}</title></rect>`;
  });
  const used = Math.max(0, ...values.map((v) => v.offset + v.bytes));
  const scratch =
    used < arenaBytes
      ? `<rect class="scratch" x="0" y="${y(used).toFixed(1)}" width="${WIDTH}" height="${(HEIGHT - y(used)).toFixed(1)}"><title>scratch that all calls share, ${bytesText(arenaBytes - used)}</title></rect>`
      : "";
  return `<svg class="arena" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(label)}">${scratch}${rects.join("")}</svg>`;
}

export function programHtml(name: string, { geometry, segments }: ProgramExplanation): string {
  const inputs = Object.entries(geometry).map(([input, shape]) => `${input} [${shape.join(", ")}]`);
  const parts = segments.map((segment) => {
    const { device, calls, arenaBytes } = segment;
    const head = `${calls.length} calls on ${device}, arena of ${bytesText(arenaBytes)}: calls from left to right, memory downwards`;
    return `<p class="note">${escapeHtml(head)}</p>${arenaSvg(segment, `${name}: ${head}`)}`;
  });
  return `<div class="program"><h4>${escapeHtml(name)}</h4><p class="note">${escapeHtml(inputs.join(", "))}</p>${parts.join("")}</div>`;
}
