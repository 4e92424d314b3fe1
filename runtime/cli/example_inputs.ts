/** Options of commands that run models on made-up inputs. */
import { type Command, InvalidArgumentError } from "commander";
import type { ExampleSize, TowerSpec } from "../abi/encoder.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { oneOf, wholeNumber } from "./options.ts";

export interface ExampleInputs extends ExampleSizes {
  readonly loadFormat: "safetensors" | "dummy";
}

export interface ExampleSizes {
  readonly batch: number;
  readonly size?: readonly [number, number];
  readonly grid?: readonly [number, number, number];
  readonly tokens?: number;
  readonly seconds?: number;
}

function imageSize(text: string): readonly [number, number] {
  const found = /^(\d+)x(\d+)$/.exec(text);
  if (found === null) throw new InvalidArgumentError("Expected HEIGHTxWIDTH, such as 224x224.");
  return [Number(found[1]), Number(found[2])];
}

function patchGrid(text: string): readonly [number, number, number] {
  const found = /^(\d+)x(\d+)x(\d+)$/.exec(text);
  if (found === null) throw new InvalidArgumentError("Expected FRAMESxROWSxCOLUMNS, such as 1x46x64.");
  return [Number(found[1]), Number(found[2]), Number(found[3])];
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError("Expected a number above 0.");
  return value;
}

const FORMATS: readonly string[] = ["safetensors", "dummy"];

/** Adds where weights come from and the sizes of inputs. */
export function withExampleInputs(command: Command): Command {
  return withExampleSizes(
    command.option(
      "--load-format <format>",
      "safetensors, or dummy for seeded random weights",
      oneOf(FORMATS),
      "safetensors",
    ),
  );
}

/** Adds the sizes of inputs. */
export function withExampleSizes(command: Command): Command {
  return command
    .option("--batch <n>", "inputs encoded together", wholeNumber(1), 1)
    .option("--size <HxW>", "size of pictures, where the model takes several", imageSize)
    .option("--grid <TxHxW>", "patches of pictures, where the model takes them", patchGrid)
    .option("--tokens <n>", "length of texts", wholeNumber(1))
    .option("--seconds <s>", "length of audio", positive);
}

const SIZES: readonly ExampleSize[] = ["size", "grid", "tokens", "seconds"];

/** The sizes that were asked for. @throws FoveaError `bad_usage` for one that the tower does not have */
export function exampleSizes(tower: TowerSpec, options: ExampleSizes): Partial<Pick<ExampleSizes, ExampleSize>> {
  const asked = SIZES.filter((name) => options[name] !== undefined);
  for (const name of asked) {
    if (tower.exampleSizes.includes(name)) continue;
    const known = tower.exampleSizes.map((n) => `--${n}`).join(", ") || "none";
    throw new FoveaError(
      "bad_usage",
      `--${name} says nothing to this model's ${tower.modality} component; it understands ${known}.`,
    );
  }
  return Object.fromEntries(asked.map((name) => [name, options[name]]));
}

/** The sizes that were asked for and that the tower has. */
export function knownSizes(tower: TowerSpec, options: ExampleSizes): Partial<Pick<ExampleSizes, ExampleSize>> {
  const asked = SIZES.filter((name) => options[name] !== undefined && tower.exampleSizes.includes(name));
  return Object.fromEntries(asked.map((name) => [name, options[name]]));
}
