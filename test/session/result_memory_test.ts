/** Results in memory that the caller brings: the same numbers, whatever the call is cut into, and nothing that does not fit. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { EncodeInputs, Encoder, Tensor } from "../../mod.ts";
import { hasCode } from "../kit/assertions.ts";
import { loadedTower } from "../kit/loaded_tower.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const words = (rows: number): EncodeInputs => ({
  input_ids: { dtype: "i32", shape: [rows, 3], data: Int32Array.from({ length: rows * 3 }, (_, i) => (i * 7) % 50) },
});

async function withEncoder(folder: string, work: (encoder: Encoder) => Promise<void>): Promise<void> {
  const runtime = await openRuntime({ threads: 2 });
  try {
    await work(await runtime.load(repositoryPath(`test/fixtures/${folder}`)));
  } finally {
    await runtime.close();
  }
}

const poisoned = (count: number): Float32Array<ArrayBuffer> => new Float32Array(count).fill(Number.NaN);

/** Encodes with memory for all results that `names` names, and without. */
async function compare(encoder: Encoder, inputs: EncodeInputs, names: readonly string[]): Promise<void> {
  const expected = await encoder.encode(inputs, { outputs: names });
  const into = Object.fromEntries(
    names.map((name) => [name, poisoned((expected[name as never] as Tensor).data.length)]),
  );
  for (let call = 0; call < 3; call++) {
    const found = await encoder.encode(inputs, { outputs: names, into });
    assert.deepEqual(found, expected);
    for (const name of names) assert.equal((found[name as never] as Tensor).data, into[name]);
  }
}

test("results are put into the memory that is given, call by call", () =>
  withEncoder("clip", (encoder) => compare(encoder, words(2), ["text_embeds", "last_hidden_state"])));

test("so are those of calls that are cut into batches", () =>
  withEncoder("clip", async (encoder) => {
    const { batch } = [...loadedTower(encoder, "text").components.values()][0].spec.symbols;
    await compare(encoder, words(batch.max + 3), ["text_embeds"]);
  }));

test("memory may be given for some results alone", () =>
  withEncoder("clip", async (encoder) => {
    const outputs = ["text_embeds", "last_hidden_state"];
    const expected = await encoder.encode(words(2), { outputs });
    const text_embeds = poisoned(expected.text_embeds?.data.length ?? 0);
    const found = await encoder.encode(words(2), { outputs, into: { text_embeds } });
    assert.deepEqual(found, expected);
    assert.equal(found.text_embeds?.data, text_embeds);
  }));

test("memory that does not fit is refused before anything is computed", () =>
  withEncoder("clip", async (encoder) => {
    const refused = (inputs: EncodeInputs, into: object, code: string, message: RegExp): Promise<void> =>
      assert.rejects(encoder.encode(inputs, { into: into as never }), hasCode(code, message));
    const { runs } = encoder.stats().device;
    await refused(
      words(2),
      { text_embeds: new Float32Array(5) },
      "invalid_input",
      /has 5 numbers of a Float32Array for "text_embeds"; this call's result is a Float32Array of \d+ numbers, \[2, \d+\]/,
    );
    await refused(words(2), { text_embeds: new Int32Array(128) }, "invalid_input", /of a Int32Array for "text_embeds"/);
    await refused(
      words(2),
      { text_embed: new Float32Array(5) },
      "invalid_input",
      /`into` has memory for "text_embed"; .* Did you mean "text_embeds"\?/,
    );
    await refused(
      words(2),
      { text_embeds: [1, 2] },
      "invalid_options",
      /`into` of encode is an object; expected typed/,
    );
    const both = new Float32Array(100);
    await refused(
      words(2),
      { text_embeds: both.subarray(0, 60), pooler_output: both.subarray(59) },
      "invalid_input",
      /`into` has memory for "pooler_output" that overlaps that for "text_embeds"; give each result memory of its own/,
    );
    await refused(words(2), [new Float32Array(1)], "invalid_options", /`into` of encode is a list/);
    assert.equal(encoder.stats().device.runs, runs);
  }));
