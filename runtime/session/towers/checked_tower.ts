/** What an encoder's towers give, held against the contract: mistakes are told by the model's type and the function. */
import type { Plan, Tensor, Tensors, TowerSpec } from "../../abi/encoder.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { foundText, isObject, tensorProblem, thrownText } from "../check.ts";
import { noComponent, towerText } from "./plan_errors.ts";

/** Throws what a function did wrong, as the rest of a sentence that begins with its name. */
type Blame = (problem: string, cause?: unknown) => never;

const areTexts = (value: unknown): boolean =>
  isObject(value) && Object.values(value).every((one) => typeof one === "string");

/** @param whose words before the names of tensors that are wrong */
function checkTensors(value: unknown, blame: Blame, whose = ""): Tensors {
  if (!isObject(value) || Array.isArray(value))
    return blame(`gives ${whose}${foundText(value)}; expected tensors by name.`);
  for (const [name, tensor] of Object.entries(value)) {
    const problem = tensorProblem(tensor);
    if (problem !== undefined) blame(`gives ${whose}"${name}", which ${problem}`);
    const { shape, data } = tensor as Tensor;
    const count = shape.reduce((a, b) => a * b, 1);
    if (data.length !== count)
      blame(`gives ${whose}"${name}" of ${data.length} values, and its shape [${shape.join(", ")}] holds ${count}.`);
  }
  return value as Tensors;
}

/** Values in all tensors of a part. */
const sizeOf = (part: Tensors): number => Object.values(part).reduce((n, { data }) => n + data.length, 0);

function checkParts(parts: unknown, inputs: Tensors, blame: Blame): readonly Tensors[] {
  if (!Array.isArray(parts) || parts.length === 0)
    return blame(`gives ${foundText(parts)}; expected a list of parts of its inputs.`);
  if (parts.length === 1 && parts[0] === inputs) return parts;
  const size = sizeOf(inputs);
  for (const part of parts) {
    const own = sizeOf(checkTensors(part, blame, "a part with "));
    // What does not get smaller would be cut without an end.
    if (parts.length > 1 && size > 0 && own >= size)
      blame(`gives ${parts.length} parts, of which one is as large as the whole; expected parts that make it up.`);
  }
  return parts;
}

function checkPlan(plan: unknown, tower: TowerSpec, wanted: readonly string[], blame: Blame): Plan {
  if (!isObject(plan) || !Array.isArray(plan.calls) || plan.calls.length === 0)
    return blame("gives no plan with calls; expected { key, calls, constants, results }.");
  for (const [at, call] of plan.calls.entries()) {
    const { tag, instance, dims, inputs, outputs } = Object(call);
    if (!areTexts({ tag, instance }) || !isObject(dims) || !areTexts(inputs) || !areTexts(outputs))
      blame(`gives a call ${at} that is not { tag, instance, dims, inputs, outputs } with names of values.`);
    const tags = tower.components.map((c) => c.tag);
    if (!tags.includes(tag)) noComponent(tag, tags);
  }
  checkTensors(plan.constants, blame, "the constant ");
  const lacking = wanted.find((name) => !isObject(plan.results) || typeof plan.results[name] !== "string");
  if (lacking !== undefined) blame(`names no value for "${lacking}" in its \`results\`, which was asked for.`);
  return plan as unknown as Plan;
}

const rowsOf = (tensors: Tensors): number =>
  Math.max(0, ...Object.values(tensors).map(({ shape: [rows = 0] }) => rows));

/** The tower of a model with a `split`, `prepare` and `plan` that are checked whenever they are called. */
export function checkedTower(modelType: string, spec: TowerSpec): TowerSpec {
  const own = { ...spec, modelType };
  const called = <T>(name: string, call: () => unknown, check: (made: unknown, blame: Blame) => T): T => {
    const blame: Blame = (problem, cause) => {
      const code = name === "plan" ? "invalid_plan" : "invalid_plugin";
      throw new FoveaError(code, `\`${name}\` of ${towerText(own)} ${problem}`, { cause });
    };
    try {
      return check(call(), blame);
    } catch (error) {
      if (error instanceof FoveaError) throw error;
      return blame(`threw: ${thrownText(error)}`, error);
    }
  };
  const { split } = spec;
  const checked: Partial<TowerSpec> = {
    prepare: (inputs, later) =>
      called(
        "prepare",
        () => spec.prepare(inputs, later),
        (made, blame) => {
          const tensors = checkTensors(made, blame);
          if (split === undefined && rowsOf(tensors) === 0) blame("gives no row in any tensor; refuse such inputs.");
          return tensors;
        },
      ),
    plan: (shapes, outputs) =>
      called(
        "plan",
        () => spec.plan(shapes, outputs),
        (made, blame) => checkPlan(made, spec, outputs, blame),
      ),
    ...(split && {
      split: (inputs, limit) =>
        called(
          "split",
          () => split.call(spec, inputs, limit),
          (made, blame) => checkParts(made, inputs, blame),
        ),
    }),
  };
  // A class's methods are no members of its objects.
  return Object.assign(Object.create(Object.getPrototypeOf(spec)), own, checked);
}
