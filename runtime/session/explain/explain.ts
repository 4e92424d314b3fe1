/** What was compiled and why, as text for people and as data for programs. */
import type { Modality } from "../../abi/encoder.ts";
import { bytesText } from "../../core/diagnostics.ts";
import { boxText } from "../../core/range.ts";
import type { Origin, RangeSlot, ReadyComponent } from "../artifacts/ready_component.ts";
import { splitText } from "../artifacts/trace.ts";
import { usualInstances } from "../config/cut_component.ts";
import type { ComponentSettings } from "../config/settings.ts";
import { limitText } from "../towers/run_limit.ts";
import type { PreparedTower } from "../towers/tower.ts";
import { weightBytesOf } from "../towers/tower_weights.ts";
import type { RangeDetails } from "./explain_range.ts";
import { detailLines } from "./explain_text.ts";

/** One range of a component. */
export interface RangeExplanation {
  /** `batch 2..8, tokens 50`. */
  readonly range: string;
  /** Where its artifact came from; `lazy` when nobody needed it yet. */
  readonly state: Origin | "lazy";
  /** Digest of the artifact. */
  readonly artifact?: string;
  /** Digest of the request that the cache is asked for. */
  readonly request?: string;
  /** Bytes of the artifact, without its code blobs. */
  readonly bytes?: number;
  /** Bytes of ports and scratch at the range's upper corner. */
  readonly peakBytes?: number;
  readonly compileMs?: number;
  readonly steps?: readonly { readonly kernel: string; readonly covers: string }[];
  /** Everything else, where it was asked for. */
  readonly details?: RangeDetails;
}

/** What is known in full about ranges that were examined. */
export type DetailsOf = (slot: RangeSlot) => RangeDetails | undefined;

const NO_DETAILS: DetailsOf = () => undefined;

export interface ComponentExplanation {
  readonly tag: string;
  readonly modality: Modality;
  readonly instances: number;
  readonly device: string;
  readonly target: string;
  /** Every setting with where it came from. */
  readonly settings: ComponentSettings;
  readonly ranges: readonly RangeExplanation[];
}

const rangeName = ({ box }: RangeSlot): string => boxText(box) || "no symbols";

function explainRange(slot: RangeSlot, detailsOf: DetailsOf): RangeExplanation {
  const range = rangeName(slot);
  const details = detailsOf(slot);
  if (slot.ready === undefined) return { range, state: "lazy" };
  const { artifact, digest, request, origin, bytes, compileMs } = slot.ready;
  return {
    range,
    state: origin,
    artifact: digest,
    request,
    bytes,
    peakBytes: artifact.peakBytes,
    compileMs,
    steps: artifact.steps.map(({ kernel, covers }) => ({ kernel, covers })),
    ...(details === undefined ? {} : { details }),
  };
}

/** Components as data, towers in their order. */
export function explanations(
  towers: ReadonlyMap<Modality, PreparedTower>,
  detailsOf: DetailsOf = NO_DETAILS,
): readonly ComponentExplanation[] {
  return [...towers].flatMap(([modality, { components }]) =>
    [...components.values()].map(({ spec, device, target, settings, slots }) => ({
      tag: spec.tag,
      modality,
      instances: spec.instances.length,
      device: device.kind,
      target,
      settings: { ...settings, target: { ...settings.target, value: target } },
      ranges: slots.map((slot) => explainRange(slot, detailsOf)),
    })),
  );
}

function rangeText(slot: RangeSlot, detailsOf: DetailsOf): readonly string[] {
  const range = rangeName(slot);
  if (slot.ready === undefined) return [`    ${range}: lazy, not compiled yet`];
  const { artifact, digest, origin, compileMs, report } = slot.ready;
  const how = origin === "compiled" ? `compiled in ${compileMs.toFixed(1)} ms` : `from the ${origin}`;
  const losing = report?.losing.length ?? 0;
  const details = detailsOf(slot);
  const head = `    ${range}: artifact ${digest.slice(0, 12)}, ${how}, at most ${bytesText(artifact.peakBytes)} beside weights`;
  if (details !== undefined) return [head, ...detailLines(details)];
  return [
    head,
    ...artifact.steps.map((s) => `      ${s.kernel}: ${s.covers}`),
    ...(losing === 0 ? [] : [`      (${losing} dearer claims were not taken)`]),
  ];
}

/** What differs from the runtime's own way, with its reason. */
function exceptions({ spec, settings, device, target }: ReadyComponent): readonly string[] {
  const { enabled, dtype, granularity } = settings;
  const isSpare = spec.instances.length > 0 && usualInstances(spec).length === 0;
  return [
    ...(isSpare ? [`called inside of larger components (${granularity.from})`] : []),
    ...(settings.device.from === "runtime" ? [] : [`on the device ${device.kind} (${settings.device.from})`]),
    ...(settings.target.value === undefined || settings.target.from === "runtime"
      ? []
      : [`for the target ${target} (${settings.target.from})`]),
    ...(dtype.value === "f32" ? [] : [`${dtype.value} weights (${dtype.from})`]),
    ...(enabled.value ? [] : [`op by op (${enabled.from})`]),
  ];
}

export function explainComponent(component: ReadyComponent, detailsOf: DetailsOf = NO_DETAILS): string {
  const { spec, slots, splits } = component;
  const instances = spec.instances.length === 1 ? "1 instance" : `${spec.instances.length} instances`;
  const head = [`  ${spec.tag} (${instances})`, ...exceptions(component)].join(", ");
  const asked = splits.map((split) => `    split by a comparison: ${splitText(split)}`);
  return [head, ...asked, ...slots.flatMap((slot) => rangeText(slot, detailsOf))].join("\n");
}

export function explainEncoder(
  modelType: string,
  towers: ReadonlyMap<Modality, PreparedTower>,
  detailsOf: DetailsOf = NO_DETAILS,
): string {
  const parts = [...towers].map(([modality, { components, limit }]) => {
    const all = [...components.values()];
    const weightBytes = all.reduce((bytes, c) => bytes + weightBytesOf(c), 0);
    const own = limit === undefined ? [] : [`  ${limitText(limit)}`];
    return [
      `${modelType} ${modality}: weights ${bytesText(weightBytes)}`,
      ...own,
      ...all.map((c) => explainComponent(c, detailsOf)),
    ].join("\n");
  });
  return `${parts.join("\n")}\n`;
}
