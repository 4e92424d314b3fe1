/** The calls of an encoder: features, positions, the layers one after another, the end. */
import type { Plan, TowerSpec } from "../../runtime/abi/encoder.ts";
import { checkOutputs, hiddenStates, layerCalls, planKey } from "../../runtime/abi/plans.ts";
import type { Wav2Vec2Config } from "./config.ts";
import { layerInstance, piecesOf, wav2vec2Components } from "./graphs.ts";
import { exampleWave, prepareWave, splitWave } from "./inputs.ts";

const OUTPUT = "last_hidden_state";

/** @throws FoveaError `invalid_input` for outputs that there are not. */
function planWave(
  config: Wav2Vec2Config,
  shapes: Readonly<Record<string, readonly number[]>>,
  wanted: readonly string[],
): Plan {
  checkOutputs(wanted, [OUTPUT]);
  const [batch] = shapes.recordings;
  const frames = shapes.frames[0] / batch;
  const dims = { batch, frames };
  const last = hiddenStates(config.layers);
  const moments: Readonly<Record<string, string>> = config.featureNorm === "group" ? { moments: "moments" } : {};
  const instances = Array.from({ length: config.layers }, (_, i) => layerInstance(i));
  return {
    key: planKey("wav2vec2", dims, wanted),
    calls: [
      {
        tag: "wav2vec2/audio.features",
        instance: "feature_extractor.",
        dims: { pieces: batch * piecesOf(frames) },
        inputs: { input_values: "input_values", ...moments },
        outputs: { features: "features" },
      },
      {
        tag: "wav2vec2/audio.embed",
        instance: "",
        dims,
        inputs: { features: "features" },
        outputs: { hidden_states: hiddenStates(0) },
      },
      ...layerCalls("wav2vec2/audio.block", dims, instances),
      ...(config.preNorm
        ? [
            {
              tag: "wav2vec2/audio.final",
              instance: "encoder.",
              dims,
              inputs: { hidden_states: last },
              outputs: { [OUTPUT]: OUTPUT },
            },
          ]
        : []),
    ],
    constants: {},
    results: { [OUTPUT]: config.preNorm ? OUTPUT : last },
  };
}

/** input_values f32 [batch, samples] -> last_hidden_state [batch, frames, hidden_size]; recordings do not see each other. */
export function audioTower(config: Wav2Vec2Config): TowerSpec {
  return {
    modality: "audio",
    components: wav2vec2Components(config),
    inputs: ["input_values"],
    outputs: [OUTPUT],
    split: (inputs, limit) => splitWave(inputs, limit, config),
    growth: { symbol: "frames", dims: (frames) => ({ batch: 1, frames, pieces: piecesOf(frames) }) },
    prepare: (inputs, later) => prepareWave(inputs, config, later),
    plan: (shapes, wanted) => planWave(config, shapes, wanted),
    exampleSizes: ["seconds"],
    example: (options) => exampleWave(options, config),
  };
}
