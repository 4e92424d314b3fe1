// `node tools/pack_fixtures.mjs`: replaces what processors returned, test/fixtures/preprocess/*/*.safetensors, and the results
// on other grids by files that Brotli made smaller (`.br`), as scripts in test/fixtures leave them.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { brotliCompressSync, constants } from "node:zlib";
import { at, listFiles, say } from "./lib/project.mjs";

const FOLDERS = ["test/fixtures/preprocess", "test/fixtures/qwen_vl_grids"];
const params = { [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS };

for (const file of FOLDERS.flatMap((folder) => listFiles(folder, ".safetensors"))) {
  const bytes = readFileSync(at(file));
  const packed = brotliCompressSync(bytes, { params });
  writeFileSync(at(`${file}.br`), packed);
  rmSync(at(file));
  say(`${file}.br: ${packed.length} of ${bytes.length} bytes`);
}
