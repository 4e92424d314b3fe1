import assert from "node:assert/strict";
import { test } from "node:test";
import { encoderFor, servedType } from "../../runtime/core/served_type.ts";

const llava = (vision_config: unknown): Readonly<Record<string, unknown>> => ({ model_type: "llava", vision_config });

test("a model goes by its type and its tower's where an encoder lists both, else by its type", () => {
  const known = ["clip", "llava", "llava/pixtral"];
  assert.equal(servedType(llava({ model_type: "pixtral" }), known), "llava/pixtral");
  for (const tower of [{ model_type: "clip_vision_model" }, { model_type: 3 }, {}, null, undefined, "pixtral"])
    assert.equal(servedType(llava(tower), known), "llava");
  assert.equal(servedType({ model_type: "clip", vision_config: { model_type: "pixtral" } }, known), "clip");
});

test("the encoder that lists a tower comes before the one that takes all others, in any order", () => {
  const wide = { name: "wide", modelTypes: ["clip", "llava"] };
  const narrow = { name: "narrow", modelTypes: ["pixtral", "llava/pixtral"] };
  for (const encoders of [
    [wide, narrow],
    [narrow, wide],
  ]) {
    assert.equal(encoderFor(llava({ model_type: "pixtral" }), encoders), narrow);
    assert.equal(encoderFor(llava({}), encoders), wide);
    assert.equal(encoderFor({ model_type: "bert" }, encoders), undefined);
  }
  assert.equal(encoderFor(llava({ model_type: "dinov2" }), [narrow]), undefined);
});
