/** Calibration: how large the columns are that each product of a tower's layers multiplies, as a model's inputs make them. */
import type { ComponentSpec, GraphBuilder, Node, Tensor, TowerSpec } from "../../abi/encoder.ts";
import { magnitudesName, scalesName } from "../../core/calibration.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { product } from "../../core/dim.ts";
import { foundText } from "../check.ts";
import { runBuild } from "../config/run_build.ts";
import type { EncodeInputs } from "../inputs/inputs.ts";
import type { ModelSource } from "../inputs/source.ts";
import { type LoadContext, loadModel } from "../models/load_model.ts";
import type { LoadOptions } from "../options.ts";
import type { RuntimeParts } from "../runtime_parts.ts";
import { columnScales } from "./column_scales.ts";

/** Ports of a component that tell something of a product's columns. */
type Ports = Set<string>;

/** Name of the magnitudes of the columns that a weight multiplies, and of its own. */
const columnsName = (weight: string): string => `${weight}.columns`;
const isColumnsName = (name: string): boolean => name.endsWith(".columns");
const weightOf = (name: string): string => name.slice(0, -".columns".length);

/** The largest magnitude of each column, over all rows: [1, k]. */
function columnMagnitudes(b: GraphBuilder, x: Node, k: number): Node {
  const rows = b.reshape(x, [product(x.shape.slice(0, -1)), k]);
  return b.reshape(b.op("reduce_max", [b.unary("abs", b.transpose(rows, [1, 0]))]), [1, k]);
}

/** A component that gives, beside its own outputs, what is known of the columns of its products with weights. */
function watched(spec: ComponentSpec, ports: Ports): ComponentSpec {
  return {
    ...spec,
    build: (b) => {
      /** Weights by what they multiply: those that multiply the same may become one product, whose columns are scaled alike. */
      const seen = new Map<Node, Set<Node>>();
      runBuild(spec, {
        ...b,
        matmul: (a, w, options) => {
          if (w.op === "weight" && options?.transposeB === true) seen.set(a, (seen.get(a) ?? new Set()).add(w));
          return b.matmul(a, w, options);
        },
      });
      for (const [x, weights] of seen) {
        const k = x.shape[x.shape.length - 1];
        if (typeof k !== "number") continue;
        const stacked = weights.size === 1 ? [...weights][0] : b.op("concat", [...weights], { axis: 0 });
        const both = [columnMagnitudes(b, x, k), columnMagnitudes(b, stacked, k)];
        const columns = b.reshape(b.op("concat", both, { axis: 0 }), [1, 2, k]);
        for (const { attributes } of weights) {
          const port = columnsName(String(attributes.name));
          ports.add(port);
          b.output(port, columns);
        }
      }
    },
  };
}

/** A tower whose results hold the columns as well, each under the name that belongs to its weight. */
function watchTower(tower: TowerSpec): TowerSpec {
  const ports = new Map<string, Ports>();
  const components = tower.components.map((spec) => {
    if (spec.precise === true) return spec;
    const own: Ports = new Set();
    ports.set(spec.tag, own);
    return watched(spec, own);
  });
  return {
    ...tower,
    components,
    plan: (shapes, outputs) => {
      const plan = tower.plan(shapes, outputs);
      const results: Record<string, string> = { ...plan.results };
      const calls = plan.calls.map((call) => {
        const more: Record<string, string> = {};
        for (const port of ports.get(call.tag) ?? []) {
          const value = `${call.instance}${port}`;
          // An instance that is called again tells the same columns.
          if (Object.hasOwn(results, value)) continue;
          results[value] = value;
          more[port] = value;
        }
        return { ...call, outputs: { ...call.outputs, ...more } };
      });
      return { ...plan, calls, results };
    },
  };
}

/**
 * Encodes inputs with the f32 model, and gives the columns' largest magnitudes, and what evens them out, by the names of weights.
 * @throws FoveaError as `load` and `encode` do
 */
export async function calibrateModel(
  parts: RuntimeParts,
  source: ModelSource,
  inputs: readonly EncodeInputs[],
  options: Pick<LoadOptions, "components" | "signal">,
  loading: LoadContext,
): Promise<Readonly<Record<string, Tensor>>> {
  if (!Array.isArray(inputs) || inputs.length === 0) {
    throw new FoveaError(
      "invalid_input",
      `calibrate takes a list of at least one input, such as [{ images: ["cat.jpg"] }]; found ${foundText(inputs)}.`,
    );
  }
  const context = { ...loading, rewrite: watchTower };
  const encoder = await loadModel({ ...parts, interim: undefined }, source, { ...options, dtype: "f32" }, context);
  const known = new Map<string, Float32Array>();
  try {
    for (const one of inputs) collectColumns(known, (await encoder.encode(one)) as Results);
  } finally {
    encoder.close();
  }
  return Object.fromEntries([...known].flatMap(([name, columns]) => calibrationOf(weightOf(name), columns)));
}

/** Tensors of a calibration for one weight. @param columns [2, k]: what it multiplies, and its own */
function calibrationOf(weight: string, columns: Float32Array): readonly (readonly [string, Tensor])[] {
  const k = columns.length / 2;
  const magnitudes = columns.slice(0, k);
  return [
    [magnitudesName(weight), { dtype: "f32", shape: [k], data: magnitudes }],
    [scalesName(weight), { dtype: "f32", shape: [k], data: columnScales(magnitudes, columns.subarray(k)) }],
  ];
}

/** What `encode` returns: tensors by name, of each tower by itself where there are two. */
type Results = Readonly<Record<string, Tensor | Readonly<Record<string, Tensor>>>>;

/** Folds what results tell of columns into what is known so far; runs in parts give several one behind the other. */
function collectColumns(known: Map<string, Float32Array>, results: Results): void {
  for (const [name, value] of Object.entries(results)) {
    if (!("data" in value)) {
      collectColumns(known, value as Results);
      continue;
    }
    if (!isColumnsName(name)) continue;
    const { data, shape } = value as Tensor;
    const before = known.get(name) ?? new Float32Array(product(shape.slice(1)) as number);
    for (let i = 0; i < data.length; i++) before[i % before.length] = Math.max(before[i % before.length], data[i]);
    known.set(name, before);
  }
}
