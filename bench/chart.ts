/** Results as pictures: SVG files that any browser shows. */
import type { BenchRecord } from "./benchmark.ts";
import { ratioToFovea } from "./report.ts";

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const STYLE = `text { font: 12px system-ui, sans-serif; fill: #222 } .small { font-size: 11px; fill: #555 } .line { stroke: #bbb }
    @media (prefers-color-scheme: dark) { svg { background: #161616 } text { fill: #eee } .small { fill: #aaa } .line { stroke: #555 } }`;

/** A picture of a size in pixels with these elements. */
export function svg(width: number, height: number, title: string, elements: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `  <title>${escaped(title)}</title>`,
    `  <style>${STYLE}</style>`,
    ...elements.map((element) => `  ${element}`),
    "</svg>\n",
  ].join("\n");
}

export interface TextOptions {
  readonly anchor?: "start" | "middle" | "end";
  readonly small?: boolean;
}

export function svgText(
  x: number,
  y: number,
  text: string,
  { anchor = "start", small = false }: TextOptions = {},
): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}"${small ? ' class="small"' : ""}>${escaped(text)}</text>`;
}

export function svgLine(x1: number, y1: number, x2: number, y2: number): string {
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" class="line"/>`;
}

const WIDTH = 760;
const LABELS = 150;
const BAR = 13;
const GAP = 12;
const TOP = 56;
/** Of runtimes, and of numbers of threads by how opaque a bar is. */
const COLORS = ["#2f6fde", "#1c9a6c", "#d9822b", "#9a4fd0"];

interface Bar {
  readonly label: string;
  readonly ratio: number;
  readonly color: string;
  readonly opacity: number;
}

/** How many times as fast as onnxruntime-web fovea runs each model, a bar for each runtime and number of threads. */
export function ratioChart(records: readonly BenchRecord[]): string {
  const measured = records.filter(({ benchmark }) => benchmark === "encoders");
  const runtimes = [...new Set(measured.map(({ runtime }) => runtime))].sort();
  const models = [...new Set(measured.map(({ settings }) => String(settings.model)))];
  const groups = models.map((model) => ({
    model,
    bars: measured
      .filter(({ settings }) => settings.model === model)
      .flatMap((record): Bar[] => {
        const ratio = ratioToFovea(record, "onnxruntime-web");
        const { threads } = record.settings;
        const color = COLORS[runtimes.indexOf(record.runtime) % COLORS.length];
        const label = `${record.runtime}, ${threads} thread${threads === 1 ? "" : "s"}`;
        return ratio === undefined ? [] : [{ label, ratio, color, opacity: threads === 1 ? 1 : 0.6 }];
      })
      .sort((a, b) => a.label.localeCompare(b.label)),
  }));
  const most = Math.max(1, ...groups.flatMap(({ bars }) => bars.map(({ ratio }) => ratio)));
  const scale = (WIDTH - LABELS - 230) / most;
  const elements = [svgText(12, 22, "fovea against onnxruntime-web on WebAssembly: how many times as fast")];
  let y = TOP;
  for (const { model, bars } of groups) {
    elements.push(svgText(LABELS - 10, y + BAR - 2, model.split(" ")[0], { anchor: "end" }));
    for (const { label, ratio, color, opacity } of bars) {
      const end = LABELS + ratio * scale;
      elements.push(
        `<rect x="${LABELS}" y="${y}" width="${(ratio * scale).toFixed(1)}" height="${BAR - 2}" fill="${color}" opacity="${opacity}"/>`,
        svgText(Number(end.toFixed(1)) + 6, y + BAR - 3, `${ratio.toFixed(2)}  ${label}`, { small: true }),
      );
      y += BAR;
    }
    y += GAP;
  }
  const one = Number((LABELS + scale).toFixed(1));
  elements.push(
    svgLine(one, TOP - 10, one, y - GAP + 4),
    svgText(one, TOP - 14, "1", { anchor: "middle", small: true }),
  );
  return svg(WIDTH, y + 6, "fovea against onnxruntime-web", elements);
}
