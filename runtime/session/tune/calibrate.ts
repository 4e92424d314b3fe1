/** Calibration: how large the columns are that each product of a tower's layers multiplies, as a model's inputs make them. */
import type { ComponentSpec, GraphBuilder, Node, Tensor, TowerSpec } from "../../abi/encoder.ts";
import { isMagnitudesName, magnitudesName } from "../../core/calibration.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { product } from "../../core/dim.ts";
import { foundText } from "../check.ts";
import { runBuild } from "../config/run_build.ts";
import type { EncodeInputs } from "../inputs/inputs.ts";
import type { ModelSource } from "../inputs/source.ts";
import { type LoadContext, loadModel } from "../models/load_model.ts";
import type { LoadOptions } from "../options.ts";
import type { RuntimeParts } from "../runtime_parts.ts";

/** Sizes of the columns' magnitudes by port, for a component. */
type Ports = Map<string, number>;

/** The largest magnitude of each column, over all rows. */
function columnMagnitudes(b: GraphBuilder, x: Node, k: number): Node {
  const rows = b.reshape(x, [product(x.shape.slice(0, -1)), k]);
  return b.reshape(b.op("reduce_max", [b.unary("abs", b.transpose(rows, [1, 0]))]), [k]);
}

/** A component that gives, beside its own outputs, what its products with weights multiply. */
function watched(spec: ComponentSpec, ports: Ports): ComponentSpec {
  return {
    ...spec,
    build: (b) => {
      const seen = new Map<string, Node>();
      runBuild(spec, {
        ...b,
        matmul: (a, w, options) => {
          if (w.op === "weight" && options?.transposeB === true) seen.set(magnitudesName(String(w.attributes.name)), a);
          return b.matmul(a, w, options);
        },
      });
      for (const [port, x] of seen) {
        const k = x.shape[x.shape.length - 1];
        if (typeof k !== "number") continue;
        ports.set(port, k);
        b.output(port, columnMagnitudes(b, x, k));
      }
    },
  };
}

/** A tower whose results hold the magnitudes as well, each under the name that belongs to its weight. */
function watchTower(tower: TowerSpec): TowerSpec {
  const ports = new Map<string, Ports>();
  const components = tower.components.map((spec) => {
    if (spec.precise === true) return spec;
    const own: Ports = new Map();
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
        for (const port of ports.get(call.tag)?.keys() ?? []) {
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
 * Encodes inputs with the f32 model, and gives the columns' largest magnitudes by the names of weights.
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
    for (const one of inputs) collectMagnitudes(known, (await encoder.encode(one)) as Results);
  } finally {
    encoder.close();
  }
  return Object.fromEntries([...known].map(([name, data]) => [name, { dtype: "f32", shape: [data.length], data }]));
}

/** What `encode` returns: tensors by name, of each tower by itself where there are two. */
type Results = Readonly<Record<string, Tensor | Readonly<Record<string, Tensor>>>>;

/** Folds the magnitudes among some results into those known so far; runs in parts give several one behind the other. */
function collectMagnitudes(known: Map<string, Float32Array>, results: Results): void {
  for (const [name, value] of Object.entries(results)) {
    if (!("data" in value)) {
      collectMagnitudes(known, value as Results);
      continue;
    }
    if (!isMagnitudesName(name)) continue;
    const { data } = value as Tensor;
    const before = known.get(name);
    if (before === undefined) known.set(name, Float32Array.from(data));
    else for (let i = 0; i < data.length; i++) before[i % before.length] = Math.max(before[i % before.length], data[i]);
  }
}
