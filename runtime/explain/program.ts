/** The arena of one geometry as a picture: time over the calls, memory downwards. */
import { bytesText } from "../core/diagnostics.ts";
import type { ProgramExplanation } from "../session/explain/program_stage.ts";
import { escapeHtml } from "./html.ts";

const WIDTH = 880;
const HEIGHT = 220;
/** A letter of the labels, and the least height that one fits into. */
const [LETTER, LINE] = [6.4, 13];

/** A name in a box, where it fits. */
function labelIn(text: string, [left, top, width, height]: readonly number[], style = ""): string {
  if (height < LINE || width < text.length * LETTER + 10) return "";
  return `<text${style} x="${(left + 5).toFixed(1)}" y="${(top + height / 2 + 3.5).toFixed(1)}">${escapeHtml(text)}</text>`;
}

type Segment = ProgramExplanation["segments"][number];

function arenaSvg({ calls, values, arenaBytes }: Segment, label: string): string {
  const columns = calls.length + 2;
  const x = (call: number): number => ((call + 1) / columns) * WIDTH;
  const y = (bytes: number): number => (bytes / Math.max(arenaBytes, 1)) * HEIGHT;
  const rects = values.map(({ name, type, offset, bytes, first, last }, i) => {
    const [left, right] = [x(first), x(Math.min(last, calls.length) + 1)];
    const text = `${name} ${type}, ${bytesText(bytes)} at ${offset}`;
    const label = labelIn(name, [left, y(offset), right - left, y(bytes)]);
    return `<rect class="k${i % 8}" x="${left.toFixed(1)}" y="${y(offset).toFixed(1)}" width="${Math.max(right - left - 1, 1).toFixed(1)}" height="${Math.max(y(bytes) - 0.5, 0.8).toFixed(1)}"><title>${escapeHtml(text)}</title></rect>${label}`;
  });
  const used = Math.max(0, ...values.map((v) => v.offset + v.bytes));
  const shared = `scratch that all calls share, ${bytesText(arenaBytes - used)}`;
  const below = [0, y(used), WIDTH, HEIGHT - y(used)];
  const scratch =
    used < arenaBytes
      ? `<rect class="scratch" x="0" y="${below[1].toFixed(1)}" width="${WIDTH}" height="${below[3].toFixed(1)}"><title>${shared}</title></rect>${labelIn(shared, below, ' class="soft"')}`
      : "";
  return `<div class="wide"><svg class="arena" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(label)}">${scratch}${rects.join("")}</svg></div>`;
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
