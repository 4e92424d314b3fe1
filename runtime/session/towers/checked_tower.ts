/** What an encoder's towers give, held against the contract: mistakes are told by the model's type and the function. */
import type { Tensor, Tensors, TowerSpec } from "../../abi/encoder.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { DTYPE_BYTES, type DType } from "../../core/dtype.ts";
import { foundText, isObject, thrownText } from "../check.ts";
import { mostRows } from "../inputs/batching.ts";
import { noComponent, towerText } from "./plan_errors.ts";

/** Throws what a function did wrong, as the rest of a sentence that begins with its name. */
type Blame = (problem: string, cause?: unknown) => never;

const areTexts = (value: unknown): boolean =>
  isObject(value) && Object.values(value).every((one) => typeof one === "string");

/** Whether a value is a tensor whose parts fit together. */
function isTensor(value: unknown): value is Tensor {
  const { dtype, shape, data } = Object(value);
  if (!Array.isArray(shape) || (dtype === "f32") !== data instanceof Float32Array) return false;
  return shape.reduce((n, d) => n * d, DTYPE_BYTES[dtype as DType]) === data?.byteLength;
}

/** @param whose words before the names of tensors that are wrong */
function checkTensors(value: unknown, blame: Blame, whose = ""): void {
  if (!isObject(value) || Array.isArray(value)) blame(`gives ${whose}${foundText(value)}; expected tensors by name.`);
  for (const [name, tensor] of Object.entries(value as Tensors)) {
    if (isTensor(tensor)) continue;
    const { dtype, shape, data } = Object(tensor);
    const found =
      data?.length === undefined
        ? foundText(tensor)
        : `${dtype} [${shape}] with ${data.length} values in ${foundText(data)}`;
    blame(`gives ${whose}"${name}" as ${found}; expected { dtype, shape, data } that fit together.`);
  }
}

function checkParts(parts: unknown, inputs: Tensors, blame: Blame): void {
  if (!Array.isArray(parts) || parts.length === 0) blame(`gives ${foundText(parts)}; expected a list of parts.`);
  // What a caller gave is checked by `prepare`.
  for (const part of parts as readonly unknown[]) if (part !== inputs) checkTensors(part, blame, "a part with ");
}

function checkPlan(plan: unknown, tower: TowerSpec, wanted: readonly string[], blame: Blame): void {
  const { calls, constants, results } = Object(plan);
  if (!Array.isArray(calls) || calls.length === 0)
    blame("gives no plan with calls; expected { key, calls, constants, results }.");
  const tags = tower.components.map((c) => c.tag);
  for (const [at, call] of calls.entries()) {
    const { tag, instance, dims, inputs, outputs } = Object(call);
    if (!isObject(dims) || ![{ tag, instance }, inputs, outputs].every(areTexts))
      blame(`gives a call ${at} that is not { tag, instance, dims, inputs, outputs } with names of values.`);
    if (!tags.includes(tag)) noComponent(tag, tags);
  }
  checkTensors(constants, blame, "the constant ");
  const lacking = wanted.find((name) => typeof Object(results)[name] !== "string");
  if (lacking !== undefined) blame(`names no value for "${lacking}" in its \`results\`, which was asked for.`);
}

/** The tower of a model with a `split`, `prepare` and `plan` that are checked whenever they are called. */
export function checkedTower(modelType: string, spec: TowerSpec): TowerSpec {
  const own = { ...spec, modelType };
  const called = <T>(name: string, call: () => T, check: (made: T, blame: Blame) => void): T => {
    const blame: Blame = (problem, cause) => {
      throw new FoveaError("invalid_plan", `\`${name}\` of ${towerText(own)} ${problem}`, { cause });
    };
    try {
      const made = call();
      check(made, blame);
      return made;
    } catch (error) {
      if (error instanceof FoveaError) throw error;
      return blame(`threw: ${thrownText(error)}`, error);
    }
  };
  const prepare: TowerSpec["prepare"] = (inputs, later) => {
    const check = (made: Tensors, blame: Blame): void => {
      checkTensors(made, blame);
      if (spec.split === undefined && mostRows(made) === 0) blame("gives no row in any tensor.");
    };
    return called("prepare", () => spec.prepare(inputs, later), check);
  };
  const plan: TowerSpec["plan"] = (shapes, wanted) =>
    called(
      "plan",
      () => spec.plan(shapes, wanted),
      (made, blame) => checkPlan(made, spec, wanted, blame),
    );
  const split: NonNullable<TowerSpec["split"]> = (inputs, limit) =>
    called(
      "split",
      () => spec.split?.(inputs, limit) as readonly Tensors[],
      (made, blame) => checkParts(made, inputs, blame),
    );
  // A class's methods are no members of its objects.
  const checked = Object.assign(Object.create(Object.getPrototypeOf(spec)), own, { prepare, plan });
  return spec.split === undefined ? checked : Object.assign(checked, { split });
}
