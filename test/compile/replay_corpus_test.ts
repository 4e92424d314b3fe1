/** What the corpus holds, and what becomes of a change that nobody declared. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Corpus,
  changedTags,
  corpusComponents,
  declareCorpus,
  type Replayed,
  readCorpus,
  replay,
  replayExpectations,
  replayProblem,
} from "./replay_corpus.ts";

const CORPUS = readCorpus() as Corpus;

test("the corpus has every component of the first-party encoders, and says why it last changed", () => {
  const tags = new Set(corpusComponents().map(({ spec }) => spec.tag));
  assert.deepEqual([...new Set(CORPUS.entries.map((e) => e.tag))].sort(), [...tags].sort());
  const { because, tags: declared } = CORPUS.declared;
  assert.ok(because.length > 10 && declared.length > 0);
  for (const folder of ["configs/clip-vit-base-patch32", "configs/qwen2.5-vl-7b", "configs/whisper-large-v3"])
    assert.ok(CORPUS.entries.some((e) => e.from === folder));
});

test("expectations of recorded components are those that were recorded", () => {
  const own = CORPUS.entries.filter((e) => e.expectations !== undefined);
  assert.deepEqual(own.map((e) => e.tag).sort(), [
    "clip/text.embed",
    "clip/vision.project",
    "siglip/vision.pool",
    "vit/vision.embed",
    "whisper/audio.final",
  ]);
  for (const { tag, graph, expectations } of own) assert.equal(replayExpectations(graph), expectations, tag);
});

test("a change that nobody declared names the component, the target and the first difference", () => {
  const [entry] = CORPUS.entries.filter((e) => e.tag === "vit/vision.final");
  const found = replay(entry.graph, "wasm-simd128");
  assert.equal(replayProblem(entry, "wasm-simd128", found, found), undefined);
  const code = "0".repeat(64);
  const changed: Replayed = { ...found, steps: found.steps.map((s, i) => (i === 0 ? { ...s, code } : s)) };
  const sentence = replayProblem(entry, "wasm-simd128", changed, found) ?? "";
  assert.match(
    sentence,
    /^Component "vit\/vision\.final" \(vit, .*\) compiles to another artifact for wasm-simd128 than/,
  );
  assert.match(sentence, new RegExp(`: steps\\[0\\]\\.code was "${code}" and is "[0-9a-f]{64}"\\. If that is wanted`));
  assert.match(sentence, /npm run goldens -- --because "what changed and why"/);
});

test("a corpus with changes is recorded with a reason only, and lists whose they are", () => {
  const { artifacts } = CORPUS;
  const entries = CORPUS.entries.slice(0, 6);
  const before = { ...CORPUS, entries };
  const [first] = entries;
  const other = { entries: [{ ...first, range: "another" }, ...entries.slice(1)], artifacts };
  assert.deepEqual(changedTags(before, other), [first.tag]);
  assert.equal(declareCorpus(before, { entries, artifacts }, undefined), before);
  for (const because of [undefined, "", "  faster  "]) {
    assert.throws(
      () => declareCorpus(before, other, because),
      new RegExp(
        `The artifacts of 1 components change \\(${first.tag}\\), and nothing says why\\. Declare it: npm run`,
      ),
    );
  }
  const declared = declareCorpus(before, other, "Ranges have other names");
  assert.deepEqual(declared.declared, { because: "Ranges have other names", tags: [first.tag] });
  const slower = artifacts.map((a, i) => (i === first.artifacts["wasm-relaxed"] ? { ...a, peakBytes: 0 } : a));
  assert.deepEqual(changedTags(before, { entries, artifacts: slower }), [first.tag]);
  assert.deepEqual(changedTags(before, { entries: entries.filter((e) => e.tag !== first.tag), artifacts }), [
    first.tag,
  ]);
});
