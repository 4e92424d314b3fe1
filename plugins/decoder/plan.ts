/** The text tower: which components run for a geometry and the wanted outputs, and in which order. */
import type { ComponentCall, ExampleOptions, Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import { checkOutputs, hiddenStates, planKey } from "../../runtime/abi/plans.ts";
import { type SentenceConfig, sentencePlaces } from "../../runtime/abi/sentence_config.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { prepareTokens } from "../../runtime/media/token_inputs.ts";
import { type RotaryTable, rotaryTables, sentencePoolingInputs } from "../../runtime/nn/mod.ts";
import type { DecoderConfig, LayerType } from "./config.ts";
import { blockTag, decoderComponents, layerName } from "./graphs.ts";

/** Tokens of an example: a passage. */
const EXAMPLE_TOKENS = 512;

/** Rotary tables of the kinds of layers that a model has, `cos` and `sin` [tokens, head_dim / 2]. */
type Tables = ReadonlyMap<LayerType, (tokens: number) => RotaryTable>;

function calls(
  { layerTypes }: DecoderConfig,
  sentence: SentenceConfig | undefined,
  dims: Readonly<Record<string, number>>,
): readonly ComponentCall[] {
  return [
    {
      ...{ tag: "decoder/text.embed", instance: "", dims },
      ...{ inputs: { input_ids: "input_ids" }, outputs: { hidden_states: hiddenStates(0) } },
    },
    ...layerTypes.map((type, i) => ({
      ...{ tag: blockTag(type), instance: layerName(i), dims },
      inputs: { hidden_states: hiddenStates(i), key_mask: "key_mask", cos: `${type}.cos`, sin: `${type}.sin` },
      outputs: { hidden_states: hiddenStates(i + 1) },
    })),
    {
      ...{ tag: "decoder/text.final", instance: "", dims },
      inputs: { hidden_states: hiddenStates(layerTypes.length) },
      outputs: { last_hidden_state: "last_hidden_state" },
    },
    ...(sentence === undefined
      ? []
      : [
          {
            ...{ tag: "decoder/text.sentence", instance: "", dims },
            inputs: Object.fromEntries(
              ["last_hidden_state", ...sentencePoolingInputs(sentence)].map((name) => [name, name]),
            ),
            outputs: { sentence_embedding: "sentence_embedding" },
          },
        ]),
  ];
}

function rotaryConstants(tables: Tables, tokens: number, pairs: number): Tensors {
  const table = (data: Float32Array): Tensor => ({ dtype: "f32", shape: [tokens, pairs], data });
  return Object.fromEntries(
    [...tables].flatMap(([type, of]) => {
      const { cos, sin } = of(tokens);
      return [
        [`${type}.cos`, table(cos)],
        [`${type}.sin`, table(sin)],
      ];
    }),
  );
}

/** Random ids of whole texts. */
function example({ batch, tokens, seed }: ExampleOptions, { vocabSize, maxTokens }: DecoderConfig): Tensors {
  const shape = [batch, tokens ?? Math.min(EXAMPLE_TOKENS, maxTokens)];
  const data = Int32Array.from({ length: shape[0] * shape[1] }, (_, i) => hash32(seed, i) % vocabSize);
  return { input_ids: { dtype: "i32", shape, data } };
}

/**
 * input_ids and attention_mask i32 [batch, tokens] -> last_hidden_state [batch, tokens, hidden_size] (after the last norm)
 * and sentence_embedding [batch, modes * hidden_size], or as wide as the last dense layer, where the folder says how to pool.
 */
export function decoderTower(config: DecoderConfig, sentence: SentenceConfig | undefined): TowerSpec {
  const outputs = [...(sentence === undefined ? [] : ["sentence_embedding"]), "last_hidden_state"];
  const { vocabSize, maxTokens, headDim, theta, layerTypes } = config;
  const tables: Tables = new Map(
    [...new Set(layerTypes)].map((type) => [type, rotaryTables(headDim / 2, theta[type])]),
  );
  const limits = { vocabSize, maxTokens, ...sentencePlaces(sentence) };
  return {
    modality: "text",
    components: decoderComponents(config, sentence),
    inputs: ["input_ids", "attention_mask"],
    outputs,
    prepare: (inputs) => prepareTokens(inputs, limits),
    plan: (shapes, wanted) => {
      checkOutputs(wanted, outputs);
      const [batch, tokens] = shapes.input_ids;
      const dims = { batch, tokens };
      return {
        key: planKey("decoder", dims, wanted),
        calls: calls(config, wanted.includes("sentence_embedding") ? sentence : undefined, dims),
        constants: rotaryConstants(tables, tokens, headDim / 2),
        results: Object.fromEntries(wanted.map((name) => [name, name])),
      };
    },
    exampleSizes: ["tokens"],
    example: (options) => example(options, config),
  };
}
