/** Links of the documents lead to files and headings that are there. */

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { repositoryPath } from "../kit/run_cli.ts";

/** Compiled tests find `docs` by a link; the documents beside it lie where that leads. */
const ROOT = dirname(realpathSync(repositoryPath("docs")));
const read = (path: string): string => readFileSync(path, "utf8").replaceAll(/```.*?```/gs, "");

/** What GitHub makes of headings. */
function anchorsOf(path: string): ReadonlySet<string> {
  const headings = [...read(path).matchAll(/^#+ (.+)$/gm)].map((m) => m[1]);
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\- _]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

const DOCUMENTS = ["README.md", "CONTRIBUTING.md", "bench/README.md"].concat(
  readdirSync(join(ROOT, "docs")).map((name) => `docs/${name}`),
  readdirSync(join(ROOT, "examples")).map((name) => `examples/${name}/README.md`),
);

test("links between documents lead to files and headings that are there", () => {
  let links = 0;
  for (const document of DOCUMENTS.filter((path) => existsSync(join(ROOT, path)))) {
    const from = join(ROOT, document);
    for (const [, link] of read(from).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^\w+:/.test(link)) continue;
      links++;
      const [path, anchor] = link.split("#");
      const to = path === "" ? from : join(dirname(from), path);
      assert.ok(existsSync(to), `${document} links to ${link}, which is not there`);
      if (anchor !== undefined) assert.ok(anchorsOf(to).has(anchor), `${document} links to ${link}: no such heading`);
    }
  }
  assert.ok(links > 50, String(links));
});
