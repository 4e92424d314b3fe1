/** The text tower: which components run for a geometry and the wanted outputs, and in which order. */
import type { ComponentCall, ExampleOptions, Plan, Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import { checkOutputs, hiddenStates, layerCalls, planKey } from "../../runtime/abi/plans.ts";
import { type SentenceConfig, sentencePlaces } from "../../runtime/abi/sentence_config.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { type IdTensor, prepareTokens } from "../../runtime/media/token_inputs.ts";
import { rotaryTables, sentencePoolingInputs } from "../../runtime/nn/mod.ts";
import { type BertConfig, mostTokens } from "./config.ts";
import { bertComponents, layerNames } from "./graphs.ts";
import { relativeBuckets } from "./relative_positions.ts";

/** Tokens of an example: a paragraph. */
const EXAMPLE_TOKENS = 128;

type Tables = ReturnType<typeof rotaryTables>;

/** cos and sin [tokens, head_dim / 2]. */
function rotaryConstants(tables: Tables, { hiddenSize, heads }: BertConfig, tokens: number): Tensors {
  const { cos, sin } = tables(tokens);
  const table = (data: Float32Array): Tensor => ({ dtype: "f32", shape: [tokens, hiddenSize / heads / 2], data });
  return { cos: table(cos), sin: table(sin) };
}

function plan(
  config: BertConfig,
  tables: Tables | undefined,
  sentence: SentenceConfig | undefined,
  known: readonly string[],
  shapes: Readonly<Record<string, readonly number[]>>,
  wanted: readonly string[],
): Plan {
  checkOutputs(wanted, known);
  const [batch, tokens] = shapes.input_ids;
  const dims = { batch, tokens };
  const last = hiddenStates(config.layers);
  const byDistance = config.relativeBuckets > 0;
  const calls: ComponentCall[] = [
    {
      tag: "bert/text.embed",
      instance: "",
      dims,
      inputs: {
        input_ids: "input_ids",
        ...(tables === undefined ? { position_ids: "position_ids" } : {}),
        ...(config.tokenTypes === 0 ? {} : { token_type_ids: "token_type_ids" }),
      },
      outputs: { hidden_states: hiddenStates(0) },
    },
    ...(byDistance ? [biasCall(tokens)] : []),
    ...layerCalls("bert/text.block", dims, layerNames(config), {
      key_mask: "key_mask",
      ...(byDistance ? { position_bias: "position_bias" } : {}),
      ...(tables === undefined ? {} : { cos: "cos", sin: "sin" }),
    }),
  ];
  const pooled = (tag: string, name: string, inputs: readonly string[]): void => {
    if (!wanted.includes(name)) return;
    const same = Object.fromEntries(inputs.map((input) => [input, input]));
    calls.push({ tag, instance: "", dims, inputs: { hidden_states: last, ...same }, outputs: { [name]: name } });
  };
  pooled("bert/text.pool", "pooler_output", []);
  pooled("bert/text.sentence", "sentence_embedding", sentence === undefined ? [] : sentencePoolingInputs(sentence));
  return {
    key: planKey("bert", dims, wanted),
    calls,
    constants: {
      ...(tables === undefined ? {} : rotaryConstants(tables, config, tokens)),
      ...(tables === undefined && config.firstPosition === 0 ? { position_ids: range(tokens) } : {}),
      ...(byDistance ? { buckets: relativeBuckets(tokens) } : {}),
    },
    results: Object.fromEntries(wanted.map((name) => [name, name === "last_hidden_state" ? last : name])),
  };
}

/** What attention's scores gain by distance, the same in all layers. */
const biasCall = (tokens: number): ComponentCall => ({
  ...{ tag: "bert/text.bias", instance: "encoder.", dims: { tokens } },
  ...{ inputs: { buckets: "buckets" }, outputs: { position_bias: "position_bias" } },
});

const range = (tokens: number): Tensor => ({
  ...{ dtype: "i32", shape: [tokens], data: Int32Array.from({ length: tokens }, (_, i) => i) },
});

/** Each token's row of the table, i32 [batch, tokens]: they count on from padding's row, which padding keeps and does not advance. */
function positionsBesidePadding({ shape, data }: IdTensor, padTokenId: number): IdTensor {
  const [batch, tokens] = shape;
  const rows = new Int32Array(batch * tokens);
  for (let text = 0, at = 0; text < batch; text++) {
    let last = padTokenId;
    for (let i = 0; i < tokens; i++, at++) rows[at] = data[at] === padTokenId ? padTokenId : ++last;
  }
  return { dtype: "i32", shape, data: rows };
}

/** Random ids of whole texts. @throws FoveaError `invalid_input` for more tokens than positions */
function example({ batch, tokens, seed }: ExampleOptions, config: BertConfig): Tensors {
  const { vocabSize } = config;
  const shape = [batch, tokens ?? Math.min(EXAMPLE_TOKENS, mostTokens(config))];
  const data = Int32Array.from({ length: shape[0] * shape[1] }, (_, i) => hash32(seed, i) % vocabSize);
  return { input_ids: { dtype: "i32", shape, data } };
}

/**
 * input_ids, attention_mask and, where there are types, token_type_ids i32 [batch, tokens] -> last_hidden_state
 * [batch, tokens, hidden_size], pooler_output [batch, hidden_size] where the checkpoint has the pooler, and
 * sentence_embedding [batch, modes * hidden_size] where the folder says how to pool.
 */
export function bertTower(config: BertConfig, sentence: SentenceConfig | undefined): TowerSpec {
  const outputs = [
    ...(sentence === undefined ? [] : ["sentence_embedding"]),
    ...(config.pooler ? ["pooler_output"] : []),
    "last_hidden_state",
  ];
  const limits = {
    vocabSize: config.vocabSize,
    maxTokens: mostTokens(config),
    ...(config.tokenTypes === 0 ? {} : { tokenTypes: config.tokenTypes }),
    ...sentencePlaces(sentence),
  };
  const { theta, hiddenSize, heads } = config;
  const tables = theta === undefined ? undefined : rotaryTables(hiddenSize / heads / 2, theta);
  return {
    modality: "text",
    components: bertComponents(config, sentence),
    inputs: ["input_ids", "attention_mask", ...(config.tokenTypes === 0 ? [] : ["token_type_ids"])],
    outputs,
    prepare: (inputs) => {
      const prepared = prepareTokens(inputs, limits);
      if (config.firstPosition === 0) return prepared;
      return { ...prepared, position_ids: positionsBesidePadding(prepared.input_ids, config.padTokenId) };
    },
    plan: (shapes, wanted) => plan(config, tables, sentence, outputs, shapes, wanted),
    exampleSizes: ["tokens"],
    example: (options) => example(options, config),
  };
}
