/** What the tower takes, which components run for it, and in which order. */
import type {
  CheckLater,
  ComponentCall,
  ExampleOptions,
  Plan,
  Tensor,
  Tensors,
  TowerSpec,
} from "../../runtime/abi/encoder.ts";
import { checkInputNames, refuseInput, sizesText } from "../../runtime/abi/inputs.ts";
import { examplePixels, type PixelCall, type PixelForms, pixelCall, preparePixels } from "../../runtime/abi/pixels.ts";
import { checkOutputs, hiddenStates, layerCalls, pickResults, planKey } from "../../runtime/abi/plans.ts";
import type { Bindings } from "../../runtime/core/dim.ts";
import type { DinoConfig } from "./config.ts";
import { type Grid, positionWeights, prefixTokens, rotaryTables } from "./geometry.ts";
import { dinoComponents, dinoLayers, MAX_PATCHES, MAX_SIDE } from "./graphs.ts";

const OUTPUTS: readonly string[] = ["pooler_output", "last_hidden_state"];

/** Whole patches of an image of `height` x `width` pixels. */
function gridOf({ patchSize }: DinoConfig, height: number, width: number): Grid {
  return { rows: Math.floor(height / patchSize), columns: Math.floor(width / patchSize) };
}

/** @throws FoveaError `invalid_input` for images below one patch or beyond what the components take */
function checkGrid(config: DinoConfig, height: number, width: number): Grid {
  const { patchSize } = config;
  const grid = gridOf(config, height, width);
  const { rows, columns } = grid;
  if (!(rows >= 1 && columns >= 1)) {
    refuseInput(
      `Images of ${height}x${width} pixels have no whole patch of ${patchSize}x${patchSize}; give images of at least one patch.`,
    );
  }
  if (rows > MAX_SIDE || columns > MAX_SIDE || rows * columns > MAX_PATCHES) {
    refuseInput(
      `Images of ${height}x${width} pixels have ${rows}x${columns} patches of ${patchSize}x${patchSize}; at most ${MAX_SIDE} along a side and ${MAX_PATCHES} in all are taken: resize them first.`,
    );
  }
  return grid;
}

/** The top left `height` x `width` pixels of every plane: a convolution whose stride is its size skips the rest. */
function cropPlanes(pixels: Tensor, height: number, width: number): Tensor {
  const [batch, channels, rows, columns] = pixels.shape;
  if (rows === height && columns === width) return pixels;
  const count = batch * channels * height * width;
  const data = pixels.data instanceof Uint8Array ? new Uint8Array(count) : new Float32Array(count);
  for (let to = 0, plane = 0; plane < batch * channels; plane++) {
    for (let y = 0; y < height; y++, to += width) {
      const from = (plane * rows + y) * columns;
      data.set(pixels.data.subarray(from, from + width), to);
    }
  }
  return { dtype: pixels.dtype, shape: [batch, channels, height, width], data };
}

/**
 * `pixel_values` [batch, channels, height, width], f32, all finite, or u8 -> the same without what fills no patch.
 * @throws FoveaError `invalid_input`
 */
function prepareImages(inputs: Tensors, config: DinoConfig, forms: PixelForms, later?: CheckLater): Tensors {
  checkInputNames(inputs, ["pixel_values"], "pixel_values");
  const pixels = inputs.pixel_values;
  const { channels, patchSize } = config;
  const [batch, planes, height, width] = pixels.shape;
  if (pixels.shape.length !== 4 || batch < 1 || planes !== channels) {
    refuseInput(
      `The input "pixel_values" has shape ${sizesText(pixels.shape)}, expected ${sizesText(["batch", channels, "height", "width"])} with at least one image.`,
    );
  }
  const { rows, columns } = checkGrid(config, height, width);
  return Object.fromEntries(
    Object.entries(preparePixels("pixel_values", pixels, forms, later)).map(([name, given]) => [
      name,
      cropPlanes(given, rows * patchSize, columns * patchSize),
    ]),
  );
}

/** @throws FoveaError `invalid_input` for a size that prepare refuses */
function exampleImages(options: ExampleOptions, config: DinoConfig, forms: PixelForms): Tensors {
  const [height, width] = options.size ?? [config.imageSize, config.imageSize];
  checkGrid(config, height, width);
  return { pixel_values: examplePixels([options.batch, config.channels, height, width], options.seed, forms) };
}

function planImages(config: DinoConfig, pixels: PixelCall, wanted: readonly string[]): Plan {
  checkOutputs(wanted, OUTPUTS);
  const { family, positions } = config;
  const [batch, , height, width] = pixels.shape;
  const grid = gridOf(config, height, width);
  const dims = { batch, tokens: prefixTokens(config) + grid.rows * grid.columns };
  const last = hiddenStates(config.layers);
  const [constants, embedInputs, blockInputs]: [Tensors, string[], string[]] =
    positions.kind === "table"
      ? [positionWeights(grid, positions.side, positions.antialias), ["row_weights", "column_weights"], []]
      : [rotaryTables(grid, config, positions.theta), [], ["cos", "sin"]];
  const same = (names: readonly string[]): Record<string, string> => Object.fromEntries(names.map((n) => [n, n]));
  const ending = (part: string, output: string): ComponentCall[] => {
    const inputs = { hidden_states: last };
    const outputs = { [output]: output };
    return wanted.includes(output) ? [{ tag: `${family}/vision.${part}`, instance: "", dims, inputs, outputs }] : [];
  };
  return {
    key: planKey(`${family} ${pixels.value}`, { batch, ...grid }, wanted),
    calls: [
      {
        tag: pixels.tag,
        instance: "",
        dims: { batch, ...grid },
        inputs: { pixel_values: pixels.value, ...same(embedInputs) },
        outputs: { hidden_states: hiddenStates(0) },
      },
      ...layerCalls(`${family}/vision.block`, dims, dinoLayers(config), same(blockInputs)),
      ...ending("final", "last_hidden_state"),
      ...ending("pool", "pooler_output"),
    ],
    constants,
    results: pickResults(wanted, same(OUTPUTS)),
  };
}

/** Sizes of one image, about square, that becomes so many tokens. */
function imageDims(tokens: number, config: DinoConfig): Bindings {
  const patches = tokens - prefixTokens(config);
  const rows = Math.ceil(Math.sqrt(patches));
  return { batch: 1, tokens, rows, columns: Math.ceil(patches / rows) };
}

/**
 * pixel_values [batch, channels, height, width], f32, or u8 where the forms have it -> last_hidden_state
 * [batch, 1 + registers + patches, hidden_size] (after the last norm), pooler_output [batch, hidden_size] (its first token).
 */
export function dinoTower(config: DinoConfig, forms: PixelForms): TowerSpec {
  return {
    modality: "vision",
    components: dinoComponents(config, forms),
    inputs: ["pixel_values"],
    outputs: OUTPUTS,
    growth: { symbol: "tokens", dims: (tokens) => imageDims(tokens, config) },
    prepare: (inputs, later) => prepareImages(inputs, config, forms, later),
    plan: (shapes, wanted) => planImages(config, pixelCall(`${config.family}/vision.embed`, shapes), wanted),
    exampleSizes: ["size"],
    example: (options) => exampleImages(options, config, forms),
  };
}
