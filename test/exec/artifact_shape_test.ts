/** Plans of strangers: what names nothing that exists is refused at its place, whatever its digests say. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { ARTIFACT_FORMAT } from "../../runtime/abi/artifact.ts";
import { compileGraph } from "../../runtime/compile/compile.ts";
import { digestBytes } from "../../runtime/core/digest.ts";
import { checkArtifact } from "../../runtime/exec/artifact_shape.ts";
import { encodeArtifact } from "../../runtime/exec/codec.ts";
import { openPack } from "../../runtime/exec/pack.ts";
import { createGraphBuilder } from "../../runtime/ir/builder.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { hasCode } from "../kit/assertions.ts";
import { growRandomGraph, RANDOM_SYMBOLS } from "../kit/random_graph.ts";

const TARGET = "wasm-simd128";

/** An artifact as it is read: plain data of its own. */
// biome-ignore lint/suspicious/noExplicitAny: what is changed below has no type any more.
function artifactOf(seed: number): any {
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: RANDOM_SYMBOLS, interner });
  growRandomGraph(b, seed);
  const { artifact } = compileGraph(b.finish(), {
    interner,
    kernels: wasmPlugin.kernels ?? [],
    target: TARGET,
    capabilities: wasmPlugin.devices?.[0].targetCapabilities(TARGET) ?? {},
    enabled: true,
  });
  return JSON.parse(new TextDecoder().decode(encodeArtifact(artifact)));
}

test("what the compiler writes makes sense", () => {
  for (let seed = 0; seed < 12; seed++) checkArtifact(artifactOf(seed));
});

test("what makes no sense is told by its place", () => {
  const good = artifactOf(3);
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  const says = (change: (artifact: any) => void, words: RegExp): void => {
    const artifact = structuredClone(good);
    change(artifact);
    assert.throws(() => checkArtifact(artifact), hasCode("invalid_artifact", words));
  };
  assert.throws(
    () => checkArtifact(null),
    hasCode("invalid_artifact", /makes no sense: .* is null; expected an object/),
  );
  says((a) => (a.format = 9), new RegExp(`format is 9; expected ${ARTIFACT_FORMAT}`));
  says((a) => delete a.target, /target is nothing; expected a text/);
  says((a) => (a.steps = {}), /steps is \{\}; expected a list/);
  says((a) => (a.steps[0] = 7), /steps\[0\] is 7; expected an object/);
  says((a) => (a.steps[0].code = "x"), /steps\[0\]\.code is "x"; expected the digest of a module/);
  says((a) => (a.steps[0].args[0] = []), /steps\[0\]\.args\[0\] is \[\]; expected a pointer or a size/);
  says((a) => (a.steps[0].args[0] = {}), /args\[0\]\.size is nothing; expected a size/);
  says(
    (a) => (a.steps[0].reads[0].space = "disk"),
    /reads\[0\]\.space is "disk"; expected input, output, weight, scratch/,
  );
  says((a) => (a.steps[0].writes[0].index = 99), /writes\[0\]\.index is 99; expected one of \d+ \w+ buffers/);
  says((a) => (a.steps[0].writes[0].offset = 0.5), /offset is 0\.5; expected a whole number from/);
  says((a) => (a.steps[0].grid = [[1, "tides"]]), /grid\[0\]\[1\] is "tides"; expected a symbol of the range/);
  says((a) => (a.steps[0].grid = [[1, ["pow", 1, 1]]]), /grid\[0\]\[1\]\[0\] is "pow"; expected floor_div, mod/);
  says((a) => (a.steps[0].grid = [[1, [1]]]), /is \[1\]; expected a symbol or an operation with two operands/);
  says((a) => (a.steps[0].grid = [[]]), /grid\[0\] is \[\]; expected a coefficient with symbols/);
  says((a) => (a.expectations[0].steps = [2, 1]), /steps is \[2,1\]; expected two ascending whole numbers up to/);
  says((a) => (a.expectations[0].tolerance = "0"), /tolerance is "0"; expected a number/);
  says((a) => (a.expectations[0].values = "?"), /values is "\?"; expected numbers in base64/);
  says((a) => a.expectations[0].rows.push(0), /values is ".*; expected \d+ characters for \d+ rows/);
  says((a) => (a.expectations[0].dims = []), /dims is \[\]; expected an object/);
  says((a) => (a.expectations[0].fills[0].elements = -1), /elements is -1; expected a whole number from 0/);
  says((a) => (a.expectations[0].fills[0].fill.kind = "lava"), /kind is "lava"; expected uniform, halves, index/);
  const prologue = good.weights.findIndex((w: { prologue?: unknown }) => w.prologue !== undefined);
  says((a) => (a.weights[prologue].prologue.steps[0].args = 1), /prologue\.steps\[0\]\.args is 1; expected a list/);
});

test("a pack that vouches for a plan without sense is damaged", async () => {
  const plan = new TextEncoder().encode(JSON.stringify({ format: ARTIFACT_FORMAT, steps: [] }));
  const artifact = digestBytes(plan);
  const found = { structure: "s", device: "wasm", target: TARGET, dtype: "f32", request: "r" };
  const entry = { artifact, tag: "x", reads: {}, box: {}, ...found };
  const manifest = { format: 1, entries: [entry], blobs: { [artifact]: plan.length } };
  const pack = await openPack({
    description: "over there",
    read: async (name) => (name === "manifest.json" ? new TextEncoder().encode(JSON.stringify(manifest)) : plan),
  });
  await assert.rejects(
    pack.load(pack.manifest.entries[0]),
    hasCode(
      "damaged_pack",
      /over there cannot be used: its blob [\da-f]{64} is no plan\. The artifact makes no sense: target/,
    ),
  );
  const without = { ...manifest, entries: [entry, { ...entry, reads: null }] };
  const read = async (): Promise<Uint8Array> => new TextEncoder().encode(JSON.stringify(without));
  await assert.rejects(
    openPack({ description: "over there", read }),
    hasCode("damaged_pack", /entry 1 of its manifest\.json lacks what an artifact is found by/),
  );
});
