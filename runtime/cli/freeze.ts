/** `fovea freeze`: a model as a folder that runs on edges and wherever no code may be made. */
import { Command, InvalidArgumentError } from "commander";
import { bytesText, FoveaError } from "../core/diagnostics.ts";
import { countOf } from "../core/figures.ts";
import type { FreezeOptions, FrozenIntervals } from "../session.ts";
import {
  byteSize,
  type CalibrationOption,
  type CommonOptions,
  MODALITIES,
  nameList,
  nonEmpty,
  type Opened,
  oneOf,
  pluginModules,
  weightOptions,
  withCalibrationOption,
  withCommonOptions,
  withRuntime,
} from "./options.ts";
import { print, printJson } from "./terminal.ts";

interface Options extends CommonOptions, CalibrationOption {
  readonly components?: readonly string[];
  readonly ranges?: NonNullable<FreezeOptions["ranges"]>;
  readonly formats?: readonly string[];
  readonly weights: "fetched" | "bundled";
  readonly loadFormat?: "safetensors" | "dummy";
  readonly app?: boolean;
  readonly name?: string;
  readonly out: string;
}

/** What `--target` means here: the kernels' target. Edges test the bounds of memory in code, as Deno does. */
const TARGETS: Readonly<Record<string, string>> = {
  edge: "wasm-simd128-3x12",
  "edge-unguarded": "wasm-simd128",
  "edge-relaxed": "wasm-relaxed",
};

function interval(text: string): readonly [number, number] {
  const found = /^(\d+)(?:\.\.(\d+))?$/.exec(text.trim());
  if (found === null) throw new InvalidArgumentError("Expected intervals such as batch=1..4 or batch=1,2..8.");
  return [Number(found[1]), Number(found[2] ?? found[1])];
}

/** `batch=1,2..8`, once for each symbol. */
export function rangesOption(
  text: string,
  before: Readonly<Record<string, FrozenIntervals>> = {},
): Readonly<Record<string, FrozenIntervals>> {
  const [name, own] = text.split("=");
  if (own === undefined || name.trim() === "") {
    throw new InvalidArgumentError("Expected a symbol and its intervals, such as batch=1..4 or batch=1,2..8.");
  }
  return { ...before, [name.trim()]: own.split(",").map(interval) };
}

export function freezeCommand(): Command {
  const command = new Command("freeze")
    .description("Package a model for places that forbid making code, as a folder of ES modules with a ready Worker.")
    .argument("<model>", "model folder or hf:organisation/name")
    .option("--components <names>", `of ${MODALITIES.join(", ")}, comma-separated; all unless given`, nameList)
    .option("--ranges <symbol=intervals>", "sizes to freeze, such as batch=1..4; may be repeated", rangesOption)
    .option("--formats <names>", "decoders to add: png (for vision), jpeg, webp, gif, wav", nameList)
    .option(
      "--weights <how>",
      "fetched from beside the code, or bundled with it",
      oneOf(["fetched", "bundled"]),
      "fetched",
    )
    .option("--load-format <format>", "safetensors, or dummy for made-up weights", oneOf(["safetensors", "dummy"]))
    .option("--app", "add the routes of `fovea serve`, for a worker that is a server")
    .option("--name <name>", "name of the deployment", nonEmpty("a name"))
    .requiredOption("--out <folder>", "where the folder goes", nonEmpty("a folder"));
  return withCalibrationOption(withCommonOptions(command))
    .addHelpText(
      "after",
      "\n--target is edge (the same bits everywhere, in tiles for engines that test the bounds of memory in code, as workerd and Deno do),\nedge-unguarded (the same bits, in tiles for engines that leave bounds to page protection, as Node and browsers do) or edge-relaxed\n(workerd and Deno, faster); --memory is what the place gives to code, weights and runs together, 128m unless given.\n\nExamples:\n  fovea freeze ./clip --components vision --dtype int8 --target edge --out edge\n  fovea freeze ./clip --ranges batch=1..2 --formats png,jpeg,webp --out edge && cd edge && npx wrangler deploy",
    )
    .action(freeze);
}

function targetOf(name: string | undefined): string {
  const target = TARGETS[name ?? "edge"];
  if (target !== undefined) return target;
  throw new FoveaError(
    "bad_usage",
    `\`fovea freeze\` has the targets ${Object.keys(TARGETS).join(", ")}, and no "${name}".`,
  );
}

/** @throws FoveaError `bad_usage` */
function checkDevice(device: string | undefined): void {
  if (device === undefined || device === "wasm") return;
  throw new FoveaError(
    "bad_usage",
    `A frozen folder computes with WebAssembly wherever it goes; leave out --device ${device}.`,
  );
}

/** What to do where this engine cannot run a target's code, and so cannot prove it. */
function refusedTarget(name: string | undefined, error: unknown): unknown {
  if (name !== "edge-relaxed" || !(error instanceof FoveaError) || error.code !== "unsupported_target") return error;
  return new FoveaError(
    error.code,
    "The target edge-relaxed is proven where it is frozen, and this engine's WebAssembly has no relaxed SIMD. Freeze it with Deno, or Node from 22 on, or take --target edge.",
    { cause: error },
  );
}

async function freeze(model: string, options: Options): Promise<void> {
  const {
    target,
    memory = byteSize("128m"),
    components,
    ranges,
    formats,
    weights,
    loadFormat,
    app,
    name,
    out,
  } = options;
  const { memory: _, device, ...common } = options;
  checkDevice(device);
  const run = async ({ runtime, progress }: Opened): Promise<void> => {
    const frozen = await runtime.freeze(model, out, {
      ...weightOptions(options),
      ...{ memory, weights },
      ...(components === undefined ? {} : { components: components as NonNullable<FreezeOptions["components"]> }),
      ...(ranges === undefined ? {} : { ranges }),
      ...(formats === undefined ? {} : { formats }),
      ...(loadFormat === undefined ? {} : { loadFormat }),
      ...(app === undefined ? {} : { app }),
      ...(name === undefined ? {} : { name }),
      pluginSources: await pluginModules(options),
    });
    progress.stop();
    if (options.json === true) printJson(frozen);
    else {
      const { total, limit } = frozen.memory;
      print(
        `${countOf(frozen.kernels, "kernel")} for ${frozen.target} and ${countOf(frozen.shards, "shard")} of weights in ${out}; it needs ${bytesText(total)} of ${bytesText(limit)}`,
      );
    }
  };
  await withRuntime({ ...common, target: targetOf(target) }, run).catch((error: unknown) => {
    throw refusedTarget(target, error);
  });
}
