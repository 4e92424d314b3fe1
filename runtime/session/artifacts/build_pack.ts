/** Packs of a model: its components compiled for targets that this machine need not have. */
import type { ComponentSpec } from "../../abi/encoder.ts";
import type { Plugin } from "../../abi/plugin.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { digestJson } from "../../core/digest.ts";
import { boxText } from "../../core/range.ts";
import { requestDigest } from "../../exec/artifact_cache.ts";
import type { PackItem } from "../../exec/pack.ts";
import { graphToData } from "../../ir/graph.ts";
import { createInterner, type OpTable } from "../../ir/node.ts";
import { didYouMean } from "../check.ts";
import { gated } from "../config/gate.ts";
import { boxesOf } from "../config/ranges.ts";
import { type CallSettings, type CompileLayers, type Home, resolveSettings } from "../config/settings.ts";
import { compilerDigest, loadCompiler } from "./compiler.ts";
import { type CompileTarget, compileTarget } from "./places.ts";
import { type PlaceFinder, traceAgain, traceRanges } from "./trace.ts";

export interface PackRequest {
  readonly components: readonly ComponentSpec[];
  readonly targets: readonly string[];
  readonly plugins: readonly Plugin[];
  readonly ops: OpTable;
  readonly layers: CompileLayers;
  readonly home: Home;
  /** What the call asks for; nothing for packs of all that a configuration says. */
  readonly call?: CallSettings;
  /** Reads source maps, for the lines that messages name. */
  readonly findPlace: PlaceFinder;
  readonly onCompiled: (done: number, total: number, tag: string) => void;
}

interface NamedTarget extends CompileTarget {
  readonly device: string;
}

/** @throws FoveaError `unknown_target` that lists the known ones */
function targetOf(plugins: readonly Plugin[], name: string): NamedTarget {
  const devices = plugins.flatMap((p) => p.devices ?? []);
  const spec = devices.find((d) => d.targets.includes(name));
  if (spec === undefined) {
    const known = devices.flatMap((d) => d.targets);
    throw new FoveaError(
      "unknown_target",
      `No device has a target "${name}"; there are ${known.join(", ")}.${didYouMean(name, known)}`,
    );
  }
  return { device: spec.kind, ...compileTarget(plugins, spec.kind, name, spec.targetCapabilities(name)) };
}

/** Artifacts of all components for all targets. @throws what tracing and compiling throw, `unknown_target` */
export async function packItems(request: PackRequest): Promise<readonly PackItem[]> {
  const { components, plugins, ops, layers, home } = request;
  const targets = request.targets.map((name) => targetOf(plugins, name));
  const compiler = (await compilerDigest()) ?? "none";
  const items: PackItem[] = [];

  const add = async (spec: ComponentSpec, at: NamedTarget): Promise<void> => {
    const settings = gated(spec, resolveSettings(spec, layers, home, request.call), at);
    const { ranges } = await traceRanges(spec, boxesOf(spec, settings), ops, {
      find: request.findPlace,
      maxArtifacts: settings.maxArtifacts.value,
    });
    for (const { box, graph } of ranges) {
      const { compileGraph } = await loadCompiler(`component "${spec.tag}" over ${boxText(box) || "no symbols"}`);
      const interner = createInterner(ops);
      const structure = digestJson(graphToData(graph));
      const traced = traceAgain(spec, box, interner, structure);
      const dtype = settings.dtype.value;
      const options = { target: at.target, capabilities: at.capabilities, enabled: settings.enabled.value, dtype };
      const { report: _, ...compiled } = compileGraph(traced, { interner, kernels: at.kernels, ...options });
      items.push({
        ...{ tag: spec.tag, box, structure, device: at.device, target: at.target, compiled, reads: at.reads },
        enabled: settings.enabled.value,
        dtype,
        request: requestDigest({
          ...{ graph: structure, target: at.target, enabled: settings.enabled.value },
          ...{ dtype, plugins: at.plugins, compiler, without: [] },
        }),
      });
    }
  };

  const total = components.length * targets.length;
  let done = 0;
  for (const at of targets) {
    for (const spec of components) {
      await add(spec, at);
      request.onCompiled(++done, total, spec.tag);
    }
  }
  return items;
}
