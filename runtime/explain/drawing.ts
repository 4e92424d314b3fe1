/** A graph as SVG, laid out by dagre while the page is made: the page itself holds plain shapes. */
import { Graph, layout } from "#layout";
import type { GraphBox, GroupGraph } from "./group_graph.ts";
import { escapeHtml } from "./html.ts";

/** Widths of letters at the sizes of the style sheet, pixels. */
const TITLE_LETTER = 7.4;
const LINE_LETTER = 6.7;
const LABEL_LETTER = 6.1;

const TITLE_HEIGHT = 18;
const LINE_HEIGHT = 16;
const PADDING = 10;
const MARGIN = 8;

interface Point {
  readonly x: number;
  readonly y: number;
}

interface Size extends Point {
  readonly width: number;
  readonly height: number;
}

/** An arrow's bends and where its label stands. */
interface Line extends Point {
  readonly points: readonly Point[];
}

const round = (n: number): number => Math.round(n * 10) / 10;

function boxSize({ title, lines }: GraphBox): { readonly width: number; readonly height: number } {
  const text = Math.max(title.length * TITLE_LETTER, ...lines.map((l) => l.length * LINE_LETTER));
  return { width: text + 2 * PADDING + 4, height: TITLE_HEIGHT + lines.length * LINE_HEIGHT + 2 * PADDING - 4 };
}

/** A curve through the middles of the lines between points. */
function path(points: readonly Point[]): string {
  const at = ({ x, y }: Point): string => `${round(x)} ${round(y)}`;
  const middle = (a: Point, b: Point): Point => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
  const [first] = points;
  const last = points[points.length - 1];
  const inner = points.slice(1, -1);
  const curves = inner.map((p, i) => {
    const end = i === inner.length - 1 ? last : middle(p, inner[i + 1]);
    return `Q${at(p)} ${at(end)}`;
  });
  return `M${at(first)}${curves.length === 0 ? `L${at(last)}` : curves.join("")}`;
}

function drawBox(box: GraphBox, { x, y, width, height }: Size, hue: number) {
  const [left, top] = [round(x - width / 2), round(y - height / 2)];
  const line = (text: string, i: number): string =>
    `<text x="${left + PADDING + 2}" y="${round(top + PADDING + TITLE_HEIGHT + 10 + i * LINE_HEIGHT)}">${escapeHtml(text)}</text>`;
  const group = box.group === undefined ? "" : ` data-group="${box.group}" tabindex="0" role="button"`;
  const tone = box.kind === "group" ? ` k${hue}` : "";
  return [
    `<g class="box ${box.kind}${tone}"${group}>`,
    `<rect x="${left}" y="${top}" width="${round(width)}" height="${round(height)}" rx="${box.kind === "group" ? 7 : 16}"/>`,
    `<text class="title" x="${left + PADDING + 2}" y="${top + PADDING + 11}">${escapeHtml(box.title)}</text>`,
    ...box.lines.map(line),
    "</g>",
  ].join("");
}

/**
 * Draws a graph from top to bottom.
 * @param hueOf hue of a group's box, by its kernel
 * @param label what the picture is, for readers that do not see it
 */
export function drawGraph(graph: GroupGraph, hueOf: (kernel: string) => number, label: string): string {
  const g = new Graph({ multigraph: true });
  g.setGraph({ rankdir: "TB", nodesep: 26, ranksep: 34, edgesep: 14, marginx: MARGIN, marginy: MARGIN });
  for (const box of graph.boxes) g.setNode(box.id, boxSize(box));
  graph.arrows.forEach((arrow, i) => {
    const { from, to, views } = arrow;
    const text = views === "" ? {} : { width: views.length * LABEL_LETTER + 8, height: 16, labelpos: "c" };
    g.setEdge(from, to, text, `arrow${i}`);
  });
  layout(g);
  const lines = graph.arrows.map(({ from, to }, i) => g.edge(from, to, `arrow${i}`) as unknown as Line);
  const arrows = graph.arrows.map((arrow, i) => {
    const { points, x, y } = lines[i];
    const line = `<path d="${path(points)}" marker-end="url(#tip)"><title>${escapeHtml(arrow.type)}</title></path>`;
    if (arrow.views === "") return line;
    return `${line}<text class="views" x="${round(x)}" y="${round(y + 4)}">${escapeHtml(arrow.views)}</text>`;
  });
  const boxes = graph.boxes.map((box) => drawBox(box, g.node(box.id) as never, hueOf(box.title)));
  // The library's own size leaves bends of arrows out.
  const bends = lines.flatMap((l) => l.points);
  const sides = graph.boxes.map((box) => g.node(box.id) as unknown as Size);
  const left = Math.floor(Math.min(...bends.map((p) => p.x), ...sides.map((s) => s.x - s.width / 2))) - MARGIN;
  const right = Math.ceil(Math.max(...bends.map((p) => p.x), ...sides.map((s) => s.x + s.width / 2))) + MARGIN;
  const bottom = Math.ceil(Math.max(...sides.map((s) => s.y + s.height / 2))) + MARGIN;
  return `<svg viewBox="${left} 0 ${right - left} ${bottom}" width="${right - left}" height="${bottom}" role="img" aria-label="${escapeHtml(label)}"><g class="arrows">${arrows.join("")}</g>${boxes.join("")}</svg>`;
}
