/** Every sentence with which the compiler and its neighbours refuse has a test that asks for its words, and so has every code. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { codesOf, type Sentence, scanSource, sentencesOf, testText, untested } from "./sentences.ts";

const SOURCES = [
  "runtime/core",
  "runtime/ir",
  "runtime/compile",
  "runtime/exec",
  "runtime/session",
  "runtime/media",
  "runtime/server",
  "runtime/cli",
  "kernels/wasm/claims",
  "kernels/wasm/device",
  "plugins",
];
const FILES = ["runtime/session.ts", "kernels/reference/code.ts", "kernels/reference/kernel.ts"];

/** Sentences that no test brings about, each with the reason. */
const UNTESTED: Readonly<Record<string, string>> = {
  "… declares …x… pixels and holds …x….": "needs a codec that gives another size than the header it was asked to read",
};

// Sources, also where compiled tests run.
const root = (path: string): string => join(process.cwd(), path);
const read = (path: string): string => readFileSync(root(path), "utf8");

function filesBelow(folder: string): readonly string[] {
  return readdirSync(root(folder), { recursive: true, encoding: "utf8" })
    .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
    .filter((path) => path.endsWith(".ts"))
    .sort();
}

/** What is described there, and what a new project's files say, is no refusal. */
const DESCRIPTIONS = /^runtime\/(server\/(describe|metrics|schemas)\.ts$|cli\/templates\/)/;

const sources = [...SOURCES.flatMap(filesBelow), ...FILES]
  .filter((path) => !DESCRIPTIONS.test(path))
  .map((path) => ({ path, text: read(path) }));
const tests = filesBelow("test").filter(
  (path) => !/^test\/(fixtures|goldens)\//.test(path) && !/^test\/refusals\/(coverage_test|sentences)\.ts$/.test(path),
);
const asked = testText(tests.map(read));

const textOf = (s: Sentence): string => s.parts.join("…");

test("every sentence of a refusal has a test that asks for words of it alone", () => {
  const sentences = sources.flatMap(({ path, text }) => sentencesOf(path, text));
  assert.ok(sentences.length > 500, `${sentences.length} sentences`);
  const open = untested(sentences, asked);
  assert.deepEqual(
    open.filter((s) => !Object.hasOwn(UNTESTED, textOf(s))).map((s) => `${s.file}:${s.line}: ${textOf(s)}`),
    [],
    "no test has words of these sentences; add one, such as in test/refusals",
  );
  assert.deepEqual(
    Object.keys(UNTESTED).filter((text) => !open.some((s) => textOf(s) === text)),
    [],
    "these are tested or gone; take them off the list",
  );
});

test("every code of an error is asked for by a test", () => {
  const codes = [...new Set(sources.flatMap(({ text }) => codesOf(text)))].sort();
  assert.ok(codes.length > 40, `${codes.length} codes`);
  assert.deepEqual(
    codes.filter((code) => !asked.includes(`"${code}"`)),
    [],
    "no test expects these codes",
  );
});

const PLANTED = `
import { refuse } from "./here.ts"; // refuse("a comment is no sentence at all");
const pattern = /"not (a literal)/;
export function check(x: number, name: string): string | undefined {
  if (x < 0) throw new FoveaError("too_small", \`The size "\${name}" is \${[x].map((v) => \`\${v}\`)}; expected at least 0.\`);
  if (x > 9) refuse(name, "more than nine things");
  if (x === 5) return internal(\`the size \${x} of five cannot come here.\`);
  return x === 7 ? "seven of them are one too many." : undefined;
}
`;

test("sentences are found in errors, refusals and results, whatever stands around them", () => {
  const found = sentencesOf("planted.ts", PLANTED);
  assert.deepEqual(found.map(textOf), [
    'The size "…" is …; expected at least 0.',
    "more than nine things",
    "seven of them are one too many.",
  ]);
  assert.deepEqual(
    found.map((s) => s.line),
    [5, 6, 8],
  );
  assert.deepEqual(codesOf(PLANTED), ["too_small"]);
  const { literals } = scanSource(PLANTED);
  assert.ok(!literals.some((l) => l.parts.join("").includes("comment")));
});

test("a sentence is tested by words that no other sentence has, outside of comments and titles", () => {
  const sentences = sentencesOf("planted.ts", PLANTED);
  const lacking = (source: string): readonly string[] => untested(sentences, testText([source])).map((s) => textOf(s));
  assert.equal(lacking("").length, 3);
  assert.deepEqual(lacking("assert.throws(f, /is -1; expected at least 0\\./);"), [
    "more than nine things",
    "seven of them are one too many.",
  ]);
  assert.equal(lacking('test("more than nine things", () => {}); // seven of them are one too many.').length, 3);
  const shared = [
    { file: "a.ts", line: 1, parts: ["the width must be whole and even."] },
    { file: "a.ts", line: 2, parts: ["the height must be whole and even."] },
  ];
  assert.equal(untested(shared, "must be whole and even").length, 2);
  assert.equal(untested(shared, "the height must").length, 1);
});
