// Installs what is missing. Without network and in a few milliseconds when all is there, so every command can call it.
import { existsSync, readFileSync, statSync } from "node:fs";
import { npmCommand, passThrough, plainEnvironment, toolCommand } from "./lib/process.mjs";
import { at, isMain, readJson, say } from "./lib/project.mjs";
import { refreshSourceDigests } from "./source_digest.mjs";
import { refreshVendor } from "./vendor.mjs";

/** Makes the development dependencies and the generated sources ready; throws a sentence when it cannot. */
export async function setup() {
  const missing = missingPackages();
  if (missing.length > 0) await install(missing);
  await linkBun();
  refreshSourceDigests();
  await refreshVendor();
}

/** Pinned dependencies that are absent or have another version. */
function missingPackages() {
  const { dependencies, devDependencies } = readJson("package.json");
  return Object.entries({ ...dependencies, ...devDependencies })
    .filter(([name, version]) => installedVersion(name) !== version)
    .map(([name, version]) => `${name}@${version}`);
}

function installedVersion(name) {
  const file = at(`node_modules/${name}/package.json`);
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).version : undefined;
}

async function install(missing) {
  say(`fovea: installing ${missing.length} missing package${missing.length === 1 ? "" : "s"} with npm ...`);
  const begin = performance.now();
  // `--no-save` keeps the lock as it is (npm 10 rewrites it); `--include=dev` also under NODE_ENV=production.
  const options = ["--no-save", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"];
  const code = await passThrough([...npmCommand(), "install", ...options], toStderr(at(".")));
  const still = missingPackages();
  if (code !== 0 || still.length > 0) {
    throw new Error(
      `npm install ended with code ${code} and left ${still.length} packages missing (${still.join(", ") || "none"}). ` +
        "Check the network and the registry that npm is set to, then run the command again.",
    );
  }
  say(`fovea: installed in ${((performance.now() - begin) / 1000).toFixed(1)} s`);
}

/** Where install scripts are off, the `bun` package is a stub until its own install file has run. */
async function linkBun() {
  const [binary] = toolCommand("bun");
  if (statSync(binary).size > 1_000_000) return;
  say("fovea: install scripts are off, linking bun ...");
  const code = await passThrough([process.execPath, "install.js"], toStderr(at("node_modules/bun")));
  if (code !== 0 || statSync(binary).size <= 1_000_000) {
    throw new Error(`node_modules/bun/install.js ended with code ${code} and left no Bun. Run it by hand to see why.`);
  }
}

/** Options for a program whose whole output goes to stderr. */
function toStderr(cwd) {
  return { cwd, env: plainEnvironment(), stdio: ["ignore", 2, 2] };
}

/** Runs setup for a command; ends the program with a sentence when it fails. */
export async function setupOrExit() {
  try {
    await setup();
  } catch (error) {
    say(`fovea: setup failed: ${error.message}`);
    process.exit(1);
  }
}

if (isMain(import.meta.url)) await setupOrExit();
