/**
 * The recorded corpus of process replay: traced graphs of every component of the first-party encoders, as plain data, with
 * the artifacts that they became. Compiling them again must give the same bytes unless a change declares otherwise.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import type { Artifact } from "../../runtime/abi/artifact.ts";
import type { ComponentSpec } from "../../runtime/abi/encoder.ts";
import { type CompileOptions, lowerGraph } from "../../runtime/compile/compile.ts";
import { expectationsOf } from "../../runtime/compile/expect.ts";
import type { Pass } from "../../runtime/compile/passes.ts";
import { canonicalJson } from "../../runtime/core/canonical_json.ts";
import { digestJson } from "../../runtime/core/digest.ts";
import { boxText, splitRanges } from "../../runtime/core/range.ts";
import { firstDifference } from "../../runtime/exec/first_difference.ts";
import { createGraphBuilder } from "../../runtime/ir/builder.ts";
import { type Graph, graphToData } from "../../runtime/ir/graph.ts";
import { graphFromData } from "../../runtime/ir/graph_data.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { openModelOfConfig } from "../geometry/kit.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { readJson } from "../kit/tower_fixtures.ts";

/** File below test/goldens. */
export const REPLAY_FILE = "replay.json.gz";

export const REPLAY_TARGETS = ["wasm-simd128", "wasm-relaxed"] as const;
export type ReplayTarget = (typeof REPLAY_TARGETS)[number];

/** All of an artifact but its expectations; its steps name code blobs by digest. */
export type Replayed = Omit<Artifact, "expectations">;

export interface CorpusEntry {
  readonly tag: string;
  /** Folder of the configuration. */
  readonly from: string;
  readonly range: string;
  /** `graphToData` of the traced graph. */
  readonly graph: unknown;
  /** Positions in the corpus's artifacts. */
  readonly artifacts: Readonly<Record<ReplayTarget, number>>;
  /** Digest of the expectations for the portable target; sampling takes long, so that few entries have one. */
  readonly expectations?: string;
}

export interface Corpus {
  /** Why artifacts last changed, and whose. */
  readonly declared: { readonly because: string; readonly tags: readonly string[] };
  readonly entries: readonly CorpusEntry[];
  readonly artifacts: readonly Replayed[];
}

export type Recorded = Pick<Corpus, "entries" | "artifacts">;

/** Characters; a word is no reason. */
const SHORTEST_REASON = 15;

export function readCorpus(path: string = repositoryPath(`test/goldens/${REPLAY_FILE}`)): Corpus | undefined {
  return existsSync(path) ? (JSON.parse(gunzipSync(readFileSync(path)).toString("utf8")) as Corpus) : undefined;
}

function optionsFor(target: ReplayTarget, interner = createInterner(OP_TABLE)): CompileOptions {
  const capabilities = wasmPlugin.devices?.[0].targetCapabilities(target) ?? {};
  return { interner, kernels: wasmPlugin.kernels ?? [], target, capabilities, enabled: true };
}

/** Compiles a recorded graph, all but its expectations. */
export function replay(data: unknown, target: ReplayTarget, pipeline?: readonly Pass[]): Replayed {
  const options = optionsFor(target);
  return lowerGraph(graphFromData(data, options.interner.make), options, pipeline).artifact;
}

/** Digest of the expectations of a recorded graph. */
export function replayExpectations(data: unknown): string {
  const options = optionsFor("wasm-simd128");
  const { groups } = lowerGraph(graphFromData(data, options.interner.make), options);
  return digestJson(expectationsOf(groups, OP_TABLE));
}

/** The sentence for an artifact that is no longer what was recorded; nothing where it is. */
export function replayProblem(
  { tag, range, from }: Pick<CorpusEntry, "tag" | "range" | "from">,
  target: string,
  recorded: Replayed,
  found: Replayed,
): string | undefined {
  if (canonicalJson(recorded) === canonicalJson(found)) return undefined;
  const at = firstDifference(recorded, found);
  return (
    `Component "${tag}" (${from}, ${range}) compiles to another artifact for ${target} than was recorded: ` +
    `${at?.path} was ${at?.before ?? "absent"} and is ${at?.after ?? "absent"}. ` +
    'If that is wanted, declare it: npm run goldens -- --because "what changed and why".'
  );
}

/** Folders of real configurations, then those of small models with components that no real one has. */
function configFolders(): readonly string[] {
  const below = (folder: string): readonly string[] =>
    readdirSync(repositoryPath(folder))
      .sort()
      .map((name) => `${folder}/${name}`)
      .filter((path) => existsSync(repositoryPath(join(path, "config.json"))));
  return [...below("test/fixtures/configs"), ...below("test/fixtures")];
}

function componentsOf(folder: string): readonly ComponentSpec[] {
  const config = readJson(repositoryPath(join(folder, "config.json")));
  return openModelOfConfig(config).towers.flatMap((t) => t.components);
}

export interface CorpusComponent {
  readonly spec: ComponentSpec;
  readonly from: string;
  /** The first component with its tag. */
  readonly isFirst: boolean;
}

/** Every component of the real configurations, and one for each further tag. */
export function corpusComponents(): readonly CorpusComponent[] {
  const tags = new Set<string>();
  return configFolders().flatMap((folder) => {
    const real = folder.startsWith("test/fixtures/configs/");
    const own = componentsOf(folder).filter(({ tag }) => real || !tags.has(tag));
    return own.map((spec): CorpusComponent => {
      const isFirst = !tags.has(spec.tag);
      tags.add(spec.tag);
      return { spec, from: folder.slice("test/fixtures/".length), isFirst };
    });
  });
}

/** The last range of a component, and the first one where its tag is new: traced. */
function traceEnds({ spec, isFirst }: CorpusComponent): readonly Graph[] {
  const { tag, symbols, ranges = {}, maxArtifacts, relations = [] } = spec;
  const most = maxArtifacts === undefined ? {} : { maxArtifacts };
  const boxes = splitRanges(symbols, ranges, { tag, relations, ...most });
  const ends = isFirst && boxes.length > 1 ? [boxes[0], boxes[boxes.length - 1]] : boxes.slice(-1);
  return ends.map((box) => {
    const b = createGraphBuilder({ symbols: box, relations });
    spec.build(b);
    return b.finish();
  });
}

/** Small ones of each kind: a table, an attention pool, a convolution, a projection. */
const EXPECTED_TAGS: ReadonlySet<string> = new Set([
  "clip/text.embed",
  "clip/vision.project",
  "siglip/vision.pool",
  "vit/vision.embed",
  "whisper/audio.final",
]);

/** Traces and compiles all components. */
export function recordCorpus(): Recorded {
  const entries: CorpusEntry[] = [];
  const artifacts: Replayed[] = [];
  const graphs = new Set<string>();
  const expected = new Set<string>();
  for (const component of corpusComponents()) {
    const { tag } = component.spec;
    for (const traced of traceEnds(component)) {
      const graph = graphToData(traced);
      const text = `${tag} ${canonicalJson(graph)}`;
      if (graphs.has(text)) continue;
      graphs.add(text);
      const samples = EXPECTED_TAGS.has(tag) && !expected.has(tag);
      expected.add(tag);
      const [portable, relaxed] = REPLAY_TARGETS.map((target) => artifacts.push(replay(graph, target)) - 1);
      entries.push({
        tag,
        from: component.from,
        range: boxText(traced.symbols) || "no symbols",
        graph,
        artifacts: { "wasm-simd128": portable, "wasm-relaxed": relaxed },
        ...(samples ? { expectations: replayExpectations(graph) } : {}),
      });
    }
  }
  return { entries, artifacts };
}

/**
 * A corpus for the file, with what its author declares.
 * @throws Error when something changed and `because` does not say why
 */
export function declareCorpus(before: Corpus | undefined, now: Recorded, because: string | undefined): Corpus {
  const tags = changedTags(before, now);
  if (before !== undefined && tags.length === 0) return before;
  const reason = (because ?? "").trim();
  if (reason.length < SHORTEST_REASON) {
    const some = `${tags.slice(0, 5).join(", ")}${tags.length > 5 ? ", …" : ""}`;
    throw new Error(
      `The artifacts of ${tags.length} components change (${some}), and nothing says why. Declare it: npm run goldens -- --because "what changed and why".`,
    );
  }
  return { declared: { because: reason, tags }, ...now };
}

/** Tags of which an entry came, went or changed. */
export function changedTags(before: Recorded | undefined, now: Recorded): readonly string[] {
  const byTag = (corpus: Recorded): ReadonlyMap<string, string> => {
    const texts = new Map<string, string>();
    for (const { artifacts, ...entry } of corpus.entries) {
      const own = REPLAY_TARGETS.map((target) => corpus.artifacts[artifacts[target]]);
      texts.set(entry.tag, `${texts.get(entry.tag) ?? ""}${canonicalJson({ entry, own })}`);
    }
    return texts;
  };
  const [old, fresh] = [before === undefined ? new Map<string, string>() : byTag(before), byTag(now)];
  return [...new Set([...old.keys(), ...fresh.keys()])].filter((tag) => old.get(tag) !== fresh.get(tag)).sort();
}

export function corpusBytes(corpus: Corpus): Uint8Array {
  return gzipSync(JSON.stringify(corpus), { level: 9 });
}
