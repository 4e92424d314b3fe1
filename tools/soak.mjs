// `npm run soak [-- part ...] [--runtime bun|deno|node] [arguments of the part]`: the long forms of tests that kill, break and
// overload, whose figures are in docs/reliability.md. Each part is a program below bench/soak that ends with code 1 when something
// was lost; it runs on Bun unless told otherwise.
import { buildBench, buildDist } from "./build.mjs";
import { passThrough, plainEnvironment, toolCommand } from "./lib/process.mjs";
import { at, say } from "./lib/project.mjs";
import { RUNTIMES } from "./lib/suites.mjs";
import { setupOrExit } from "./setup.mjs";

/** The command line on each runtime: sources on Bun and Deno, compiled on Node. */
const COMMANDS = {
  bun: [...toolCommand("bun"), at("runtime/cli/main.ts")],
  deno: [...toolCommand("deno"), "run", "-A", "--no-check", at("runtime/cli/main.ts")],
  node: [process.execPath, at("dist/cli/main.js")],
};

/** A program below bench/soak. */
const PROGRAMS = {
  bun: (name) => [...toolCommand("bun"), at(`bench/soak/${name}.ts`)],
  deno: (name) => [...toolCommand("deno"), "run", "-A", "--no-check", at(`bench/soak/${name}.ts`)],
  node: (name) => [process.execPath, at(`.build/bench/bench/soak/${name}.js`)],
};

/** What each part is told beside the arguments of the command. */
const PARTS = {
  fuzz: [],
  load: [],
  queue: ["--commands", JSON.stringify(COMMANDS)],
};

/** Parts, the runtime and what is passed on. */
function read(given) {
  const first = given.findIndex((one) => one.startsWith("-"));
  const names = first < 0 ? given : given.slice(0, first);
  const rest = first < 0 ? [] : given.slice(first);
  const at = rest.indexOf("--runtime");
  const [, runtime = ""] = at < 0 ? ["", "bun"] : rest.splice(at, 2);
  const unknown = names.find((name) => PARTS[name] === undefined);
  if (unknown !== undefined) {
    throw new Error(`there is no part "${unknown}"; there are ${Object.keys(PARTS).join(", ")}.`);
  }
  if (!RUNTIMES.includes(runtime)) throw new Error(`--runtime takes ${RUNTIMES.join(", ")}, not "${runtime}".`);
  return { names: names.length === 0 ? Object.keys(PARTS) : names, runtime, rest };
}

async function main() {
  const { names, runtime, rest } = read(process.argv.slice(2));
  await setupOrExit();
  await buildDist();
  if (runtime === "node") await buildBench();
  for (const name of names) {
    const code = await passThrough([...PROGRAMS[runtime](name), ...PARTS[name], ...rest], { env: plainEnvironment() });
    if (code !== 0) process.exitCode = 1;
  }
}

try {
  await main();
} catch (error) {
  say(`fovea: ${error.message}`);
  process.exitCode = 2;
}
