/** Arguments as files: folders, patterns, what a shell expanded, lists. */
import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { parseList } from "../../runtime/bulk/enqueue.ts";
import { findFiles } from "../../runtime/bulk/find_files.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { withFolder } from "../kit/folder.ts";

const NAMES = [
  "a.png",
  "b.JPG",
  "notes.txt",
  ".hidden.png",
  "sub/c.webp",
  "sub/deep/d.gif",
  "sub/e.wav",
  ".git/f.png",
  "[1].png",
];

test("folders and patterns give their media files once, in order; hidden ones and other files are left out", async () => {
  const host = await detectHost();
  await withFolder(async (folder) => {
    for (const name of NAMES) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), name);
    }
    symlinkSync(join(folder, "a.png"), join(folder, "linked.png"));
    const found = async (...given: string[]): Promise<readonly string[]> =>
      (
        await findFiles(
          host,
          given.map((name) => (name.includes("://") ? name : join(folder, name))),
        )
      ).map((path) => path.replace(`${folder}/`, ""));
    const all = ["[1].png", "a.png", "b.JPG", "linked.png", "sub/c.webp", "sub/deep/d.gif", "sub/e.wav"];
    assert.deepEqual(await found("."), all);
    assert.deepEqual(await found("**"), all);
    const listDir: typeof host.listDir = async (path) => {
      if (path.endsWith("/deep")) throw new Error("access is denied");
      return host.listDir(path);
    };
    const unread: string[] = [];
    const rest = await findFiles({ ...host, listDir }, [folder], (path, error) => unread.push(`${path} ${error}`));
    assert.deepEqual(unread, [join(folder, "sub/deep Error: access is denied")]);
    assert.deepEqual(
      rest,
      all.filter((name) => !name.includes("deep")).map((name) => join(folder, name)),
    );
    await assert.rejects(findFiles({ ...host, listDir }, [folder]), /access is denied/);
    assert.deepEqual(await found("*"), all.slice(0, 4));
    assert.deepEqual(await found("**/*.{gif,webp}"), ["sub/c.webp", "sub/deep/d.gif"]);
    assert.deepEqual(await found("sub/?.webp"), ["sub/c.webp"]);
    // As a shell without ** expands it.
    assert.deepEqual(await found("b.JPG", "sub", "b.JPG", "sub/c.webp"), [
      "b.JPG",
      "sub/c.webp",
      "sub/deep/d.gif",
      "sub/e.wav",
    ]);
    assert.deepEqual(await found("[1].png", "gone.png", "https://x.org/*.png"), [
      "[1].png",
      "gone.png",
      "https://x.org/*.png",
    ]);
    await assert.rejects(found("*.bmp"), /No picture or recording matches .*\*\.bmp/);
    await assert.rejects(found("nowhere/**"), /No picture or recording matches/);
    mkdirSync(join(folder, "empty"));
    await assert.rejects(found("empty"), /no picture or recording in the folder .*empty; known are \.png/);
  });
});

test("lists have paths, comments and the lines of sha256sum", () => {
  const digest = "0f".repeat(32);
  const text = `# photos\r\na b.png\n${digest}  c.png\n${digest} *d.png\n\nhttps://x.org/e.png\n`;
  assert.deepEqual(parseList(text), [
    { path: "a b.png" },
    { path: "c.png", digest },
    { path: "d.png", digest },
    { path: "https://x.org/e.png" },
  ]);
});
