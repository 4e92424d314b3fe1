/** A model's components compiled for freezing: the frozen model without its weights, and its code. */
import type { Artifact, Step, StepList } from "../abi/artifact.ts";
import type { EncoderModel, ModelFiles, TowerSpec } from "../abi/encoder.ts";
import { type Sandbox, sandboxOf } from "../abi/sandbox.ts";
import { TRANSPILED_SECTION } from "../abi/transpiled.ts";
import { FoveaError } from "../core/diagnostics.ts";
import type { KeptDType } from "../core/dtype.ts";
import { VERSION } from "../core/version.ts";
import { FROZEN_FORMAT, type FrozenComponent, type FrozenModel } from "../edge/frozen.ts";
import { codeDigests, encodeWithDigest } from "../exec/codec.ts";
import type { PackItem } from "../exec/pack.ts";
import { packItems } from "../session/artifacts/build_pack.ts";
import { type CallSettings, compileLayers, resolveSettings } from "../session/config/settings.ts";
import { cutComponents } from "../session/inputs/pixels.ts";
import type { OpenedModel } from "../session/models/model_files.ts";
import { firstPartyPlugins } from "../session/registry/first_party.ts";
import type { RuntimeParts } from "../session/runtime_parts.ts";
import { mergeCode } from "./merge_code.ts";
import { narrowTowers } from "./narrow.ts";
import type { FreezeOptions } from "./options.ts";

export interface CompiledModel {
  readonly towers: readonly TowerSpec[];
  readonly frozen: FrozenModel;
  /** By digest. */
  readonly code: ReadonlyMap<string, Uint8Array>;
  /** The code as the folder has it, by the modules' digests. */
  readonly modules: ReadonlyMap<string, Uint8Array>;
}

export interface ModelToFreeze {
  readonly opened: OpenedModel;
  readonly towers: readonly TowerSpec[];
  readonly config: Readonly<Record<string, unknown>>;
}

/** Small files that the towers have no use for are left out: tokenizers are larger than plans. */
function filesFor(files: ModelFiles, towers: readonly TowerSpec[]): ModelFiles {
  const readsText = towers.some((t) => t.modality === "text");
  return Object.fromEntries(Object.entries(files).filter(([name]) => readsText || !/^tokenizer/.test(name)));
}

/** What packing takes of each weight: its packed form is what a frozen folder keeps. */
const keepAll = (artifact: Artifact): Artifact => ({
  ...artifact,
  weights: artifact.weights.map((use) => ({ ...use, keep: true })),
});

function pixelComponents(model: EncoderModel, files: ModelFiles, towers: readonly TowerSpec[]) {
  const { pixels } = towers.some((t) => t.modality === "vision") ? model.processors(files) : {};
  return pixels === undefined ? [] : cutComponents(pixels);
}

/** Foreign code that a frozen folder cannot run. @throws FoveaError `not_freezable` that names its kernel */
function checkFreezable(digest: string, artifacts: readonly Artifact[], code: Uint8Array): void {
  const sandbox = sandboxOf(code);
  if (sandbox === undefined) return;
  const stepsOf = ({ steps, weights }: StepList): readonly Step[] => [
    ...steps,
    ...weights.flatMap(({ prologue }) => (prologue === undefined ? [] : stepsOf(prologue))),
  ];
  const kernel = artifacts.flatMap(stepsOf).find((step) => step.code === digest)?.kernel ?? digest;
  const refuse = (why: string): never => {
    throw new FoveaError("not_freezable", `The kernel "${kernel}" of a plugin cannot be frozen: ${why}`);
  };
  if (sandbox.memory === "worker")
    refuse(
      'it is to run in a worker of its own, and a frozen model runs where there are none. Load its plugin with isolation "own-memory".',
    );
  if (
    WebAssembly.Module.customSections(new WebAssembly.Module(code as Uint8Array<ArrayBuffer>), TRANSPILED_SECTION)
      .length > 0
  )
    refuse(
      "it is a component that jco's glue links, JavaScript that a frozen folder does not carry. Build it as one core module without imports, or leave its plugin out.",
    );
}

/** @throws FoveaError `invalid_range`, `not_freezable`, and what tracing and compiling throw */
export async function compileModel(
  parts: RuntimeParts,
  { opened, towers: whole, config }: ModelToFreeze,
  options: Pick<FreezeOptions, "ranges">,
  call: CallSettings,
): Promise<CompiledModel> {
  const { places, ops, host, device, options: own } = parts;
  const layers = compileLayers(own.compile);
  const plugins = own.plugins === undefined ? await firstPartyPlugins() : parts.plugins;
  const towers = narrowTowers(whole, options.ranges);
  const files = filesFor(opened.files, towers);
  const specs = [...towers.flatMap((t) => t.components), ...pixelComponents(opened.model, files, towers)];
  const settings = new Map(specs.map((spec) => [spec.tag, resolveSettings(spec, layers, places.home, call)]));
  for (const [tag, { device: kind, granularity }] of settings) {
    if (kind.value === device.kind && granularity.value === "block") continue;
    throw new FoveaError(
      "not_freezable",
      `The component "${tag}" is configured with ${kind.value === device.kind ? `granularity ${granularity.value}` : `the device "${kind.value}"`} (${granularity.from}); a frozen model has its encoder's own components on the device "${device.kind}". Leave that setting out.`,
    );
  }
  // Nothing is compiled later where it goes, so that a configuration's `lazy` says nothing here; an encoder's own leaves forms out.
  const wanted = specs.filter((spec) => spec.lazy !== true || settings.get(spec.tag)?.lazy.value === false);
  const items = await packItems({
    ...{ components: wanted, targets: [device.target], plugins, ops, layers, home: places.home, call },
    findPlace: (place) => host.originalPlace(place),
    onCompiled: (done, total, item) => own.onProgress?.({ phase: "compile", modality: "", done, total, item }),
  });
  const code = new Map(items.flatMap(({ compiled }) => [...compiled.code]));
  const artifacts: Artifact[] = [];
  const positions = new Map<string, number>();
  const place = ({ compiled }: PackItem): number => {
    const artifact = keepAll(compiled.artifact);
    const { digest } = encodeWithDigest(artifact);
    const known = positions.get(digest) ?? artifacts.push(artifact) - 1;
    positions.set(digest, known);
    return known;
  };
  const components = specs.map(
    ({ tag, symbols }): FrozenComponent => ({
      ...{ tag, symbols },
      dtype: settings.get(tag)?.dtype.value as KeptDType,
      ranges: items.filter((i) => i.tag === tag).map((item) => ({ box: item.box, artifact: place(item) })),
    }),
  );
  const needed = [...new Set(artifacts.flatMap((artifact) => codeDigests(artifact)))].sort();
  for (const digest of needed) checkFreezable(digest, artifacts, code.get(digest) ?? new Uint8Array());
  const sandboxes = needed.flatMap((digest): [string, Sandbox][] => {
    const sandbox = sandboxOf(code.get(digest) ?? new Uint8Array());
    return sandbox === undefined ? [] : [[digest, sandbox]];
  });
  const neededCode = new Map(needed.map((digest) => [digest, code.get(digest) as Uint8Array]));
  const { modules, functions } = mergeCode(neededCode);
  return {
    towers,
    code: neededCode,
    modules,
    frozen: {
      ...{ format: FROZEN_FORMAT, fovea: VERSION, modelType: opened.modelType, config, files },
      modalities: towers.map((t) => t.modality),
      ...{ target: device.target, deviceBytes: 0, maxPixels: 0, logitBias: 0 },
      ...{
        components,
        artifacts,
        code: needed,
        functions,
        sandboxes: Object.fromEntries(sandboxes),
        weights: [],
        shards: [],
      },
    },
  };
}
