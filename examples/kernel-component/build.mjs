/**
 * Builds a component of one C file: `node build.mjs [source.c component.wasm [more.wit [-DNAME]]]`. Needs clang-19 and lld-19
 * (apt-get install clang-19 lld-19) and jco (npm install in this folder). Without arguments it builds this example and
 * writes its digest into plugin.json.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { componentEmbed, componentNew } from "@bytecodealliance/jco";

const here = (file) => new URL(file, import.meta.url).pathname;
const [source = here("product.c"), to = here("product.wasm"), more, ...defines] = process.argv.slice(2);
const core = `${to}.core`;
const flags = [
  "--target=wasm32",
  "-O3",
  "-std=c11",
  "-ffreestanding",
  "-nostdlib",
  "-msimd128",
  "-mbulk-memory",
  "-Wall",
];
const link = ["--no-entry", "--strip-all", "-z,stack-size=4096", "--stack-first"].map((f) => `-Wl,${f}`);
execFileSync("clang-19", [...flags, ...defines, ...link, "-I", here("."), "-o", core, source], { stdio: "inherit" });

// WIT of another package goes before; what it exports of fovea stands in braces behind it.
let wit = readFileSync(here("../../kernels/wit/kernel.wit"), "utf8");
if (more !== undefined) wit = `${readFileSync(more, "utf8")}\n${wit.replace("@1.0.0;", "@1.0.0 {")}}\n`;
const embedded = await componentEmbed({ binary: readFileSync(core), witSource: wit, world: "kernel" });
rmSync(core);
const component = await componentNew(embedded);
writeFileSync(to, component);
if (process.argv.length === 2) {
  const digest = createHash("sha256").update(component).digest("hex");
  const plugin = readFileSync(here("plugin.json"), "utf8");
  writeFileSync(here("plugin.json"), plugin.replace(/("sha256": ")[0-9a-f]*/, `$1${digest}`));
}
