/** The calls of an encoder: the stem, the layers one after another, the end. */
import type { Plan, TowerSpec } from "../../runtime/abi/encoder.ts";
import { checkOutputs, hiddenStates, layerCalls, pickResults, planKey } from "../../runtime/abi/plans.ts";
import type { WhisperConfig } from "./config.ts";
import { layerInstance, PROJECTOR, whisperComponents } from "./graphs.ts";
import { COUNT_NAME, exampleAudio, inputNames, prepareAudio } from "./inputs.ts";

const OUTPUT = "last_hidden_state";
const PROJECTED = "projected";

/** Names of what a tower gives. */
const outputsOf = ({ projector }: WhisperConfig): readonly string[] =>
  projector === undefined ? [OUTPUT] : [PROJECTED, OUTPUT];

/** @throws FoveaError `invalid_input` for outputs that there are not. */
function planAudio(
  config: WhisperConfig,
  shapes: Readonly<Record<string, readonly number[]>>,
  wanted: readonly string[],
): Plan {
  checkOutputs(wanted, outputsOf(config));
  const dims = { batch: shapes.input_features[0] };
  const mask: Readonly<Record<string, string>> = config.family === "qwen2_audio" ? { key_mask: "key_mask" } : {};
  const layers = Array.from({ length: config.layers }, (_, i) => layerInstance(i));
  return {
    key: planKey(`whisper ${config.family}`, dims, wanted),
    calls: [
      {
        tag: "whisper/audio.stem",
        instance: "",
        dims,
        inputs: { input_features: "input_features" },
        outputs: { hidden_states: hiddenStates(0) },
      },
      ...layerCalls("whisper/audio.block", dims, layers, mask),
      {
        tag: "whisper/audio.final",
        instance: "",
        dims,
        inputs: { hidden_states: hiddenStates(config.layers) },
        outputs: { [OUTPUT]: OUTPUT },
      },
      ...(wanted.includes(PROJECTED)
        ? [
            {
              tag: "whisper/audio.project",
              instance: PROJECTOR,
              dims,
              inputs: { [OUTPUT]: OUTPUT },
              outputs: { [PROJECTED]: PROJECTED },
            },
          ]
        : []),
    ],
    constants: {},
    results: pickResults(wanted, { [OUTPUT]: OUTPUT, [PROJECTED]: PROJECTED }),
  };
}

/**
 * input_features f32 [batch, mel bins, 2 positions] -> last_hidden_state [batch, positions, width] after the final
 * normalisation; for Qwen2-Audio, with `feature_attention_mask` [batch, 2 positions], [batch, positions / 2, width]; for
 * Voxtral, whose batch is of chunks, also projected [batch, positions / group, text hidden_size].
 */
export function audioTower(config: WhisperConfig): TowerSpec {
  return {
    modality: "audio",
    components: whisperComponents(config),
    inputs: inputNames(config),
    outputs: outputsOf(config),
    ...(config.family === "voxtral" ? { layout: [COUNT_NAME] } : {}),
    prepare: (inputs, later) => prepareAudio(inputs, config, later),
    plan: (shapes, wanted) => planAudio(config, shapes, wanted),
    exampleSizes: ["seconds"],
    example: (options) => exampleAudio(options, config),
  };
}
