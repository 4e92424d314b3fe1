/** The test of process replay for one target. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ReplayTarget, readCorpus, replay, replayProblem } from "./replay_corpus.ts";

export function testReplay(target: ReplayTarget): void {
  test(`replay: every recorded component compiles to the recorded bytes for ${target}`, () => {
    const corpus = readCorpus();
    assert.ok(corpus !== undefined && corpus.entries.length > 0);
    const problems = corpus.entries.flatMap((entry) => {
      const recorded = corpus.artifacts[entry.artifacts[target]];
      return replayProblem(entry, target, recorded, replay(entry.graph, target)) ?? [];
    });
    assert.equal(problems.length, 0, problems.slice(0, 3).join("\n"));
  });
}
