/** Conformance of an encoder's refusals: wrong inputs and configurations end in sentences. */
import assert from "node:assert/strict";
import type { EncoderSpec, ModelFiles, Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { encoderFor } from "../../runtime/core/served_type.ts";

/** What a refusal must be: a FoveaError whose message is a sentence and names what is wrong. */
function checkSentence(what: string, error: unknown, names: string): void {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  assert.ok(error instanceof FoveaError, `${what} is answered with ${text}; expected a FoveaError.`);
  assert.ok(/^\S+ .*[.!?]$/s.test(error.message), `${what} is answered with "${error.message}", which is no sentence.`);
  assert.ok(
    error.message.includes(names),
    `${what} is answered with "${error.message}", which does not name "${names}".`,
  );
}

function refusalOf(work: () => unknown): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Ways to spoil a tensor. */
const SPOILED: readonly (readonly [string, (t: Tensor) => Tensor | undefined])[] = [
  ["with an axis more", (t) => ({ ...t, shape: [1, ...t.shape] })],
  ["that is shorter than its shape", (t) => ({ ...t, data: t.data.slice(0, -1) as Tensor["data"] })],
  [
    "with a NaN",
    (t) =>
      t.dtype === "f32" ? { ...t, data: Float32Array.from(t.data, (v, i) => (i === 1 ? Number.NaN : v)) } : undefined,
  ],
  [
    "of another type",
    (t) =>
      t.dtype === "f32"
        ? { ...t, dtype: "i32", data: Int32Array.from(t.data) }
        : { ...t, dtype: "f32", data: Float32Array.from(t.data) },
  ],
];

/**
 * Gives a tower inputs that are wrong in one way each: a name that it does not know, none at all, other shapes, lengths,
 * types and values. `prepare` refuses each with a sentence that names the input.
 * @throws AssertionError
 */
export function checkBadInputs(tower: TowerSpec, inputs: Tensors): void {
  const tried = (given: Tensors): unknown => refusalOf(() => tower.prepare(given));
  const [[first, tensor]] = Object.entries(inputs);
  checkSentence('An input "nonsense"', tried({ ...inputs, nonsense: tensor }), "nonsense");
  checkSentence("A call without inputs", tried({}), first);
  for (const [name, given] of Object.entries(inputs)) {
    for (const [how, spoil] of SPOILED) {
      const spoiled = spoil(given);
      if (spoiled !== undefined)
        checkSentence(`An input "${name}" ${how}`, tried({ ...inputs, [name]: spoiled }), name);
    }
  }
}

/**
 * Opens a configuration without each of its fields, and with a text in the place of each number: what is not taken is refused
 * with a sentence that names the field.
 * @throws AssertionError
 */
export function checkBadConfigs(
  encoder: EncoderSpec,
  config: Readonly<Record<string, unknown>>,
  files: ModelFiles,
): void {
  const { open, modelTypes } = encoder;
  assert.ok(
    encoderFor(config, [encoder]) !== undefined,
    `The configuration has the model_type ${JSON.stringify(config.model_type)}; the encoder serves ${modelTypes.join(", ")}.`,
  );
  for (const [field, value] of Object.entries(config)) {
    const { [field]: _, ...without } = config;
    const missing = refusalOf(() => open(without, files));
    if (missing !== undefined) checkSentence(`A configuration without "${field}"`, missing, field);
    if (typeof value !== "number") continue;
    const wrong = refusalOf(() => open({ ...config, [field]: "many" }, files));
    if (wrong !== undefined) checkSentence(`A configuration with "many" as "${field}"`, wrong, field);
  }
}
