/** `fovea explain --numerics`: what the types of weights cost in precision, call by call. */
import type { CallNumerics, Deviation, NumericsReport, PreparedModel, Runtime } from "../session.ts";
import { type ExampleInputs, knownSizes } from "./example_inputs.ts";
import { type CommonOptions, dtypeOption } from "./options.ts";
import { table } from "./table.ts";

/** Measures the towers of a model that are shown, on made-up inputs. */
export async function numericsOf(
  runtime: Runtime,
  source: string,
  { towers }: PreparedModel,
  options: CommonOptions & ExampleInputs,
): Promise<readonly NumericsReport[]> {
  const reports: NumericsReport[] = [];
  for (const [modality, { spec, components }] of towers) {
    const { calls } = await runtime.numerics(source, {
      component: modality,
      loadFormat: options.loadFormat,
      ...dtypeOption(options),
      example: { batch: options.batch, ...knownSizes(spec, options) },
    });
    reports.push({ modality, calls: calls.filter(({ tag }) => components.has(tag)) });
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

/** A table for each tower. */
export function numericsText(reports: readonly NumericsReport[]): string {
  const parts = reports.map(({ modality, calls }) => `${modality}\n${table(HEAD, calls.map(row))}`);
  return `${parts.join("\n\n")}\n\nalone: from the inputs that f32 weights give. error: root mean square of the differences over that of the values.`;
}
