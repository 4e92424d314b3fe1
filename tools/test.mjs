// `npm test`: the checks, then the tests on Bun, Deno and Node, two processes at a time because some tests measure time.
//
//   node tools/test.mjs [--ci] [--all] [--only bun|deno|node] [--no-checks] [--times] [--identity-pass] [path ...]
//
// Tests of what a runtime brings run on all three, of what an engine makes of code on each engine, others on one each, and those
// that take long too. `--ci` runs these where they belong and adds what needs more than npm installs (a browser, a driver for
// WebGPU, Redis, compilers of C and Rust); `--all` runs all on all, with test/slow. `--times` lists the files that took longest,
// `--identity-pass` compiles through passes that change nothing. Paths (files, or folders below test) select tests, for every
// runtime named, and leave the checks out; slow ones run where their file or test/slow is named. The last line is
// `N passed, N failed`: the sum over the runtimes, with each check, and the comparison of what ran where, counted as one.
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { buildDist, buildTests } from "./build.mjs";
import { projectChecks } from "./lib/checks.mjs";
import { ROOT } from "./lib/project.mjs";
import {
  adapterOf,
  dealt,
  differences,
  listTests,
  RUNTIMES,
  runSuite,
  skipReason,
  takeTurns,
  versionOf,
} from "./lib/suites.mjs";
import { setup } from "./setup.mjs";
import { checkSourceDigests } from "./source_digest.mjs";

/** Milliseconds for a whole run on a runtime and for one test. */
const USUAL_LIMITS = { suite: 480_000, test: 240_000 };
const SLOW_LIMITS = { suite: 600_000, test: 300_000 };
const SHOWN_LINES = 60;

const IDENTITY_PASSES = "test/compile/insert_identity_passes.ts";
/** Run with such passes as well where all checks are asked for, on one runtime: two seconds. */
const IDENTITY_PART = ["test/modernbert", "test/vit"];

const total = { passed: 0, failed: 0 };

function print(line, indent = 0) {
  process.stdout.write(`${line.replace(/^/gm, " ".repeat(indent))}\n`);
}

function options() {
  const { values, positionals } = parseArgs({
    options: {
      ci: { type: "boolean" },
      all: { type: "boolean" },
      only: { type: "string", multiple: true },
      "no-checks": { type: "boolean" },
      times: { type: "boolean" },
      "identity-pass": { type: "boolean" },
    },
    allowPositionals: true,
  });
  const runtimes = values.only === undefined ? RUNTIMES : values.only.flatMap((names) => names.split(","));
  for (const name of runtimes) {
    if (!RUNTIMES.includes(name)) throw new Error(`--only takes ${RUNTIMES.join(", ")}, not "${name}".`);
  }
  const wanted = positionals.map((path) => path.replaceAll("\\", "/").replace(/^\.\//, "").replace(/\/$/, ""));
  const more = values.ci === true || values.all === true || wanted.length > 0;
  const files = listTests({ slow: values.all === true, more, named: wanted });
  const selected = wanted.length === 0 ? files : files.filter((file) => wanted.some((path) => within(file, path)));
  const unknown = wanted.filter((path) => !files.some((file) => within(file, path)));
  if (unknown.length > 0) throw new Error(`No test file matches ${unknown.join(", ")}; name a file or a folder.`);
  if (selected.length === 0) throw new Error("There is no test/**/*_test.ts.");
  const checks = values["no-checks"] !== true && wanted.length === 0;
  const first = values["identity-pass"] === true ? IDENTITY_PASSES : undefined;
  const limits = values.all === true || first !== undefined ? SLOW_LIMITS : USUAL_LIMITS;
  const everywhere = values.all === true || wanted.length > 0 || values.only !== undefined;
  return { runtimes, files: selected, everywhere, checks, more, limits, first, times: values.times === true };
}

function within(file, path) {
  return file === path || file.startsWith(`${path}/`);
}

/** Stale digests in a clean tree were committed so; while sources are being edited they are stale by nature. */
function staleDigests() {
  const stale = checkSourceDigests();
  const edited = spawnSync("git", ["status", "--porcelain", "--", "runtime", "kernels"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return edited.status === 0 && edited.stdout !== "" ? [] : stale;
}

async function runCheck({ name, run, notes }) {
  const begin = performance.now();
  const problems = await run().catch((error) => [error.stack ?? String(error)]);
  const passed = problems.length === 0;
  total[passed ? "passed" : "failed"]++;
  print(`${passed ? "ok    " : "FAILED"}  ${seconds(performance.now() - begin)}  ${name}`, 2);
  for (const problem of problems) print(shorten(problem), 10);
  for (const note of notes?.() ?? []) print(`note: ${note}`, 10);
}

async function report(runtime, files, run, times) {
  print(`${runtime} ${await versionOf(runtime)}: ${files.length} test files`);
  const { cases, ms, complete } = await run;
  if (files.some((file) => file.includes("/webgpu"))) print(`webgpu: ${await adapterOf(runtime)}`, 2);
  if (times) printTimes(cases);
  const of = (outcome) => cases.filter((test) => test.outcome === outcome);
  const [passed, failed, skipped] = [of("passed"), of("failed"), of("skipped")];
  total.passed += passed.length;
  total.failed += failed.length;
  for (const { file, name, message } of failed) {
    print(`FAILED  ${file}: ${name}`, 2);
    print(shorten(message), 10);
  }
  print(`${passed.length} passed, ${failed.length} failed, ${skipped.length} skipped  ${seconds(ms).trim()}`, 2);
  return { runtime, cases, complete };
}

/** What failed of a part of the tests whose components were compiled through passes that change nothing. */
async function identityPart(runtime, turn) {
  const files = listTests({ slow: false, more: true }).filter((file) =>
    IDENTITY_PART.some((path) => within(file, path)),
  );
  const { cases } = await runSuite(runtime, files, USUAL_LIMITS, { first: IDENTITY_PASSES, turn });
  if (!cases.some(({ outcome }) => outcome === "passed")) return [`${files.join(", ")} ran no test`];
  return cases
    .filter(({ outcome }) => outcome === "failed")
    .map(({ file, name, message }) => `${file}: ${name}\n${message}`);
}

function printTimes(cases) {
  const spent = new Map();
  for (const { file, ms } of cases) spent.set(file, (spent.get(file) ?? 0) + (ms ?? 0));
  const longest = [...spent].sort(([, a], [, b]) => b - a);
  for (const [file, ms] of longest) print(`${seconds(ms)}  ${file}`, 2);
}

/** Every skipped test with the reason and the runtimes that skipped it. */
function printSkipped(results) {
  const skipped = new Map();
  for (const { runtime, cases } of results) {
    for (const test of cases.filter(({ outcome }) => outcome === "skipped")) {
      const place = `${test.file}: ${test.name}`;
      const entry = skipped.get(place) ?? { tests: [], runtimes: [] };
      skipped.set(place, { tests: [...entry.tests, test], runtimes: [...entry.runtimes, runtime] });
    }
  }
  if (skipped.size > 0) print("skipped");
  for (const [place, { tests, runtimes }] of skipped)
    print(`${place} (${runtimes.join(", ")}): ${skipReason(tests)}`, 2);
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(1).padStart(5)} s`;
}

function shorten(text) {
  const lines = text.split("\n");
  if (lines.length <= SHOWN_LINES) return text;
  return [...lines.slice(0, SHOWN_LINES), `... and ${lines.length - SHOWN_LINES} lines more`].join("\n");
}

async function main() {
  const begin = performance.now();
  const { runtimes, files, everywhere, checks, more, limits, first, times } = options();
  const generated = staleDigests();
  await setup();
  if (runtimes.includes("node")) {
    // What imports the package by its name gets what is built.
    if (files.some((file) => /^test\/(freeze|kits)\//.test(file))) await buildDist();
    await buildTests();
  }
  const turn = takeTurns();
  const inOrder = async (checks) => {
    for (const check of checks) await runCheck(check);
  };
  if (checks) print("checks");
  const lists = checks ? projectChecks(generated, more) : [];
  const checked = Promise.all(lists.map((list) => turn(() => inOrder(list))));
  // What is free of the checks begins with the tests.
  const hands = everywhere ? runtimes.map(() => files) : dealt(files, runtimes, more);
  const runs = runtimes.map((runtime, at) => runSuite(runtime, hands[at], limits, { first, turn }));
  await checked;
  const results = [];
  for (const [at, runtime] of runtimes.entries()) results.push(await report(runtime, hands[at], runs[at], times));
  printSkipped(results);
  if (checks && more && first === undefined) {
    await runCheck({ name: "passes that change nothing change nothing", run: () => identityPart(runtimes[0], turn) });
  }
  if (everywhere && results.length > 1 && results.every(({ complete }) => complete)) {
    await runCheck({ name: "the same tests ran on every runtime", run: async () => differences(results) });
  }
  print(`in ${seconds(performance.now() - begin).trim()}`);
}

try {
  await main();
} catch (error) {
  print(`fovea: ${error.message}`);
  total.failed++;
}
print(`${total.passed} passed, ${total.failed} failed`);
// Whatever a check left open must not keep the run from ending.
process.exit(total.failed > 0 ? 1 : 0);
