import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type FeatureProjector,
  featureLayers,
  projectorCall,
  readFeatureProjector,
} from "../../runtime/abi/feature_projector.ts";
import { hasCode } from "../kit/assertions.ts";

const read = (config: Readonly<Record<string, unknown>>): FeatureProjector =>
  readFeatureProjector(config, 24, ["gelu", "relu"]);
const DEFAULTS = { features: [23], dropsFirst: true, activation: "gelu", bias: true, width: 4096 };

test("a projector's absent fields take LLaVA's defaults", () => {
  assert.deepEqual(read({}), DEFAULTS);
  assert.deepEqual(read({ vision_feature_layer: null, text_config: {} }), DEFAULTS);
  assert.deepEqual(
    read({
      vision_feature_select_strategy: "full",
      projector_hidden_act: "relu",
      multimodal_projector_bias: false,
      text_config: { hidden_size: 5120 },
    }),
    { features: [23], dropsFirst: false, activation: "relu", bias: false, width: 5120 },
  );
});

test("layers are counted from the embedding, or from behind the last one where they are negative", () => {
  const features = (vision_feature_layer: unknown): readonly number[] => read({ vision_feature_layer }).features;
  assert.deepEqual(features(0), [0]);
  assert.deepEqual(features(24), [24]);
  assert.deepEqual(features(-1), [24]);
  assert.deepEqual(features(-25), [0]);
  assert.deepEqual(features([-2, -5, 11, 6, 6]), [23, 20, 11, 6, 6]);
});

test("only the layers that a projector reads must run, and its call reads their states in its order", () => {
  const projector = read({ vision_feature_layer: [3, -5] });
  assert.equal(featureLayers(projector), 20);
  assert.deepEqual(projectorCall("x/vision.project", "p.", { batch: 2 }, projector), {
    tag: "x/vision.project",
    instance: "p.",
    dims: { batch: 2 },
    inputs: { "features.0": "hidden_states.3", "features.1": "hidden_states.20" },
    outputs: { projected: "projected" },
  });
});

test("a projector's wrong fields are named", () => {
  const refuses = (config: Readonly<Record<string, unknown>>, says: RegExp): void =>
    assert.throws(() => read(config), hasCode("invalid_config", says));
  refuses({ vision_feature_layer: 25 }, /`vision_feature_layer` holds 25; expected a whole number from -25 to 24/);
  refuses({ vision_feature_layer: "last" }, /`vision_feature_layer` holds "last"; expected a whole number/);
  refuses({ vision_feature_layer: [-2, -26] }, /holds \[-2,-26\]; expected a list of whole numbers from -25 to 24/);
  refuses({ vision_feature_layer: [] }, /`vision_feature_layer` holds \[\]; expected at least one layer/);
  refuses({ vision_feature_select_strategy: "cls" }, /strategy` holds "cls"; expected one of default, full/);
  refuses({ projector_hidden_act: "swish" }, /`projector_hidden_act` holds "swish"; expected one of gelu, relu/);
  refuses({ multimodal_projector_bias: 1 }, /`multimodal_projector_bias` holds 1; expected true or false/);
  refuses({ text_config: { hidden_size: 0 } }, /`text_config.hidden_size` holds 0/);
  refuses({ text_config: 7 }, /`text_config` must be an object/);
});
