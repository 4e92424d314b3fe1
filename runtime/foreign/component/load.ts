/** From a component to kernels like any other: checked, rewritten, asked what it offers. */
import { COMPONENT_FUNCTIONS, KERNELS, RESOURCES } from "../../abi/component.ts";
import type { GlueLinks, Instantiate } from "../../abi/glue.ts";
import { type Sandbox, withSandbox } from "../../abi/sandbox.ts";
import { glueDigest, type Transpiled, transpiledCode } from "../../abi/transpiled.ts";
import { canonicalJson } from "../../core/canonical_json.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { type Module, parseModule } from "../binary/module.ts";
import type { Feature } from "../binary/opcodes.ts";
import { type Refuse, refuserOf } from "../binary/reader.ts";
import { checkFeatures, checkValid } from "../inspect.ts";
import type { Build } from "../kernel.ts";
import { checkKernel, type KernelManifest } from "../manifest.ts";
import { countedModule } from "./count.ts";
import { type Asked, askedLean, askedTranspiled, askOffers, type ComponentOffer } from "./offers.ts";
import { type ComponentParts, parseComponent } from "./parse.ts";
import { countedCores, type TranspileSource, transpiled } from "./transpile.ts";

const I32 = 0x7f;

/** Why the lean loader does not take a component; nothing where it does. */
export function notLean({ modules, imports, isUtf8 }: ComponentParts): string | undefined {
  const asked = imports.filter((name) => !name.startsWith(KERNELS.slice(0, KERNELS.indexOf("/"))));
  if (asked.length > 0) return `it imports ${asked.join(", ")}`;
  if (modules.length !== 1) return `it has ${modules.length} core modules`;
  return isUtf8 ? undefined : "its texts are not all UTF-8";
}

/** Refuses a core module that does not speak the world as `wit-component` writes it. */
function checkCore(module: Module, refuse: Refuse): void {
  for (const { module: from, name, kind } of module.imports) {
    if (kind === "function" && from === RESOURCES && /^\[resource-(new|rep|drop)\]weights$/.test(name)) continue;
    refuse(`its core module imports the ${kind} "${from}.${name}"; allowed are the handles of its own \`weights\`.`);
  }
  if (module.memories.length !== 1) refuse("its core module has no memory of its own.");
  if (module.memories[0].shared) refuse("its memory is shared; the host divides the work.");
  if (module.starts) refuse("its core module has a start function, which would run before anything is counted.");
  const imported = module.imports.length;
  const functions: readonly (readonly [string, number])[] = [
    ...Object.values(COMPONENT_FUNCTIONS).map(({ name, parameters }) => [name, parameters] as const),
    ["cabi_realloc", 4],
  ];
  for (const [name, parameters] of functions) {
    const found = module.exports.find((e) => e.name === name);
    if (found === undefined) refuse(`it has no function "${name}" of the world fovea:kernel@1.0.0.`);
    const type = module.types[module.functions[found.index - imported]?.type];
    const wanted = Array<number>(parameters).fill(I32).join();
    if (found.kind !== "function" || type?.parameters.join() !== wanted || type.results.join() !== `${I32}`)
      refuse(`its core function "${name}" is none of ${parameters} i32 to an i32.`);
  }
  if (!module.exports.some((e) => e.name === "memory" && e.kind === "memory")) refuse("it exports no core memory.");
}

/** What an offer says, as `plugin.json` would say it. @throws FoveaError `invalid_manifest` */
function describedKernel(offer: ComponentOffer, file: string): KernelManifest {
  const axis = (text: string): string | number => (/^\d+$/.test(text) ? Number(text) : text);
  let pattern: unknown = offer.pattern;
  try {
    pattern = JSON.parse(offer.pattern);
  } catch {
    // A text that is no JSON is no pattern either, which the check says.
  }
  const operands = offer.operands.map(({ name, dtype, shape, weight }) => [
    name,
    { dtype, shape: shape.map(axis), weight },
  ]);
  const ranges = offer.ranges.map(({ size, min, max, multipleOf }) => [
    size,
    { min, max: Math.min(max, 0x7fffffff), multipleOf: Math.max(1, multipleOf) },
  ]);
  const { name, output, grid, sizes, attributes, flops, bytes } = offer;
  return checkKernel(
    {
      name,
      entry: "run",
      pattern,
      operands: Object.fromEntries(operands),
      output: output.map(axis),
      ranges: Object.fromEntries(ranges),
      ...(grid === undefined ? {} : { grid }),
      // Words of a step: pointers, what `load` gets, and the items of a call.
      arguments: [
        "output",
        ...offer.operands.map((o) => o.name),
        ...sizes,
        ...attributes,
        ...(grid === undefined ? [] : [grid]),
      ],
      flops,
      ...(bytes === undefined ? {} : { bytes }),
    },
    `the offer "${name}" of ${file}`,
  );
}

/** A build of a plugin as it is read. */
export interface ComponentBuild {
  readonly features: readonly Feature[];
  readonly bytes: Uint8Array;
  readonly file: string;
  /** What was linked ahead: trusted by the user, or there and not trusted. */
  readonly linked?: LinkedAhead | "untrusted";
}

/** Glue and core modules that came with a plugin. */
export interface LinkedAhead {
  readonly made: Transpiled;
  /** Of the glue, where it was imported as a module. */
  readonly instantiate?: Instantiate;
}

/** A component that can be asked and linked on this engine, or only built into code for others. */
interface Opened {
  readonly offers: readonly ComponentOffer[] | undefined;
  readonly code: (sandbox: Sandbox) => Uint8Array;
  readonly links?: GlueLinks;
}

/**
 * Checks a component of one core module, counts its loops, links it and asks what it offers.
 * @throws FoveaError `refused_module`
 */
function openLean(parts: ComponentParts, { features, file }: ComponentBuild): Opened {
  const refuse = refuserOf(file);
  const module = parseModule(parts.modules[0], refuse, true);
  checkFeatures(module, features, refuse);
  checkCore(module, refuse);
  checkValid(module.bytes, features, refuse);
  return asked(countedModule(module), [module.bytes], askedLean, { features, file });
}

/** The same of one that jco's glue links: glue that came with it and is trusted, else glue that jco makes here. */
async function openTranspiled(build: ComponentBuild, source: TranspileSource): Promise<Opened> {
  const { features, file, linked } = build;
  const refuse = refuserOf(file);
  const ahead = typeof linked === "object" ? linked : { made: await madeHere(build, source, refuse) };
  const links: GlueLinks = new Map(
    ahead.instantiate === undefined ? [] : [[glueDigest(ahead.made.glue), ahead.instantiate]],
  );
  const made = countedCores(ahead.made, features, refuse);
  const link = (module: WebAssembly.Module): Asked => askedTranspiled(module, links);
  return { ...asked(transpiledCode(made), [...made.cores.values()], link, { features, file }), links };
}

async function madeHere(
  { bytes, file, linked }: ComponentBuild,
  source: TranspileSource,
  refuse: Refuse,
): Promise<Transpiled> {
  try {
    return await transpiled(bytes, source, refuse);
  } catch (cause) {
    if (!(cause instanceof FoveaError) || cause.code !== "no_jco" || linked !== "untrusted") throw cause;
    throw new FoveaError(
      "no_jco",
      `${file} is a component that jco links, and jco is not installed. The plugin brings glue that was made ahead, JavaScript that would run with all that this process may do: trust it with \`trustGlue: true\` or \`--trust-glue\`, or install jco, which makes its own: npm install @bytecodealliance/jco.`,
      { cause },
    );
  }
}

function asked(
  code: Uint8Array,
  cores: readonly Uint8Array[],
  link: (module: WebAssembly.Module) => Asked,
  { features, file }: Pick<ComponentBuild, "features" | "file">,
): Opened {
  // Code for relaxed vectors may be ahead of the engine.
  const canRun = cores.every((core) => WebAssembly.validate(core as Uint8Array<ArrayBuffer>));
  const module = (): WebAssembly.Module => new WebAssembly.Module(code as Uint8Array<ArrayBuffer>);
  const offers = canRun ? askOffers(() => link(module()), features, file) : undefined;
  return { offers, code: (sandbox) => withSandbox(code, sandbox) };
}

/**
 * Opens all builds of a plugin of components, which offer the same.
 * @throws FoveaError `refused_module`, `invalid_manifest`
 */
export async function openComponents(
  builds: readonly ComponentBuild[],
  memory: "own" | "worker",
  source: TranspileSource,
): Promise<{
  readonly kernels: readonly KernelManifest[];
  readonly builds: readonly Build[];
  readonly links: GlueLinks;
}> {
  const opening = builds.map((build) => {
    const refuse = refuserOf(build.file);
    const parts = parseComponent(build.bytes, refuse);
    if (!parts.exports.includes(KERNELS)) refuse(`it does not export the interface ${KERNELS} of kernels/wit.`);
    const why = notLean(parts);
    return why === undefined ? openLean(parts, build) : openTranspiled(build, source);
  });
  const opened = await Promise.all(opening);
  const asked = opened.findIndex((o) => o.offers !== undefined);
  const [{ file }] = builds;
  const offers = opened[asked]?.offers;
  if (offers === undefined)
    return refuserOf(file)("this engine runs none of the plugin's builds; add one for simd128 alone.");
  const other = opened.findIndex((o) => o.offers !== undefined && canonicalJson(o.offers) !== canonicalJson(offers));
  if (other >= 0) refuserOf(builds[other].file)(`it does not offer the same as ${builds[asked].file}.`);
  const kernels = offers.map((offer) => describedKernel(offer, file));
  return {
    kernels,
    links: new Map(opened.flatMap((o) => [...(o.links ?? [])])),
    builds: opened.map(({ code }, i) => ({
      features: builds[i].features,
      code: ({ kernel, sandbox }) =>
        code({
          ...{ memory, reserved: 0, arguments: sandbox },
          component: kernels.findIndex((k) => k.name === kernel.name),
        }),
    })),
  };
}
