/** What was measured on this machine about a device's targets: kept beside the cache, and asked before the shipped records. */
import type { TuningRecord } from "../../abi/device.ts";
import { digestJson } from "../../core/digest.ts";
import { TUNING } from "../../exec/pack.ts";
import type { Store } from "../../exec/store/store.ts";

/** The target that ran fastest of those that a device offers. */
export interface MeasuredTuning extends TuningRecord {
  /** Device kind. */
  readonly device: string;
  /** Model whose tower was timed. */
  readonly model: string;
  /** Time of the target that the probe found over this one's. */
  readonly gain: number;
}

const keyOf = (device: string, engine: string): string => `${TUNING}${digestJson({ device, engine }).slice(0, 16)}`;

function isTuning(value: unknown): value is MeasuredTuning {
  const t = value as Partial<MeasuredTuning> | null;
  const texts = [t?.device, t?.engine, t?.found, t?.target, t?.model];
  return texts.every((text) => typeof text === "string") && typeof t?.gain === "number";
}

/** What a store holds about a device on an engine; nothing where it was never measured, or cannot be read. */
export async function readTuning(store: Store, device: string, engine: string): Promise<MeasuredTuning | undefined> {
  const bytes = await store.get(keyOf(device, engine));
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return isTuning(value) && value.device === device && value.engine === engine ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps a measurement in the place of an earlier one. */
export async function keepTuning(store: Store, tuning: MeasuredTuning): Promise<void> {
  await store.put(keyOf(tuning.device, tuning.engine), new TextEncoder().encode(JSON.stringify(tuning)));
}
