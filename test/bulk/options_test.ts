/** What `fovea/bulk` refuses before it opens anything: options and arguments that no type checker saw. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Runtime } from "../../mod.ts";
import {
  cleanQueue,
  collectResults,
  deadLetters,
  embedFiles,
  enqueueFiles,
  queueStatus,
  removeQueue,
  retryDeadLetters,
  runWorker,
  searchVectors,
  watchQueue,
} from "../../runtime/bulk/mod.ts";

const NONE = undefined as unknown as Runtime;
const FILES = ["photos/**"];
const VECTORS = ["x.parquet"];
const TEXT = { text: "a red bicycle" };
const untyped = <T>(value: unknown): T => value as T;

const REFUSALS: readonly (readonly [() => Promise<unknown>, string, string])[] = [
  [
    () => embedFiles(NONE, "./clip", FILES, untyped({ out: "x.parquet", resum: true })),
    "invalid_options",
    'embedFiles has no option "resum"; it takes dtype, calibration, signal, out, resume, shardRows, output, onProgress. Did you mean "resume"?',
  ],
  [
    () => embedFiles(NONE, "./clip", FILES, { out: "x.parquet", shardRows: 0 }),
    "invalid_options",
    "The option `shardRows` of embedFiles is 0; expected a whole number from 1 on.",
  ],
  [
    () => embedFiles(NONE, "./clip", FILES, untyped({})),
    "invalid_options",
    "embedFiles needs the option `out`: a text.",
  ],
  [
    () => embedFiles(NONE, "./clip", FILES, untyped(undefined)),
    "invalid_options",
    "The options of embedFiles must be an object; found undefined.",
  ],
  [
    () => embedFiles(NONE, "./clip", untyped("photos/**"), { out: "x.parquet" }),
    "bad_usage",
    'embedFiles takes a list of files, folders and patterns; found "photos/**".',
  ],
  [
    () => searchVectors(NONE, VECTORS, TEXT, { top: 0 }),
    "invalid_options",
    "The option `top` of searchVectors is 0; expected a whole number from 1 on.",
  ],
  [
    () => searchVectors(NONE, VECTORS, untyped({})),
    "bad_usage",
    'searchVectors takes a query such as { text: "a red bicycle" } or { image: "x.jpg" }; found an object.',
  ],
  [
    () => collectResults("vectors", untyped({ ou: "x.parquet" })),
    "invalid_options",
    'collectResults has no option "ou"; it takes out, shardRows. Did you mean "out"?',
  ],
  [
    () => enqueueFiles(NONE, "./clip", FILES, untyped({ queue: 5 })),
    "invalid_options",
    "The option `queue` of enqueueFiles is 5; expected a text.",
  ],
  [
    () => runWorker(NONE, untyped({ queue: "redis://localhost" })),
    "invalid_options",
    "runWorker needs the option `out`: a text.",
  ],
  ...[queueStatus, deadLetters, retryDeadLetters, cleanQueue, removeQueue, watchQueue].map(
    (act) => [() => act(untyped({})), "invalid_options", `${act.name} needs the option \`queue\`: a text.`] as const,
  ),
];

test("options and arguments of bulk functions are refused before anything is opened", async () => {
  for (const [act, code, message] of REFUSALS) await assert.rejects(act(), { code, message });
});
