/** Servers on sealed runtimes: what settings let wait for its first use is prepared before, and what is not is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CompileConfig, createRuntime, type Runtime } from "../../mod.ts";
import { createApp, type LogLine } from "../../runtime/server/mod.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { writePng } from "../media/png_writer.ts";
import { DIGITS, dataUri } from "./served.ts";

const LAZY: readonly CompileConfig[] = [
  { base: { lazy: true } },
  { components: { "*": { lazy: true } } },
  // The tower without its head is made of other components than the whole.
  { base: { granularity: "tower" } },
];

async function withRuntime(compile: CompileConfig, work: (runtime: Runtime) => Promise<void>): Promise<void> {
  const runtime = await openRuntime({ threads: 0, compile });
  try {
    await work(runtime);
  } finally {
    await runtime.close();
  }
}

const asked = (body: object): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

/** Large enough to be cut on the device. */
const photo = (): string =>
  dataUri(writePng({ width: 640, height: 480, colorType: 2, depth: 8 }, (x, y) => (x + y) % 256));

for (const compile of LAZY) {
  test(`a sealed server answers with settings that let components wait: ${JSON.stringify(compile)}`, () =>
    withRuntime(compile, async (runtime) => {
      const app = createApp({ runtime, models: { digits: { source: DIGITS, load: { lazy: true } } } });
      await app.ready;
      const { compiled, cacheHits } = runtime.stats().counters;
      for (const images of [[photo()], [photo(), photo()]]) {
        for (const outputs of [["image_embeds"], ["last_hidden_state"]]) {
          const answer = await app.request("/v1/encode", asked({ images, outputs }));
          assert.equal(answer.status, 200, await answer.clone().text());
        }
      }
      const texts = await app.request("/v1/embeddings", asked({ input: ["two", "a seven"] }));
      assert.equal(texts.status, 200, await texts.clone().text());
      const after = runtime.stats().counters;
      assert.deepEqual([after.compiled, after.cacheHits], [compiled, cacheHits]);
      await app.reload();
      assert.equal((await app.request("/v1/embeddings", asked({ input: "two" }))).status, 200);
      app.close();
    }));
}

test("a server that does not seal its runtime leaves components waiting, as settings say", () =>
  withRuntime({ base: { lazy: true } }, async (runtime) => {
    const app = createApp({ runtime, models: { digits: { source: DIGITS } }, seal: false });
    await app.ready;
    const { compiled, cacheHits } = runtime.stats().counters;
    assert.equal(compiled + cacheHits, 0);
    assert.equal((await app.request("/v1/embeddings", asked({ input: "two" }))).status, 200);
    app.close();
  }));

test("inputs whose components a sealed runtime lacks are refused, and the log says which", () =>
  withRuntime({ base: { lazy: true } }, async (runtime) => {
    const lines: LogLine[] = [];
    const encoder = await runtime.load(DIGITS);
    const app = createApp({ runtime, models: { digits: { encoder } }, log: (line) => lines.push(line) });
    await app.ready;
    const answer = await app.request("/v1/embeddings", asked({ input: "two" }));
    const { error } = (await answer.json()) as { error: { code: string; message: string } };
    assert.deepEqual([answer.status, error.code], [400, "sealed"]);
    assert.match(error.message, /^Inputs of this form and size are not served here: .* Send another form or size/);
    assert.match(lines.find(({ code }) => code === "sealed")?.message ?? "", /"clip\/text\.embed" has no artifact/);
    app.close();
  }));

test("`lazy: never` prepares what settings by tag let wait, but not what an encoder itself does", async () => {
  const runtime = await createRuntime({ threads: 0, compile: { components: { "*": { lazy: true } } } });
  const encoder = await runtime.load(DIGITS, { components: ["vision"], lazy: "never" });
  const parts = encoder.explain().split(/^(?= {2}clip\/)/m);
  const waiting = parts
    .filter((text) => text.includes("lazy, not compiled yet"))
    .map((text) => text.trim().split(" ")[0]);
  assert.deepEqual(waiting, ["clip/vision.embed"]);
  await runtime.close();
});
