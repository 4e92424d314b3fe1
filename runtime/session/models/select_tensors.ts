/** The tensors of a checkpoint that towers read: what their graphs declare, and the model's numbers. */
import type { EncoderModel, TowerSpec } from "../../abi/encoder.ts";
import { splitRanges } from "../../core/range.ts";
import { createNameResolver } from "../../exec/weights/checkpoint.ts";
import type { Selection } from "../../hub/open_hub.ts";
import { nodesOf } from "../../ir/graph.ts";
import { createInterner, type OpTable } from "../../ir/node.ts";
import { traceComponent } from "../artifacts/trace.ts";

/** Own names of a tower's weights; a graph may read others in another range. */
function weightNames(tower: TowerSpec, ops: OpTable): readonly string[] {
  const names = new Set<string>();
  for (const component of tower.components) {
    const { tag, symbols, ranges, instances } = component;
    for (const box of splitRanges(symbols, ranges ?? {}, { tag, maxArtifacts: Number.POSITIVE_INFINITY })) {
      for (const node of nodesOf(traceComponent(component, box, createInterner(ops)))) {
        if (node.op !== "weight") continue;
        for (const instance of instances) names.add(`${instance}${String(node.attributes.name)}`);
      }
    }
  }
  return [...names];
}

/**
 * A function from a checkpoint's names to those that the towers read, and to own names that have none. What lies in
 * `weightFiles` is fetched by file.
 */
export function createSelect(
  model: EncoderModel,
  towers: readonly TowerSpec[],
  ops: OpTable,
): (names: ReadonlySet<string>) => Selection {
  const further = Object.values(model.weightFiles ?? {});
  const own = [...new Set(towers.flatMap((tower) => weightNames(tower, ops)))].filter(
    (name) => !further.some((beginning) => name.startsWith(beginning)),
  );
  const optional = [model.logitScale, model.logitBias].flatMap((scalar) => (scalar === undefined ? [] : [scalar.name]));
  return (names) => {
    const resolve = createNameResolver((name) => names.has(name), model);
    const found = new Set<string>();
    const missing: string[] = [];
    for (const name of own) {
      const full = resolve(name);
      if (full === undefined) missing.push(name);
      else found.add(full);
    }
    for (const name of optional) {
      const full = resolve(name);
      if (full !== undefined) found.add(full);
    }
    return { wanted: [...found], missing };
  };
}
