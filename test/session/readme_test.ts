/** README's tables of options name those that there are, and no others. */

import assert from "node:assert/strict";
import { readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { classifyImages } from "../../mod.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

/** Compiled tests find `docs` by a link; README lies beside where that leads. */
const README = readFileSync(join(dirname(realpathSync(repositoryPath("docs"))), "README.md"), "utf8");
const DIGITS = repositoryPath("examples/models/digits-clip");

/** Names of the first column of the table with this head. */
function rowsOf(head: string): readonly string[] {
  const [, table] = README.split(`| ${head} | meaning |\n|---|---|\n`);
  assert.ok(table !== undefined, head);
  const [rows] = table.split("\n\n");
  return rows.split("\n").flatMap((row) => [...row.split(" | ")[0].matchAll(/`(\w+)`/g)].map((m) => m[1]));
}

/** Names that a function takes, as it says when it is given another. */
async function optionsOf(call: () => Promise<unknown>): Promise<readonly string[]> {
  const message = await call().then(
    () => "",
    (error: Error) => error.message,
  );
  const [, names] = /no option "nothing"; it takes ([\w, ]+)\./.exec(message) ?? assert.fail(message);
  return names.split(", ");
}

const same = (found: readonly string[], expected: readonly string[]): void =>
  assert.deepEqual([...found].sort(), [...new Set(expected)].sort());

test("README's tables name every option", async () => {
  const odd = { nothing: 1 } as object;
  same(rowsOf("`createRuntime` option"), await optionsOf(() => openRuntime(odd)));
  await using runtime = await openRuntime({ threads: 0 });
  same(rowsOf("`load` option"), await optionsOf(() => runtime.load(DIGITS, odd)));
  const encoder = await runtime.load(DIGITS, { lazy: true });
  same(rowsOf("option of `encode`, `run` and `classifyImages`"), [
    ...(await optionsOf(() => encoder.encode({ texts: ["two"] }, odd))),
    ...(await optionsOf(() => classifyImages(encoder, ["two.png"], ["two"], odd))),
  ]);
});
