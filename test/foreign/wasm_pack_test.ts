/** Packages of wasm-pack: the real one inside of @jsquash/resize, and one that decodes a format of its own. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { loadPlugin } from "../../mod.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { createMediaReader } from "../../runtime/session/inputs/source.ts";
import { withFolder } from "../kit/folder.ts";
import { runCli } from "../kit/run_cli.ts";

const RESIZE = join(dirname(fileURLToPath(import.meta.resolve("@jsquash/resize"))), "lib/resize/pkg");
const MODULE = "squoosh_resize_bg.wasm";

test("the package inside of @jsquash/resize is recognised and resizes pictures", async () => {
  const plugin = await loadPlugin(RESIZE);
  assert.deepEqual(
    [plugin.name, plugin.version, plugin.kernels, plugin.images?.length],
    ["@jsquash/resize/squoosh_resize", "2.1.1", undefined, 1],
  );
  const [{ resize, decode }] = plugin.images ?? [];
  assert.equal(decode, undefined);
  // Left half black, right half white: the middle of what is made smaller lies between, its ends do not.
  const [width, height] = [16, 6];
  const data = Uint8Array.from({ length: 4 * width * height }, (_, i) =>
    i % 4 === 3 || Math.floor(i / 4) % width >= width / 2 ? 255 : 0,
  );
  const small = await resize?.({ width, height, data }, 5, 3);
  assert.deepEqual([small?.width, small?.height, small?.data.length], [5, 3, 60]);
  const row = [0, 1, 2, 3, 4].map((x) => small?.data[4 * (5 + x)] ?? -1);
  assert.ok(row[0] < 20 && row[4] > 235 && row[2] > 90 && row[2] < 165, row.join());
});

test("`fovea plugin add` says that its glue is trusted, tries it and pins it; a changed module is refused", () =>
  withFolder(async (folder) => {
    const copy = join(folder, "pkg");
    mkdirSync(copy);
    for (const file of ["squoosh_resize.js", MODULE]) copyFileSync(join(RESIZE, file), join(copy, file));
    writeFileSync(join(copy, "package.json"), JSON.stringify({ name: "resizer", version: "1.2.3", type: "module" }));
    const added = await runCli(["plugin", "add", folder], { cwd: folder });
    assert.equal(added.code, 0, added.stderr);
    assert.match(
      added.stdout,
      /^form: package of wasm-pack, with its glue\nresizer 1\.2\.3, abi 1: resizing of pictures\nenforced: nothing; its glue is trusted code/,
    );
    const listed = await runCli(["plugin", "ls"], { cwd: folder });
    assert.match(listed.stdout, /^resizer +1\.2\.3 +wasm-pack, trusted glue +.* work on pictures$/m);
    writeFileSync(join(copy, "squoosh_resize_snippet.js"), "export const more = 1;\n");
    const changed = await runCli(["plugin", "ls"], { cwd: folder });
    assert.equal(changed.code, 1);
    assert.match(changed.stdout, /cannot be used\n.*is not what was added/);
  }));

/** Glue as `wasm-pack build --target bundler` writes it: what wraps lies beside, and gets the module's exports. */
const GLUE = `let wasm;
export function __wbg_set_wasm(exports) { wasm = exports; }
export function decode(bytes) {
  if (bytes[0] !== 0x46 || bytes[1] !== 0x56) return undefined;
  return { width: 2, height: 1, data: Uint8Array.of(bytes[2], 0, 0, 255, 0, 0, wasm === undefined ? 0 : bytes[3], 255) };
}
`;

test("a decoder of a bundler's package is asked for pictures of a format that fovea does not know", () =>
  withFolder(async (folder) => {
    writeFileSync(join(folder, "own_bg.wasm"), Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    writeFileSync(join(folder, "own_bg.js"), GLUE);
    writeFileSync(join(folder, "own.js"), 'import * as wasm from "./own_bg.wasm";\n');
    const names = { name: "own", version: "0.1.0", type: "module", main: "own.js" };
    writeFileSync(join(folder, "package.json"), JSON.stringify(names));
    const plugin = await loadPlugin(folder);
    const media = createMediaReader(await detectHost(), { plugins: [plugin] });
    const file = Uint8Array.of(0x46, 0x56, 9, 8, 0, 0, 0, 0, 0, 0, 0, 0);
    assert.deepEqual((await media.image(file)).data, Uint8Array.of(9, 0, 0, 0, 0, 8));
    await assert.rejects(media.image(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)), { code: "image.unknown" });
  }));

test("a package that neither decodes nor resizes is refused with what it exports", () =>
  withFolder(async (folder) => {
    writeFileSync(join(folder, "own_bg.wasm"), Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    writeFileSync(join(folder, "own.js"), "export function initSync() {}\nexport function blur() {}\n");
    await assert.rejects(loadPlugin(folder), {
      code: "bad_plugin",
      message: /exports .*blur.*; of wasm-pack's packages/,
    });
  }));
