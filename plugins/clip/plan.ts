/** Which components run for a geometry and the wanted outputs, and in which order. */
import type { ComponentCall, Plan, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import { type FeatureProjector, featureLayers, projectorCall } from "../../runtime/abi/feature_projector.ts";
import { type PixelCall, type PixelForms, pixelCall } from "../../runtime/abi/pixels.ts";
import { checkOutputs, hiddenStates, layerCalls, pickResults, planKey } from "../../runtime/abi/plans.ts";
import type { ClipTextConfig, ClipVisionConfig } from "./config.ts";
import { layerNames, PROJECTOR, textComponents, textLayer, visionComponents, visionLayer } from "./graphs.ts";
import { exampleImages, exampleTexts, prepareImages, prepareTexts } from "./inputs.ts";

type Shapes = Readonly<Record<string, readonly number[]>>;

/** The calls that make hidden states: of all layers, or of those that the projector reads where nothing else is wanted. */
export function seeingCalls(
  config: ClipVisionConfig,
  { tag, value, shape }: PixelCall,
  wanted: readonly string[],
  projector: FeatureProjector | undefined,
): ComponentCall[] {
  const dims = { batch: shape[0] };
  const projects = projector !== undefined && wanted.every((name) => name === "projected");
  const layers = projects ? featureLayers(projector) : config.layers;
  return [
    {
      tag,
      instance: "vision_model.",
      dims,
      inputs: { pixel_values: value },
      outputs: { hidden_states: hiddenStates(0) },
    },
    ...layerCalls("clip/vision.block", dims, layerNames(config, visionLayer).slice(0, layers)),
  ];
}

function planVision(
  config: ClipVisionConfig,
  projector: FeatureProjector | undefined,
  known: readonly string[],
  shapes: Shapes,
  wanted: readonly string[],
): Plan {
  checkOutputs(wanted, known);
  const pixels = pixelCall("clip/vision.embed", shapes);
  const dims = { batch: pixels.shape[0] };
  const last = hiddenStates(config.layers);
  const calls = seeingCalls(config, pixels, wanted, projector);
  if (projector !== undefined && wanted.includes("projected")) {
    calls.push(projectorCall("clip/vision.project", PROJECTOR, dims, projector));
  }
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
    key: planKey(`clip vision ${pixels.value}`, dims, wanted),
    calls,
    constants: {},
    // The last hidden state comes before post_layernorm, as in transformers.
    results: pickResults(wanted, {
      last_hidden_state: last,
      pooler_output: "pooler_output",
      image_embeds: "image_embeds",
      projected: "projected",
    }),
  };
}

function positionIds(tokens: number): Tensors {
  return { position_ids: { dtype: "i32", shape: [tokens], data: Int32Array.from({ length: tokens }, (_, i) => i) } };
}

function planText(config: ClipTextConfig, known: readonly string[], shapes: Shapes, wanted: readonly string[]): Plan {
  checkOutputs(wanted, known);
  const [batch, tokens] = shapes.input_ids;
  const dims = { batch, tokens };
  const last = hiddenStates(config.layers);
  const calls: ComponentCall[] = [
    {
      tag: "clip/text.embed",
      instance: "text_model.",
      dims,
      inputs: { input_ids: "input_ids", position_ids: "position_ids" },
      outputs: { hidden_states: hiddenStates(0) },
    },
    ...layerCalls("clip/text.block", dims, layerNames(config, textLayer), { key_mask: "key_mask" }),
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
    key: planKey("clip text", dims, wanted),
    calls,
    constants: positionIds(tokens),
    results: pickResults(wanted, {
      last_hidden_state: "last_hidden_state",
      pooler_output: "pooler_output",
      text_embeds: "text_embeds",
    }),
  };
}

/**
 * pixel_values f32, or u8 where the forms have it, [batch, channels, image_size, image_size] -> last_hidden_state [batch, 1 + patches, hidden_size]
 * (before `post_layernorm`), pooler_output [batch, hidden_size], image_embeds [batch, projection_dim] (not normalised); with a
 * projector last_hidden_state and projected [batch, patches, the language model's width], or one more with the class token.
 */
export function visionTower(config: ClipVisionConfig, forms: PixelForms, projector?: FeatureProjector): TowerSpec {
  const embeds = ["image_embeds", "pooler_output"].slice(config.projectionDim === undefined ? 1 : 0);
  const outputs = [...(projector === undefined ? embeds : ["projected"]), "last_hidden_state"];
  return {
    modality: "vision",
    components: visionComponents(config, forms, projector),
    inputs: ["pixel_values"],
    outputs,
    prepare: (inputs, later) => prepareImages(inputs, config, forms, later),
    plan: (shapes, wanted) => planVision(config, projector, outputs, shapes, wanted),
    exampleSizes: ["size"],
    example: (options) => exampleImages(options, config, forms),
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
