/** `fovea explain --numerics`: what the types of weights cost in precision, call by call. */
import type { TracedModel } from "../session/models/prepared_model.ts";
import type { CallNumerics, Deviation, NumericsReport, Runtime, ValueNumerics } from "../session.ts";
import { type ExampleInputs, knownSizes } from "./example_inputs.ts";
import { type CalibrationOption, type CommonOptions, weightOptions } from "./options.ts";
import { table } from "./table.ts";

/** Measures the towers of a model that are shown, on made-up inputs. */
export async function numericsOf(
  runtime: Runtime,
  source: string,
  { towers }: TracedModel,
  options: CommonOptions & CalibrationOption & ExampleInputs,
): Promise<readonly NumericsReport[]> {
  const reports: NumericsReport[] = [];
  for (const [modality, { spec, components }] of towers) {
    const { calls, values } = await runtime.numerics(source, {
      component: modality,
      loadFormat: options.loadFormat,
      ...weightOptions(options),
      example: { batch: options.batch, ...knownSizes(spec, options) },
    });
    reports.push({
      modality,
      calls: calls.filter(({ tag }) => components.has(tag)),
      values: values.filter(({ tag }) => components.has(tag)),
    });
  }
  return reports;
}

const cells = ({ cosine, error }: Deviation): readonly string[] => [cosine.toFixed(6), `${(100 * error).toFixed(3)} %`];

const row = ({ tag, instance, output, dtype, alone, soFar }: CallNumerics): readonly string[] => [
  ...[tag, instance || "-", output, dtype],
  ...cells(alone),
  ...cells(soFar),
];

const HEAD = ["component", "instance", "output", "weights", "cosine alone", "error", "cosine so far", "error"];

const VALUES_HEAD = ["component", "value", "kept", "at most", "why"];

const valueRow = ({ tag, value, kept, bound, reason = "" }: ValueNumerics): readonly string[] => [
  ...[tag, value, kept, Number.isFinite(bound) ? bound.toPrecision(3) : "any"],
  reason,
];

/** A table for each tower, and one of values where some could be f16. */
export function numericsText(reports: readonly NumericsReport[]): string {
  const parts = reports.flatMap(({ modality, calls, values }) => [
    `${modality}\n${table(HEAD, calls.map(row))}`,
    ...(values.length === 0 ? [] : [table(VALUES_HEAD, values.map(valueRow))]),
  ]);
  return `${parts.join("\n\n")}\n\nalone: from the inputs that f32 weights give. error: root mean square of the differences over that of the values.`;
}
