/**
 * The roofline picture (Williams, Waterman and Patterson 2009): what each kernel reaches over how many operations it has for
 * each byte, below the ceilings of arithmetic and of copies.
 */
import type { BenchRecord, Ceilings } from "./benchmark.ts";
import { svg, svgLine, svgText } from "./chart.ts";

const PANEL = 380;
const HEIGHT = 340;
const LEFT = 46;
const TOP = 44;
const BOTTOM = 64;
/** Ends of both axes, as powers of 10: operations a byte, GFLOP/s. */
const INTENSITY = [-2, 3] as const;
const RATE = [-1, 2.5] as const;

const COLORS: readonly (readonly [word: string, color: string])[] = [
  ["attention", "#d9822b"],
  ["matmul", "#2f6fde"],
  ["norm", "#1c9a6c"],
];
const OTHER = "#9a4fd0";

interface Scale {
  readonly x: (intensity: number) => number;
  readonly y: (gflops: number) => number;
}

function scaleAt(left: number): Scale {
  const along = (value: number, [low, high]: readonly [number, number]): number =>
    Math.min(1, Math.max(0, (Math.log10(value) - low) / (high - low)));
  return {
    x: (value) => Number((left + LEFT + along(value, INTENSITY) * (PANEL - LEFT - 20)).toFixed(1)),
    y: (value) => Number((HEIGHT - BOTTOM - along(value, RATE) * (HEIGHT - TOP - BOTTOM)).toFixed(1)),
  };
}

/** A copy's rate as a slope that ends at the arithmetic. */
function ceilingLines({ x, y }: Scale, { gflops, copies }: Ceilings): readonly string[] {
  const last = 10 ** INTENSITY[1];
  const slopes = copies.flatMap(({ gbytes }) => {
    const [begin, end] = [10 ** RATE[0] / gbytes, gflops / gbytes];
    const first = Math.max(begin, 10 ** INTENSITY[0]);
    return [svgLine(x(first), y(first * gbytes), x(end), y(gflops))];
  });
  const levels = copies.map(({ bytes, gbytes }, i) => {
    const size = bytes < 2 ** 20 ? `${bytes / 2 ** 10} KiB` : `${bytes / 2 ** 20} MiB`;
    const below = HEIGHT - BOTTOM - 8 - 14 * (copies.length - 1 - i);
    return svgText(x(last), below, `copies within ${size}: ${gbytes} GB/s`, { anchor: "end", small: true });
  });
  const [first] = [...copies].sort((a, b) => b.gbytes - a.gbytes);
  const corner = first === undefined ? 10 ** INTENSITY[0] : gflops / first.gbytes;
  return [
    ...slopes,
    ...levels,
    svgLine(x(corner), y(gflops), x(last), y(gflops)),
    svgText(x(last), y(gflops) - 5, `${gflops} GFLOP/s`, { anchor: "end", small: true }),
  ];
}

function axes(left: number, { x, y }: Scale): readonly string[] {
  const powers = ([low, high]: readonly [number, number]): number[] =>
    Array.from({ length: Math.floor(high) - low + 1 }, (_, i) => 10 ** (low + i));
  const floor = HEIGHT - BOTTOM;
  return [
    svgLine(left + LEFT, floor, left + PANEL - 20, floor),
    svgLine(left + LEFT, TOP, left + LEFT, floor),
    ...powers(INTENSITY).map((at) => svgText(x(at), floor + 15, String(at), { anchor: "middle", small: true })),
    ...powers(RATE).map((at) => svgText(left + LEFT - 5, y(at) + 4, String(at), { anchor: "end", small: true })),
    svgText(left + PANEL / 2, floor + 31, "operations a byte", { anchor: "middle", small: true }),
  ];
}

/** A panel for each runtime; kernels that only move bytes are left out. */
export function rooflineChart(records: readonly BenchRecord[]): string {
  const measured = records.filter(({ ceilings }) => ceilings !== undefined);
  const runtimes = [...new Set(measured.map(({ runtime }) => runtime))].sort();
  const elements = runtimes.flatMap((runtime, panel) => {
    const here = measured.filter((record) => record.runtime === runtime);
    const scale = scaleAt(panel * PANEL);
    // Ceilings were measured anew for each model; a ceiling is what was reached once.
    const all = here.map(({ ceilings }) => ceilings as Ceilings);
    const highest: Ceilings = {
      gflops: Math.max(...all.map(({ gflops }) => gflops)),
      copies: all[0].copies.map(({ bytes }, i) => ({ bytes, gbytes: Math.max(...all.map((c) => c.copies[i].gbytes)) })),
    };
    const points = here.flatMap(({ settings, rows }) =>
      rows.flatMap(({ name, gflops = 0, gbytes = 0, ratio }) => {
        if (gflops === 0) return [];
        const color = COLORS.find(([word]) => name.includes(word))?.[1] ?? OTHER;
        const title = `${settings.model}, ${name}: ${gflops} GFLOP/s, ${ratio} of what is possible`;
        const [cx, cy] = [scale.x(gflops / gbytes), scale.y(gflops)];
        return [
          `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${color}" opacity="0.75"><title>${title.replaceAll(">", "&gt;")}</title></circle>`,
        ];
      }),
    );
    const title = svgText(panel * PANEL + LEFT, 24, `${runtime}, one thread: GFLOP/s`);
    return [title, ...axes(panel * PANEL, scale), ...ceilingLines(scale, highest), ...points];
  });
  const legend = [...COLORS, ["other", OTHER] as const].map(
    ([word, color], i) =>
      `<circle cx="${LEFT + 6 + i * 90}" cy="${HEIGHT - 14}" r="4" fill="${color}"/>${svgText(LEFT + 15 + i * 90, HEIGHT - 10, word, { small: true })}`,
  );
  return svg(PANEL * Math.max(1, runtimes.length), HEIGHT, "Roofline of kernels", [...elements, ...legend]);
}
