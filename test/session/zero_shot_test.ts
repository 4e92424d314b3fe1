/** Labels on their way into a template. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { classifyImages, type EncodeInputs } from "../../mod.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { DIGITS } from "../server/served.ts";

test("labels stand in the template as they are, whatever signs they have", async () => {
  const runtime = await openRuntime({ threads: 0 });
  const encoder = await runtime.load(DIGITS);
  const given: string[] = [];
  const encode = encoder.encode.bind(encoder);
  encoder.encode = (inputs: EncodeInputs, options) => {
    given.push(...(inputs.texts ?? []));
    return encode(inputs, options);
  };
  const picture = { width: 8, height: 8, channels: 3 as const, data: new Uint8Array(192) };
  const labels = ["US$$", "$& sign", "a$'b", "{}"];
  const [found] = await classifyImages(encoder, [picture], labels, { template: "a {}, nice" });
  assert.deepEqual(given, ["a US$$, nice", "a $& sign, nice", "a a$'b, nice", "a {}, nice"]);
  assert.equal(found.probabilities.length, labels.length);
  await runtime.close();
});
