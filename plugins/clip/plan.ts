/** Which components run for a geometry and the wanted outputs, and in which order. */
import type { ComponentCall, Plan, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import type { Bindings } from "../../runtime/core/dim.ts";
import type { ClipTextConfig, ClipVisionConfig } from "./config.ts";
import { textComponents, textLayer, visionComponents, visionLayer } from "./graphs.ts";
import { exampleImages, exampleTexts, prepareImages, prepareTexts } from "./inputs.ts";

type Shapes = Readonly<Record<string, readonly number[]>>;

/** @throws FoveaError `invalid_input` that lists what there is. */
function checkOutputs(wanted: readonly string[], known: readonly string[]): void {
  const odd = wanted.find((name) => !known.includes(name));
  if (odd !== undefined || wanted.length === 0) {
    const found = odd === undefined ? "No output was asked for" : `There is no output "${odd}"`;
    throw new FoveaError("invalid_input", `${found}; this tower gives ${known.join(", ")}.`);
  }
}

function planKey(modality: string, dims: Bindings, outputs: readonly string[]): string {
  const sizes = Object.entries(dims).map(([name, value]) => `${name}=${value}`);
  return `clip ${modality} ${sizes.join(" ")} -> ${[...outputs].sort().join(" ")}`;
}

/** The layers one after another; hidden states are named by the layers they passed. */
function blockCalls(
  tag: string,
  dims: Bindings,
  layers: number,
  instance: (layer: number) => string,
  shared: Readonly<Record<string, string>>,
): ComponentCall[] {
  return Array.from({ length: layers }, (_, i) => ({
    tag,
    instance: instance(i),
    dims,
    inputs: { hidden_states: `hidden_states.${i}`, ...shared },
    outputs: { hidden_states: `hidden_states.${i + 1}` },
  }));
}

/** Results by name for the wanted outputs, out of all that the tower can give. */
function pick(wanted: readonly string[], from: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(wanted.map((name) => [name, from[name]]));
}

function planVision(
  config: ClipVisionConfig,
  known: readonly string[],
  shapes: Shapes,
  wanted: readonly string[],
): Plan {
  checkOutputs(wanted, known);
  const dims = { batch: shapes.pixel_values[0] };
  const last = `hidden_states.${config.layers}`;
  const calls: ComponentCall[] = [
    {
      tag: "clip/vision.embed",
      instance: "vision_model.",
      dims,
      inputs: { pixel_values: "pixel_values" },
      outputs: { hidden_states: "hidden_states.0" },
    },
    ...blockCalls("clip/vision.block", dims, config.layers, visionLayer, {}),
  ];
  if (wanted.includes("pooler_output") || wanted.includes("image_embeds")) {
    calls.push({
      tag: "clip/vision.pool",
      instance: "vision_model.",
      dims,
      inputs: { hidden_states: last },
      outputs: { pooler_output: "pooler_output" },
    });
  }
  if (wanted.includes("image_embeds")) {
    calls.push({
      tag: "clip/vision.project",
      instance: "",
      dims,
      inputs: { pooler_output: "pooler_output" },
      outputs: { image_embeds: "image_embeds" },
    });
  }
  return {
    key: planKey("vision", dims, wanted),
    calls,
    constants: {},
    // The last hidden state comes before post_layernorm, as in transformers.
    results: pick(wanted, { last_hidden_state: last, pooler_output: "pooler_output", image_embeds: "image_embeds" }),
  };
}

function positionIds(tokens: number): Tensors {
  return { position_ids: { dtype: "i32", shape: [tokens], data: Int32Array.from({ length: tokens }, (_, i) => i) } };
}

function planText(config: ClipTextConfig, known: readonly string[], shapes: Shapes, wanted: readonly string[]): Plan {
  checkOutputs(wanted, known);
  const [batch, tokens] = shapes.input_ids;
  const dims = { batch, tokens };
  const last = `hidden_states.${config.layers}`;
  const calls: ComponentCall[] = [
    {
      tag: "clip/text.embed",
      instance: "text_model.",
      dims,
      inputs: { input_ids: "input_ids", position_ids: "position_ids" },
      outputs: { hidden_states: "hidden_states.0" },
    },
    ...blockCalls("clip/text.block", dims, config.layers, textLayer, { key_mask: "key_mask" }),
  ];
  if (wanted.includes("last_hidden_state")) {
    calls.push({
      tag: "clip/text.final",
      instance: "text_model.",
      dims,
      inputs: { hidden_states: last },
      outputs: { last_hidden_state: "last_hidden_state" },
    });
  }
  if (wanted.includes("pooler_output") || wanted.includes("text_embeds")) {
    calls.push({
      tag: "clip/text.pool",
      instance: "text_model.",
      dims,
      inputs: { hidden_states: last, pool_index: "pool_index" },
      outputs: { pooler_output: "pooler_output" },
    });
  }
  if (wanted.includes("text_embeds")) {
    calls.push({
      tag: "clip/text.project",
      instance: "",
      dims: { batch },
      inputs: { pooler_output: "pooler_output" },
      outputs: { text_embeds: "text_embeds" },
    });
  }
  return {
    key: planKey("text", dims, wanted),
    calls,
    constants: positionIds(tokens),
    results: pick(wanted, {
      last_hidden_state: "last_hidden_state",
      pooler_output: "pooler_output",
      text_embeds: "text_embeds",
    }),
  };
}

/**
 * pixel_values f32 [batch, channels, image_size, image_size] -> last_hidden_state [batch, 1 + patches, hidden_size]
 * (before `post_layernorm`), pooler_output [batch, hidden_size], image_embeds [batch, projection_dim] (not normalised).
 */
export function visionTower(config: ClipVisionConfig): TowerSpec {
  const outputs = ["image_embeds", "pooler_output", "last_hidden_state"].slice(
    config.projectionDim === undefined ? 1 : 0,
  );
  return {
    modality: "vision",
    components: visionComponents(config),
    inputs: ["pixel_values"],
    outputs,
    prepare: (inputs) => prepareImages(inputs, config),
    plan: (shapes, wanted) => planVision(config, outputs, shapes, wanted),
    exampleSizes: ["size"],
    example: (options) => exampleImages(options, config),
  };
}

/**
 * input_ids and attention_mask i32 [batch, tokens] -> last_hidden_state [batch, tokens, hidden_size] (after
 * `final_layer_norm`), pooler_output [batch, hidden_size], text_embeds [batch, projection_dim] (not normalised).
 */
export function textTower(config: ClipTextConfig): TowerSpec {
  const outputs = ["text_embeds", "pooler_output", "last_hidden_state"].slice(
    config.projectionDim === undefined ? 1 : 0,
  );
  return {
    modality: "text",
    components: textComponents(config),
    inputs: ["input_ids", "attention_mask"],
    outputs,
    prepare: (inputs) => prepareTexts(inputs, config),
    plan: (shapes, wanted) => planText(config, outputs, shapes, wanted),
    exampleSizes: ["tokens"],
    example: (options) => exampleTexts(options, config),
  };
}
