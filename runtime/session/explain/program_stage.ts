/** The last stage: one geometry's calls in one arena, as the linker places them. */
import type { Tensors } from "../../abi/encoder.ts";
import { bytesText } from "../../core/diagnostics.ts";
import { dispatch } from "../../core/range.ts";
import type { ResolvedCall } from "../../exec/linker.ts";
import type { ReadyComponent } from "../artifacts/ready_component.ts";
import { noComponent } from "../towers/plan_errors.ts";
import { linkSegments, partitionPlan } from "../towers/segments.ts";
import type { PreparedTower } from "../towers/tower.ts";

/** A value's place, and the calls between which it is alive (-1: before the first). */
export interface PlacedValue {
  readonly name: string;
  readonly type: string;
  readonly offset: number;
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

export interface ProgramExplanation {
  /** Shapes of the inputs. */
  readonly geometry: Readonly<Record<string, readonly number[]>>;
  readonly segments: readonly {
    readonly device: string;
    readonly arenaBytes: number;
    readonly flops: number;
    readonly calls: readonly { readonly tag: string; readonly instance: string; readonly dims: object }[];
    readonly values: readonly PlacedValue[];
  }[];
}

const shapesOf = (inputs: Tensors): Readonly<Record<string, readonly number[]>> =>
  Object.fromEntries(Object.entries(inputs).map(([name, t]) => [name, t.shape]));

/**
 * Plans and links a tower's example inputs; compiles lazy ranges that they need. Weights are not there: nothing runs.
 * @param example inputs of the tower, as its `example` makes them
 */
export async function explainProgram(
  { spec, components }: PreparedTower,
  example: Tensors,
): Promise<ProgramExplanation> {
  const inputs = spec.prepare(example);
  const plan = spec.plan(shapesOf(inputs), spec.outputs);
  const componentOf = (tag: string): ReadyComponent => components.get(tag) ?? noComponent(tag, components.keys());
  const resolved: ResolvedCall[] = [];
  for (const { tag, dims } of plan.calls) {
    const component = componentOf(tag);
    const slot = component.slots[dispatch(tag, component.boxes, dims)];
    const { artifact } = await slot.obtain({ cause: "load" }, undefined);
    resolved.push({ artifact, weights: [] });
  }
  const segments = partitionPlan(plan, (tag) => componentOf(tag).device);
  const linked = linkSegments(segments, inputs, (at) => resolved[at]);
  return {
    geometry: shapesOf(inputs),
    segments: linked.map(({ device, plan: { calls, results }, linked: program }) => {
      const wanted = new Set(Object.values(results));
      const values = Object.entries(program.values).map(([name, { offset, bytes, dtype, shape }]) => {
        const made = calls.findIndex((c) => Object.values(c.outputs).includes(name));
        const read = calls.findLastIndex((c) => Object.values(c.inputs).includes(name));
        const last = wanted.has(name) ? calls.length : Math.max(read, made);
        return { name, type: `${dtype}[${shape.join(", ")}]`, offset, bytes, first: made, last };
      });
      return {
        device: device.kind,
        arenaBytes: program.arenaBytes,
        flops: program.flops,
        calls: calls.map(({ tag, instance, dims }) => ({ tag, instance, dims })),
        values: values.sort((a, b) => a.first - b.first || a.offset - b.offset),
      };
    }),
  };
}

export function programText({ geometry, segments }: ProgramExplanation): string {
  const inputs = Object.entries(geometry).map(([name, shape]) => `${name} [${shape.join(", ")}]`);
  const parts = segments.flatMap(({ device, arenaBytes, calls, values }) => [
    `on ${device}: ${calls.length} calls in an arena of ${bytesText(arenaBytes)}`,
    ...calls.map(({ tag, instance, dims }, at) => {
      const sizes = Object.entries(dims).map(([name, value]) => `${name} ${value}`);
      return `  #${at} ${tag}${instance === "" ? "" : ` ${instance}`} (${sizes.join(", ")})`;
    }),
    ...values.map(({ name, type, offset, bytes, first, last }) => {
      const alive = `${first < 0 ? "before" : `#${first}`} to ${last >= calls.length ? "read back" : `#${last}`}`;
      return `  ${String(offset).padStart(10)} ${bytesText(bytes).padStart(12)}  ${name} ${type}, ${alive}`;
    }),
  ]);
  return `program for ${inputs.join(", ")}\n${parts.join("\n")}\n`;
}
