/** The calls of an encoder: features, positions, the layers one after another, the end. */
import type { ComponentCall, Plan, TowerSpec } from "../../runtime/abi/encoder.ts";
import { checkOutputs, hiddenStates, layerCalls, planKey } from "../../runtime/abi/plans.ts";
import type { Bindings } from "../../runtime/core/dim.ts";
import type { Wav2Vec2Config } from "./config.ts";
import { layerInstance, MOST_PIECES, piecesOf, wav2vec2Components } from "./graphs.ts";
import { exampleWave, prepareWave, splitWave } from "./inputs.ts";

const OUTPUT = "last_hidden_state";

/** Name of the features of all pieces up to those of a call. */
const joinedBy = (call: number): string => `joined.${call}`;

/** Features of `pieces` pieces, a few in each call, joined behind each other. */
function featureCalls(pieces: number, { featureNorm }: Wav2Vec2Config): readonly ComponentCall[] {
  return Array.from({ length: Math.ceil(pieces / MOST_PIECES) }, (_, call): readonly ComponentCall[] => {
    const before = call * MOST_PIECES;
    const own = Math.min(MOST_PIECES, pieces - before);
    const moments: Readonly<Record<string, string>> = featureNorm === "group" ? { moments: `moments.${call}` } : {};
    const features = {
      tag: "wav2vec2/audio.features",
      instance: "feature_extractor.",
      dims: { pieces: own },
      inputs: { input_values: `input_values.${call}`, ...moments },
      outputs: { features: call === 0 ? joinedBy(0) : `features.${call}` },
    };
    if (call === 0) return [features];
    const join = {
      tag: "wav2vec2/audio.join",
      instance: "",
      dims: { before, pieces: own },
      inputs: { joined: joinedBy(call - 1), features: `features.${call}` },
      outputs: { joined: joinedBy(call) },
    };
    return [features, join];
  }).flat();
}

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
  const pieces = batch * piecesOf(frames);
  const instances = Array.from({ length: config.layers }, (_, i) => layerInstance(i));
  return {
    key: planKey("wav2vec2", dims, wanted),
    calls: [
      ...featureCalls(pieces, config),
      {
        tag: "wav2vec2/audio.embed",
        instance: "",
        dims,
        inputs: { joined: joinedBy(Math.ceil(pieces / MOST_PIECES) - 1) },
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

/** Sizes of all components in a run of one recording. */
function runDims(frames: number): Bindings {
  const pieces = piecesOf(frames);
  const own = Math.min(MOST_PIECES, pieces);
  return { batch: 1, frames, pieces: own, before: Math.max(1, pieces - own) };
}

/** input_values f32 [batch, samples] -> last_hidden_state [batch, frames, hidden_size]; recordings do not see each other. */
export function audioTower(config: Wav2Vec2Config): TowerSpec {
  return {
    modality: "audio",
    components: wav2vec2Components(config),
    inputs: ["input_values"],
    outputs: [OUTPUT],
    split: (inputs, limit) => splitWave(inputs, limit, config),
    growth: { symbol: "frames", dims: runDims },
    prepare: (inputs, later) => prepareWave(inputs, config, later),
    plan: (shapes, wanted) => planWave(config, shapes, wanted),
    exampleSizes: ["seconds"],
    example: (options) => exampleWave(options, config),
  };
}
