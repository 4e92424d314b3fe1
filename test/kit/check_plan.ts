/** Conformance of an encoder's plans: pure functions whose calls fit their components and feed one another. */
import assert from "node:assert/strict";
import type { Plan, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import { boxHolds, boxText, splitRanges } from "../../runtime/core/range.ts";

type Shapes = Readonly<Record<string, readonly number[]>>;

export const shapesOf = (tensors: Tensors): Shapes =>
  Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape]));

/** Everything that can be compared of a plan; typed arrays as lists. */
const plain = (plan: Plan): unknown =>
  JSON.parse(JSON.stringify(plan, (_, value) => (ArrayBuffer.isView(value) ? [...(value as Int32Array)] : value)));

/** The first thing that is wrong with the calls of a plan, as a sentence. */
function callProblem(tower: TowerSpec, plan: Plan, given: Shapes, wanted: readonly string[]): string | undefined {
  const values = new Set([...Object.keys(given), ...Object.keys(plan.constants)]);
  for (const [i, { tag, instance, dims, inputs, outputs }] of plan.calls.entries()) {
    const who = `Call ${i} of the plan "${plan.key}"`;
    const component = tower.components.find((c) => c.tag === tag);
    if (component === undefined) return `${who} is for "${tag}", which the tower does not have.`;
    if (!component.instances.includes(instance))
      return `${who} is for the instance "${instance}" of "${tag}", which it does not list.`;
    const symbols = Object.keys(component.symbols).sort().join();
    if (Object.keys(dims).sort().join() !== symbols)
      return `${who} binds ${Object.keys(dims).join(", ") || "nothing"} of "${tag}", whose symbols are ${symbols}.`;
    const boxes = splitRanges(component.symbols, component.ranges ?? {}, { tag });
    if (!boxes.some((box) => boxHolds(box, dims)))
      return `${who} has ${JSON.stringify(dims)}, outside of the ranges of "${tag}": ${boxes.map(boxText).join("; ")}.`;
    const unknown = Object.values(inputs).find((name) => !values.has(name));
    if (unknown !== undefined) return `${who} reads "${unknown}", which nothing before it writes.`;
    for (const name of Object.values(outputs)) {
      if (values.has(name)) return `${who} writes "${name}", which is there already.`;
      values.add(name);
    }
  }
  const missing = wanted.find((name) => !Object.hasOwn(plan.results, name));
  if (missing !== undefined) return `The plan "${plan.key}" has no result "${missing}", which was asked for.`;
  const [name, value] = Object.entries(plan.results).find(([, v]) => !values.has(v)) ?? [];
  return name === undefined ? undefined : `The result "${name}" is "${value}", which no call writes.`;
}

/**
 * Checks the plans of a geometry: for all outputs and for each alone, made twice with equal contents, their calls inside of
 * their components' ranges, everything written before it is read.
 * @returns the key of the plan for all outputs
 * @throws AssertionError with what is wrong
 */
export function checkPlans(tower: TowerSpec, shapes: Shapes): string {
  const before = JSON.stringify(shapes);
  const wishes = [tower.outputs, ...tower.outputs.map((name) => [name])];
  const keys = new Map<string, string>();
  for (const wanted of wishes) {
    const plan = tower.plan(shapes, wanted);
    assert.deepEqual(
      plain(tower.plan(shapes, wanted)),
      plain(plan),
      `The plan "${plan.key}" is another the second time.`,
    );
    assert.equal(callProblem(tower, plan, shapes, wanted), undefined);
    const text = JSON.stringify(plain(plan));
    assert.equal(keys.get(plan.key) ?? text, text, `Two plans for ${before} have the key "${plan.key}".`);
    keys.set(plan.key, text);
  }
  assert.equal(JSON.stringify(shapes), before, "`plan` changes the shapes that it is given.");
  return tower.plan(shapes, tower.outputs).key;
}
