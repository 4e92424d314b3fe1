// `npm run soak [-- part ...] [arguments of the part]`: the long forms of tests that kill, break and overload, whose figures are in
// docs/reliability.md. Each part is a program below bench that ends with code 1 when something was lost.
import { buildDist } from "./build.mjs";
import { passThrough, plainEnvironment, toolCommand } from "./lib/process.mjs";
import { at, say } from "./lib/project.mjs";
import { setupOrExit } from "./setup.mjs";

/** The command line on each runtime: sources on Bun and Deno, compiled on Node. */
const COMMANDS = {
  bun: [...toolCommand("bun"), at("runtime/cli/main.ts")],
  deno: [...toolCommand("deno"), "run", "-A", "--no-check", at("runtime/cli/main.ts")],
  node: [process.execPath, at("dist/cli/main.js")],
};

/** Each part's program and what it is told beside the arguments of the command. */
const PARTS = {
  fuzz: ["bench/soak/fuzz.ts"],
  load: ["bench/soak/load.ts"],
  queue: ["bench/soak/queue.ts", "--commands", JSON.stringify(COMMANDS)],
};

await setupOrExit();
const given = process.argv.slice(2);
const first = given.findIndex((one) => one.startsWith("-"));
const names = first < 0 ? given : given.slice(0, first);
const rest = first < 0 ? [] : given.slice(first);
const unknown = names.find((name) => PARTS[name] === undefined);
if (unknown !== undefined) {
  say(`fovea: there is no part "${unknown}"; there are ${Object.keys(PARTS).join(", ")}.`);
  process.exitCode = 2;
} else {
  await buildDist();
  for (const name of names.length === 0 ? Object.keys(PARTS) : names) {
    const [program, ...told] = PARTS[name];
    const command = [...toolCommand("bun"), at(program), ...told, ...rest];
    const code = await passThrough(command, { env: plainEnvironment() });
    if (code !== 0) process.exitCode = 1;
  }
}
