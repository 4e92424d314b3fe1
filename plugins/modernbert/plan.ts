/** The text tower: which components run for a geometry and the wanted outputs, and in which order. */
import type { ComponentCall, ExampleOptions, Plan, Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import { checkOutputs, planKey } from "../../runtime/abi/plans.ts";
import { type SentenceConfig, sentencePlaces } from "../../runtime/abi/sentence_config.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { prepareTokens } from "../../runtime/media/token_inputs.ts";
import { rotaryTables, sentencePoolingInputs } from "../../runtime/nn/mod.ts";
import type { LayerType, ModernBertConfig } from "./config.ts";
import { blockTag, layerName, modernBertComponents } from "./graphs.ts";

/** Tokens of an example: a passage. */
const EXAMPLE_TOKENS = 512;

/** Rotary tables of a kind of layer, `cos` and `sin` [tokens, head_dim / 2]. */
type Tables = Readonly<
  Record<LayerType, (tokens: number) => { readonly cos: Float32Array; readonly sin: Float32Array }>
>;

/** Makes the plan function of a tower; tables are kept between plans. */
function planner(
  config: ModernBertConfig,
  sentence: SentenceConfig | undefined,
  known: readonly string[],
): TowerSpec["plan"] {
  const pairs = config.hiddenSize / config.heads / 2;
  const tables: Tables = {
    full_attention: rotaryTables(pairs, config.theta.full_attention),
    sliding_attention: rotaryTables(pairs, config.theta.sliding_attention),
  };
  return (shapes, wanted) => {
    checkOutputs(wanted, known);
    const [batch, tokens] = shapes.input_ids;
    const dims = { batch, tokens };
    const calls: ComponentCall[] = [
      {
        tag: "modernbert/text.embed",
        instance: "",
        dims,
        inputs: { input_ids: "input_ids" },
        outputs: { hidden_states: "hidden_states.0" },
      },
      ...config.layerTypes.map((type, i) => ({
        tag: blockTag(i, type),
        instance: layerName(i),
        dims,
        inputs: {
          hidden_states: `hidden_states.${i}`,
          key_mask: "key_mask",
          cos: `${type}.cos`,
          sin: `${type}.sin`,
        },
        outputs: { hidden_states: `hidden_states.${i + 1}` },
      })),
      {
        tag: "modernbert/text.final",
        instance: "",
        dims,
        inputs: { hidden_states: `hidden_states.${config.layerTypes.length}` },
        outputs: { last_hidden_state: "last_hidden_state" },
      },
    ];
    if (sentence !== undefined && wanted.includes("sentence_embedding")) {
      const own = sentencePoolingInputs(sentence).map((name) => [name, name]);
      calls.push({
        tag: "modernbert/text.sentence",
        instance: "",
        dims,
        inputs: { last_hidden_state: "last_hidden_state", ...Object.fromEntries(own) },
        outputs: { sentence_embedding: "sentence_embedding" },
      });
    }
    const plan: Plan = {
      key: planKey("modernbert", dims, wanted),
      calls,
      constants: rotaryConstants(config, tables, tokens, pairs),
      results: Object.fromEntries(wanted.map((name) => [name, name])),
    };
    return plan;
  };
}

/** Tables of the kinds of layers that the model has. */
function rotaryConstants(config: ModernBertConfig, tables: Tables, tokens: number, pairs: number): Tensors {
  const named = (name: string, data: Float32Array): [string, Tensor] => [
    name,
    { dtype: "f32", shape: [tokens, pairs], data },
  ];
  return Object.fromEntries(
    [...new Set(config.layerTypes)].flatMap((type) => {
      const { cos, sin } = tables[type](tokens);
      return [named(`${type}.cos`, cos), named(`${type}.sin`, sin)];
    }),
  );
}

/** Random ids of whole texts. */
function example({ batch, tokens, seed }: ExampleOptions, { vocabSize, maxPositions }: ModernBertConfig): Tensors {
  const shape = [batch, tokens ?? Math.min(EXAMPLE_TOKENS, maxPositions)];
  const data = Int32Array.from({ length: shape[0] * shape[1] }, (_, i) => hash32(seed, i) % vocabSize);
  return { input_ids: { dtype: "i32", shape, data } };
}

/**
 * input_ids and attention_mask i32 [batch, tokens] -> last_hidden_state [batch, tokens, hidden_size] (after `final_norm`)
 * and sentence_embedding [batch, modes * hidden_size] where the folder says how to pool.
 */
export function modernBertTower(config: ModernBertConfig, sentence: SentenceConfig | undefined): TowerSpec {
  const outputs = [...(sentence === undefined ? [] : ["sentence_embedding"]), "last_hidden_state"];
  const limits = {
    vocabSize: config.vocabSize,
    maxTokens: config.maxPositions,
    ...sentencePlaces(sentence),
  };
  return {
    modality: "text",
    components: modernBertComponents(config, sentence),
    inputs: ["input_ids", "attention_mask"],
    outputs,
    prepare: (inputs) => prepareTokens(inputs, limits),
    plan: planner(config, sentence, outputs),
    exampleSizes: ["tokens"],
    example: (options) => example(options, config),
  };
}
