/** After a wanted change of the compiler or of what kernels claim: `npm run goldens`. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { repositoryPath } from "../kit/run_cli.ts";
import { goldens } from "./compile_goldens.ts";

test("every stage of a CLIP block reads as its golden text", async () => {
  for (const [name, text] of Object.entries(await goldens())) {
    assert.equal(text, readFileSync(repositoryPath(`test/goldens/${name}`), "utf8"), name);
  }
});
