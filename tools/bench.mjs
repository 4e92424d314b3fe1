// `npm run bench`: installs the peers that bench/package.json pins and runs bench/run.ts.
//
//   node tools/bench.mjs [--runtime bun,deno,node] [arguments of bench/run.ts ...]
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { buildBench, checkTypes } from "./build.mjs";
import { npmCommand, passThrough, plainEnvironment, toolCommand } from "./lib/process.mjs";
import { at, readJson, say } from "./lib/project.mjs";
import { RUNTIMES } from "./lib/suites.mjs";
import { setupOrExit } from "./setup.mjs";

const FOLDER = at("bench");
const PROGRAM = at("bench/run.ts");

/** Command of a runtime for the benchmark: sources on Bun and Deno, compiled on Node. */
const COMMANDS = {
  bun: async () => [...toolCommand("bun"), PROGRAM],
  deno: async () => [...toolCommand("deno"), "run", "-A", "--no-check", PROGRAM],
  node: async () => {
    await buildBench();
    return [process.execPath, at(".build/bench/bench/run.js")];
  },
};

/** Splits `--runtime a,b` (or `--runtime=a,b`) from what is for the benchmark. */
function options(args) {
  const rest = [...args];
  const index = rest.findIndex((arg) => arg === "--runtime" || arg.startsWith("--runtime="));
  if (index < 0) return { runtimes: RUNTIMES, rest };
  const [flag, inline] = rest
    .splice(index, rest[index] === "--runtime" ? 2 : 1)
    .join("=")
    .split("=");
  const runtimes = (inline ?? "").split(",");
  const unknown = runtimes.find((name) => !RUNTIMES.includes(name));
  if (unknown !== undefined) throw new Error(`${flag} takes ${RUNTIMES.join(", ")}, not "${unknown}".`);
  return { runtimes, rest };
}

async function installPeers() {
  const { dependencies = {} } = readJson("bench/package.json");
  const missing = Object.entries(dependencies).filter(([name, version]) => {
    const manifest = join(FOLDER, "node_modules", name, "package.json");
    return !existsSync(manifest) || JSON.parse(readFileSync(manifest, "utf8")).version !== version;
  });
  if (missing.length === 0) return;
  say(`fovea: installing ${missing.map((pin) => pin.join("@")).join(", ")} in bench with npm ...`);
  const quiet = [
    "--no-save",
    "--no-package-lock",
    "--include=dev",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
  ];
  const code = await passThrough([...npmCommand(), "install", ...quiet], {
    cwd: FOLDER,
    env: plainEnvironment(),
    stdio: ["ignore", 2, 2],
  });
  if (code !== 0)
    throw new Error(`npm install in bench ended with code ${code}. Check the network and npm's registry.`);
}

async function main() {
  const { runtimes, rest } = options(process.argv.slice(2));
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing; restore it from the repository.`);
  await setupOrExit();
  await installPeers();
  const { output } = await checkTypes("tsconfig.bench.json");
  const own = output.split("\n").filter((line) => line.startsWith("bench/"));
  if (own.length > 0) throw new Error(`type errors:\n${own.join("\n")}`);
  for (const runtime of runtimes) {
    const code = await passThrough([...(await COMMANDS[runtime]()), ...rest], { env: plainEnvironment() });
    if (code !== 0) {
      say(`fovea: the benchmark on ${runtime} ended with code ${code}`);
      process.exitCode = 1;
    }
  }
}

try {
  await main();
} catch (error) {
  say(`fovea: ${error.message}`);
  process.exitCode = 1;
}
