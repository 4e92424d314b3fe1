/** Which components run for a geometry and the wanted outputs, and in which order. */
import type { ComponentCall, Plan, TowerSpec } from "../../runtime/abi/encoder.ts";
import { featureLayers, projectorCall } from "../../runtime/abi/feature_projector.ts";
import { type PixelCall, type PixelForms, pixelCall } from "../../runtime/abi/pixels.ts";
import { checkOutputs, hiddenStates, layerCalls, planKey } from "../../runtime/abi/plans.ts";
import type { Bindings } from "../../runtime/core/dim.ts";
import type { SiglipProjector, SiglipTextConfig, SiglipVisionConfig } from "./config.ts";
import { PROJECTOR, textComponents, textLayer, visionComponents, visionLayer, visionTag } from "./graphs.ts";
import { exampleImages, exampleTexts, prepareImages, prepareTexts } from "./inputs.ts";

/** Value names by port name; a value is called as its port unless it is a hidden state. */
type Ports = Readonly<Record<string, string>>;

/** What differs between the towers. */
interface Stack {
  /** Tags begin with this. */
  readonly tag: string;
  /** Component that embeds. */
  readonly embed: string;
  /** Instance of all parts but the layers. */
  readonly instance: string;
  readonly layers: number;
  readonly layer: (layer: number) => string;
  readonly embedInputs: Ports;
  /** Masks. */
  readonly shared: Ports;
  /** What the pool takes beside the masks: the last hidden state, or that before the norm. */
  readonly poolsAfterNorm: boolean;
  /** The output that is the pooled one as image-text comparisons call it. */
  readonly embeds: string;
  readonly pools: boolean;
  /** What follows. */
  readonly projector?: SiglipProjector;
}

function outputsOf({ embeds, pools, projector }: Pick<Stack, "embeds" | "pools" | "projector">): readonly string[] {
  return [
    ...(projector === undefined ? [] : ["projected"]),
    ...(pools ? [embeds, "pooler_output"] : []),
    ...["last_hidden_state"],
  ];
}

function planStack(stack: Stack, dims: Bindings, wanted: readonly string[]): Plan {
  checkOutputs(wanted, outputsOf(stack));
  const call = (tag: string, instance: string, inputs: Ports, outputs: Ports): ComponentCall => ({
    tag,
    instance,
    dims,
    inputs,
    outputs,
  });
  const { instance, shared } = stack;
  const last = hiddenStates(stack.layers);
  const projector = wanted.includes("projected") ? stack.projector : undefined;
  const features = projector?.kind === "features" ? projector : undefined;
  // Layers behind the last one that LLaVA's projector reads make nothing that it needs.
  const layers = features !== undefined && wanted.length === 1 ? featureLayers(features) : stack.layers;
  const pooled = wanted.some((name) => name === stack.embeds || name === "pooler_output");
  const calls: ComponentCall[] = [
    call(stack.embed, instance, stack.embedInputs, { hidden_states: hiddenStates(0) }),
    ...layerCalls(
      `${stack.tag}.block`,
      dims,
      Array.from({ length: layers }, (_, i) => stack.layer(i)),
      shared,
    ),
  ];
  const projectsLast = projector !== undefined && features === undefined;
  if (wanted.includes("last_hidden_state") || projectsLast || (pooled && stack.poolsAfterNorm)) {
    calls.push(
      call(`${stack.tag}.final`, instance, { hidden_states: last }, { last_hidden_state: "last_hidden_state" }),
    );
  }
  if (pooled) {
    const inputs: Ports = stack.poolsAfterNorm
      ? { last_hidden_state: "last_hidden_state", ...shared }
      : { hidden_states: last };
    calls.push(call(`${stack.tag}.pool`, instance, inputs, { pooler_output: "pooler_output" }));
  }
  if (projectsLast) {
    const inputs: Ports = { last_hidden_state: "last_hidden_state" };
    calls.push(call(`${stack.tag}.project`, PROJECTOR, inputs, { projected: "projected" }));
  }
  if (features !== undefined) calls.push(projectorCall(`${stack.tag}.project`, PROJECTOR, dims, features));
  const results = wanted.map((name) => [name, name === stack.embeds ? "pooler_output" : name]);
  return { key: planKey(stack.embed, dims, wanted), calls, constants: {}, results: Object.fromEntries(results) };
}

function visionDims(config: SiglipVisionConfig, [batch, patches]: readonly number[]): Bindings {
  return config.kind === "naflex" ? { batch, patches } : { batch };
}

/**
 * last_hidden_state [batch, patches, hidden_size] (after `post_layernorm`); pooler_output and image_embeds
 * [batch, hidden_size], the same values (not normalised), where the model has its head; projected
 * [batch, patches or squares of them, the language model's width] where it has a projector. Takes
 * pixel_values [batch, channels, image_size, image_size], f32, or u8 where the forms have it; NaFlex pixel_values
 * [batch, patches, patch_size ^ 2 * channels], spatial_shapes i32 [batch, 2] and pixel_attention_mask i32 [batch, patches].
 */
export function visionTower(config: SiglipVisionConfig, forms: PixelForms, projector?: SiglipProjector): TowerSpec {
  const naflex = config.kind === "naflex";
  const ends = { embeds: "image_embeds", pools: config.pools, ...(projector === undefined ? {} : { projector }) };
  const shared: Ports = naflex ? { key_mask: "key_mask" } : {};
  const positions: Ports = naflex ? { row_weights: "row_weights", column_weights: "column_weights" } : {};
  const stackFor = ({ tag, value, bytes }: PixelCall): Stack => ({
    tag: visionTag(config),
    embed: tag,
    instance: "vision_model.",
    layers: config.layers,
    layer: visionLayer,
    embedInputs: {
      pixel_values: value,
      ...positions,
      ...(naflex && bytes ? { patch_weights: "patch_weights" } : {}),
    },
    shared,
    poolsAfterNorm: true,
    ...ends,
  });
  return {
    modality: "vision",
    components: visionComponents(config, forms, projector),
    inputs: ["pixel_values", ...(naflex ? ["pixel_attention_mask", "spatial_shapes"] : [])],
    ...(naflex ? { layout: ["spatial_shapes"] } : {}),
    outputs: outputsOf(ends),
    prepare: (inputs, later) => prepareImages(inputs, config, forms, later),
    plan: (shapes, wanted) => {
      const call = pixelCall(`${visionTag(config)}.embed`, shapes);
      return planStack(stackFor(call), visionDims(config, call.shape), wanted);
    },
    exampleSizes: [naflex ? "grid" : "size"],
    example: (options) => exampleImages(options, config, forms),
  };
}

/**
 * input_ids and attention_mask i32 [batch, tokens] -> last_hidden_state [batch, tokens, hidden_size] (after
 * `final_layer_norm`); pooler_output and text_embeds [batch, projection_size], the same values (not normalised).
 */
export function textTower(config: SiglipTextConfig): TowerSpec {
  const stack: Stack = {
    tag: "siglip/text",
    embed: "siglip/text.embed",
    instance: "text_model.",
    layers: config.layers,
    layer: textLayer,
    embedInputs: { input_ids: "input_ids" },
    shared: { key_mask: "key_mask" },
    poolsAfterNorm: false,
    embeds: "text_embeds",
    pools: true,
  };
  return {
    modality: "text",
    components: textComponents(config),
    inputs: ["input_ids", "attention_mask"],
    outputs: outputsOf(stack),
    prepare: (inputs) => prepareTexts(inputs, config),
    plan: ({ input_ids: [batch, tokens] }, wanted) => planStack(stack, { batch, tokens }, wanted),
    exampleSizes: ["tokens"],
    example: (options) => exampleTexts(options, config),
  };
}
