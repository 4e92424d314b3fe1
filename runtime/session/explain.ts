/** Text about what was compiled, for people. */
import type { Modality } from "../abi/encoder.ts";
import { bytesText } from "../core/diagnostics.ts";
import { boxText } from "../core/range.ts";
import type { ReadyComponent } from "./artifacts.ts";
import type { LoadedTower } from "./tower.ts";
import { splitText } from "./trace.ts";

function rangeText({ slots }: ReadyComponent, at: number): readonly string[] {
  const { box, ready } = slots[at];
  const range = boxText(box) || "no symbols";
  if (ready === undefined) return [`    ${range}: lazy, not compiled yet`];
  const { artifact, digest, origin, compileMs, report } = ready;
  const how = origin === "cache" ? "from the cache" : `compiled in ${compileMs.toFixed(1)} ms`;
  const losing = report?.losing.length ?? 0;
  return [
    `    ${range}: artifact ${digest.slice(0, 12)}, ${how}, at most ${bytesText(artifact.peakBytes)} beside weights`,
    ...artifact.steps.map((s) => `      ${s.kernel}: ${s.covers}`),
    ...(losing === 0 ? [] : [`      (${losing} dearer claims were not taken)`]),
  ];
}

export function explainComponent(component: ReadyComponent): string {
  const { spec, boxes, splits } = component;
  const instances = spec.instances.length === 1 ? "1 instance" : `${spec.instances.length} instances`;
  const asked = splits.map((split) => `    split by a comparison: ${splitText(split)}`);
  return [`  ${spec.tag} (${instances})`, ...asked, ...boxes.flatMap((_, at) => rangeText(component, at))].join("\n");
}

export function explainEncoder(modelType: string, towers: ReadonlyMap<Modality, LoadedTower>): string {
  const parts = [...towers.entries()].map(([modality, tower]) =>
    [
      `${modelType} ${modality}: weights ${bytesText(tower.weightBytes)}`,
      ...[...tower.components.values()].map(explainComponent),
    ].join("\n"),
  );
  return `${parts.join("\n")}\n`;
}
