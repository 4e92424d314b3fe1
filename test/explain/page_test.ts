/** The page of `fovea explain --html`: whole, self-contained, and true to the data. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { drawGraph } from "../../runtime/explain/drawing.ts";
import { groupGraph } from "../../runtime/explain/group_graph.ts";
import { explainPage } from "../../runtime/explain/page.ts";
import type { RangeSlot } from "../../runtime/session/artifacts/ready_component.ts";
import { explanations } from "../../runtime/session/explain/explain.ts";
import { explainInFull, type RangeDetails } from "../../runtime/session/explain/explain_range.ts";
import { explainProgram } from "../../runtime/session/explain/program_stage.ts";
import { tracedModel } from "../../runtime/session/models/prepared_model.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { badNesting, outsideLinks } from "./html_kit.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");
// What is compiled here and now is proven in full; what comes from a cache, as far as a load has time for.
const runtime = await openRuntime({ threads: 0, target: "wasm-simd128", cache: false });
const { modelType, towers } = tracedModel(await runtime.prepare(DIGITS, { compile: false, components: ["text"] }));
const known = new Map<RangeSlot, RangeDetails>();
const tower = towers.get("text") ?? assert.fail();
const tags = ["clip/text.embed", "clip/text.block", "clip/text.final", "clip/text.pool", "clip/text.project"];
for (const tag of tags) {
  for (const slot of tower.components.get(tag)?.slots ?? []) known.set(slot, await explainInFull(slot));
}
const components = explanations(towers, (slot) => known.get(slot));
const block = tower.components.get("clip/text.block")?.slots[0] ?? assert.fail();
const details = known.get(block) ?? assert.fail();

test("the page nests, loads nothing, and shows every component, range, group and blob of code once", async () => {
  const program = await explainProgram(tower, tower.spec.example({ batch: 2, seed: 1 }));
  const page = await explainPage({
    title: "<digits>",
    modelType,
    place: "here",
    version: "0.0.0",
    components,
    programs: [{ name: "text", program }],
    describe: (device, code) => runtime.describeCode(device, code),
  });
  assert.equal(badNesting(page), undefined);
  assert.deepEqual(outsideLinks(page), []);
  assert.match(page, /^<!doctype html>/);
  assert.ok(page.includes("<h1>&lt;digits&gt;</h1>") && !page.includes("<digits>"));
  const count = (pattern: RegExp): number => [...page.matchAll(pattern)].length;
  assert.equal(count(/<section class="component" id="clip-text/g), tags.length);
  assert.equal(count(/role="tab" /g), known.size);
  const groups = [...known.values()].reduce((n, d) => n + d.groups.length, 0);
  assert.equal(count(/<g class="box group/g), groups);
  assert.equal(count(/<template data-group/g), groups);
  const ids = [...page.matchAll(/ id="([^"]+)"/g)].map((m) => m[1]);
  assert.equal(new Set(ids).size, ids.length, "an id stands twice");
  const shown = new Set([...page.matchAll(/data-code="([^"]+)"/g)].map((m) => m[1]));
  assert.ok(shown.size > 0);
  for (const id of shown) assert.ok(ids.includes(id), `${id} is pointed to and is not there`);
  for (const link of page.matchAll(/href="#([^"]+)"/g)) assert.ok(ids.includes(link[1]), link[1]);
  assert.match(page, /class="source">graphs\.[tj]s:\d+/);
  assert.match(page, /v128\.load\[/);
  assert.match(page, /<svg class="arena"/);
});

test("a group that writes two values leads to the readers of both", () => {
  const node = (op: string, inputs: readonly number[]) => ({
    ...{ op, inputs, kind: inputs.length === 0 ? "source" : "elementwise", type: "f32[4]" },
    ...{ attributes: "", weightOnly: false },
  });
  const nodes = [node("input x", []), node("neg", [0]), node("exp", [1]), node("abs", [2]), node("tanh", [1])];
  const group = (kernel: string, own: readonly number[], operands: readonly number[], also: readonly number[]) => ({
    ...{ kernel, nodes: own, output: own[own.length - 1], also, operands },
  });
  const groups = [group("both", [1, 2], [0], [1]), group("a", [3], [2], []), group("b", [4], [1], [])];
  const { arrows } = groupGraph({ nodes, outputs: [], groups } as never);
  assert.deepEqual(
    arrows.map(({ from, to }) => `${from} ${to}`),
    ["input0 group0", "group0 group1", "group0 group2"],
  );
});

test("a page's script is JavaScript", async () => {
  const { SCRIPT } = await import("../../runtime/explain/script.ts");
  assert.doesNotThrow(() => new Function(SCRIPT));
});

test("a block's graph joins inputs, groups and outputs by what flows, through views", () => {
  const { boxes, arrows } = groupGraph(details);
  assert.deepEqual(
    boxes.filter((b) => b.kind !== "group").map((b) => `${b.kind} ${b.title}`),
    ["input hidden_states", "input key_mask", "output hidden_states"],
  );
  assert.equal(boxes.filter((b) => b.kind === "group").length, details.groups.length);
  for (const box of boxes) {
    if (box.kind !== "output")
      assert.ok(
        arrows.some((a) => a.from === box.id),
        `${box.id} leads nowhere`,
      );
    if (box.kind !== "input")
      assert.ok(
        arrows.some((a) => a.to === box.id),
        `${box.id} reads nothing`,
      );
  }
  const attention = boxes.find((b) => b.title === "attention") ?? assert.fail();
  assert.ok(arrows.some((a) => a.to === attention.id && /slice/.test(a.views)));
  const svg = drawGraph(groupGraph(details), () => 0, "a <picture>");
  assert.equal(badNesting(svg), undefined);
  assert.ok(svg.includes('aria-label="a &lt;picture&gt;"'));
  const rects = [...svg.matchAll(/<rect x="([-\d.]+)" y="([-\d.]+)" width="([\d.]+)" height="([\d.]+)"/g)].map((m) =>
    m.slice(1).map(Number),
  );
  assert.equal(rects.length, boxes.length);
  const [left, , width, height] = (/viewBox="(.*?)"/.exec(svg)?.[1] ?? "").split(" ").map(Number);
  for (const [i, [x, y, w, h]] of rects.entries()) {
    assert.ok(x >= left && y >= 0 && x + w <= left + width && y + h <= height, "a box leaves the picture");
    for (const [x2, y2, w2, h2] of rects.slice(i + 1)) {
      assert.ok(x + w <= x2 || x2 + w2 <= x || y + h <= y2 || y2 + h2 <= y, "two boxes overlap");
    }
  }
});

test("figures of a range add up", () => {
  const sum = (of: (g: RangeDetails["groups"][number]) => number): number =>
    details.groups.reduce((n, g) => n + of(g), 0);
  assert.equal(
    details.movedBytes,
    sum((g) => g.bytes),
  );
  assert.equal(details.intensity, details.flops / details.movedBytes);
  assert.ok(Math.abs(details.predictedMs - 1e3 * sum((g) => g.seconds)) < 1e-9);
  assert.equal(
    details.flops,
    sum((g) => g.launchList.reduce((n, s) => n + s.flops, 0)),
  );
  assert.equal(details.at, "batch 64, tokens 12");
  assert.deepEqual(
    details.passes.map((p) => p.name),
    [
      ...["trace", "verify", "canonicalize", "merge products", "canonicalize merged", "store weights"],
      ...["narrow values", "legalize and claims", "cover", "join", "emit", "expectations"],
    ],
  );
  assert.equal(details.proof.proven.length, details.proof.of);
  assert.match(details.stages.traced, /^graph \(batch 1\.\.64, tokens 1\.\.12\)/);
});

test("the program stage places live values apart and in the arena", async () => {
  const { segments } = await explainProgram(tower, tower.spec.example({ batch: 2, seed: 1 }));
  const [{ values, arenaBytes, calls }] = segments;
  assert.ok(calls.length > tags.length - 1);
  for (const [i, a] of values.entries()) {
    assert.ok(a.offset + a.bytes <= arenaBytes && a.first <= a.last, a.name);
    for (const b of values.slice(i + 1)) {
      const together = a.first <= b.last && b.first <= a.last;
      const apart = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
      assert.ok(!together || apart, `${a.name} and ${b.name} share bytes`);
    }
  }
});
