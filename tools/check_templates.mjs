// Every template of `fovea plugin new` generated, built and tested: modules in C and Rust by the compilers that are there, their
// kernels on Bun, Deno and Node. Each template is one check.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildDist } from "./build.mjs";
import { capture, plainEnvironment, toolCommand } from "./lib/process.mjs";
import { at, isMain, say } from "./lib/project.mjs";
import { softwareGpu } from "./lib/suites.mjs";
import { setupOrExit } from "./setup.mjs";

const COMPILED = ["kernel-c", "kernel-rust"];
const TYPED = ["kernel-ts", "encoder-ts", "device-ts"];
const TEMPLATES = [...COMPILED, ...TYPED, "kernel-wgsl"];

/** Debian's Rust, where another one stands first in the path that cannot compile for WebAssembly. */
const DEBIAN_RUST = { RUSTC: "/usr/bin/rustc", CARGO: "/usr/bin/cargo" };

const runs = (name) => {
  try {
    return execFileSync(name, ["--version"], { stdio: "ignore" }) === null;
  } catch {
    return false;
  }
};

/** What must be installed before a template can be built, or nothing. */
function missing(template) {
  if (template === "kernel-c" && !["clang-19", "clang"].some(runs))
    return "clang is missing; install Debian's packages clang-19 and lld-19 (apt-get install clang-19 lld-19).";
  if (template === "kernel-rust" && !existsSync(DEBIAN_RUST.RUSTC) && !runs("rustc"))
    return "Rust is missing; install Debian's packages rustc, cargo, libstd-rust-dev-wasm32 and lld-19.";
  return undefined;
}

/** The commands of a project, each with the runtime that it is for. */
function steps(template) {
  const test = template === "kernel-wgsl" || COMPILED.includes(template) ? "plugin.test.mjs" : "plugin.test.ts";
  const compiled = TYPED.includes(template) ? "dist/plugin.test.js" : test;
  return [
    ["bun", [...toolCommand("bun"), "test", "--timeout", "120000", `./${test}`]],
    ["deno", [...toolCommand("deno"), "test", "-A", "--no-check", "--sloppy-imports", test]],
    ["node", [process.execPath, "--test", compiled]],
  ];
}

async function checkTemplate(template) {
  const lacking = missing(template);
  if (lacking !== undefined) return [lacking];
  await buildDist();
  const place = mkdtempSync(join(tmpdir(), "fovea_template_"));
  const folder = join(place, `made-${template}`);
  try {
    const fovea = [process.execPath, at("dist/cli/main.js")];
    const run = async (what, command, cwd, runtime = "node") => {
      const env = plainEnvironment({ ...softwareGpu(runtime), ...(existsSync(DEBIAN_RUST.RUSTC) ? DEBIAN_RUST : {}) });
      const { code, output } = await capture(command, { cwd, env });
      return code === 0 ? [] : [`${template}: ${what} ended with code ${code}:\n${output.trimEnd()}`];
    };
    const made = await run("fovea plugin new", [...fovea, "plugin", "new", template, folder], place);
    if (made.length > 0) return made;
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(at("."), join(folder, "node_modules", "fovea"));
    symlinkSync(at("node_modules/@types"), join(folder, "node_modules", "@types"));
    if (COMPILED.includes(template)) {
      const built = await run("its build", [process.execPath, "build.mjs"], folder);
      if (built.length > 0) return built;
    }
    if (TYPED.includes(template)) {
      const typed = await run("tsc", [process.execPath, at("node_modules/typescript/bin/tsc")], folder);
      if (typed.length > 0) return typed;
    } else {
      const digests = await run("fovea plugin build", [...fovea, "plugin", "build", "."], folder);
      if (digests.length > 0) return digests;
      if (readFileSync(join(folder, "plugin.json"), "utf8").includes("0".repeat(64)))
        return [`${template}: fovea plugin build left a digest unwritten.`];
    }
    const problems = [];
    for (const [runtime, command] of steps(template))
      problems.push(...(await run(`its test on ${runtime}`, command, folder, runtime)));
    return problems;
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** A check for each template. */
export const templateChecks = () =>
  TEMPLATES.map((template) => ({
    name: `fovea plugin new ${template}: built and tested`,
    run: () => checkTemplate(template),
  }));

if (isMain(import.meta.url)) {
  await setupOrExit();
  const wanted = process.argv.slice(2);
  for (const template of TEMPLATES.filter((t) => wanted.length === 0 || wanted.includes(t))) {
    const problems = await checkTemplate(template);
    say(problems.length === 0 ? `ok: ${template}` : problems.join("\n"));
    if (problems.length > 0) process.exitCode = 1;
  }
}
