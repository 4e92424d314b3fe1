/** The calls of an encoder: the stem, the layers one after another, the end. */
import type { ComponentCall, Plan, TowerSpec } from "../../runtime/abi/encoder.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import type { WhisperConfig } from "./config.ts";
import { layerInstance, whisperComponents } from "./graphs.ts";
import { exampleAudio, inputNames, prepareAudio } from "./inputs.ts";

const OUTPUT = "last_hidden_state";

/** @throws FoveaError `invalid_input` for outputs that there are not. */
function planAudio(
  config: WhisperConfig,
  shapes: Readonly<Record<string, readonly number[]>>,
  wanted: readonly string[],
): Plan {
  const odd = wanted.find((name) => name !== OUTPUT);
  if (odd !== undefined || wanted.length === 0) {
    const found = odd === undefined ? "No output was asked for" : `There is no output "${odd}"`;
    throw new FoveaError("invalid_input", `${found}; this tower gives ${OUTPUT}.`);
  }
  const dims = { batch: shapes.input_features[0] };
  const mask: Readonly<Record<string, string>> = config.family === "qwen2_audio" ? { key_mask: "key_mask" } : {};
  const blocks = Array.from(
    { length: config.layers },
    (_, i): ComponentCall => ({
      tag: "whisper/audio.block",
      instance: layerInstance(i),
      dims,
      inputs: { hidden_states: `hidden_states.${i}`, ...mask },
      outputs: { hidden_states: `hidden_states.${i + 1}` },
    }),
  );
  return {
    key: `whisper ${config.family} batch=${dims.batch}`,
    calls: [
      {
        tag: "whisper/audio.stem",
        instance: "",
        dims,
        inputs: { input_features: "input_features" },
        outputs: { hidden_states: "hidden_states.0" },
      },
      ...blocks,
      {
        tag: "whisper/audio.final",
        instance: "",
        dims,
        inputs: { hidden_states: `hidden_states.${config.layers}` },
        outputs: { [OUTPUT]: OUTPUT },
      },
    ],
    constants: {},
    results: { [OUTPUT]: OUTPUT },
  };
}

/**
 * input_features f32 [batch, mel bins, 2 positions] -> last_hidden_state [batch, positions, width] after the final
 * normalisation; for Qwen2-Audio, with `feature_attention_mask` [batch, 2 positions], [batch, positions / 2, width].
 */
export function audioTower(config: WhisperConfig): TowerSpec {
  return {
    modality: "audio",
    components: whisperComponents(config),
    inputs: inputNames(config),
    outputs: [OUTPUT],
    prepare: (inputs) => prepareAudio(inputs, config),
    plan: (shapes, wanted) => planAudio(config, shapes, wanted),
    exampleSizes: ["seconds"],
    example: (options) => exampleAudio(options, config),
  };
}
