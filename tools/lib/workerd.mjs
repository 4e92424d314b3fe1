// Frozen folders in workerd: bundled as wrangler deploys them, served through miniflare. Both are installed beside the project,
// once, because they are larger than everything else that it develops with.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { capture, npmCommand } from "./process.mjs";
import { at, digestOf } from "./project.mjs";

const TOOLS = ".build/edge_tools";
const MANIFESTS = ["package.json", "package-lock.json"];
const QUIET = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];

/** Installs what tools/edge pins, where that is not there. */
export async function installWorkerd() {
  const wanted = digestOf(MANIFESTS.map((name) => `tools/edge/${name}`));
  const stamp = at(`${TOOLS}/.installed`);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  mkdirSync(at(TOOLS), { recursive: true });
  for (const name of MANIFESTS) copyFileSync(at(`tools/edge/${name}`), at(`${TOOLS}/${name}`));
  const { code, output } = await capture([...npmCommand(), "ci", ...QUIET], { cwd: at(TOOLS) });
  if (code !== 0) throw new Error(`npm ci in ${TOOLS} ended with code ${code}:\n${output.trimEnd()}`);
  writeFileSync(stamp, wanted);
}

/** `wrangler deploy --dry-run` of a folder; what it would upload lands in another. Resolves to what it said. */
export async function dryRun(folder, out) {
  const wrangler = at(`${TOOLS}/node_modules/wrangler/bin/wrangler.js`);
  const env = { ...process.env, WRANGLER_SEND_METRICS: "false", CI: "1", NO_COLOR: "1", HOME: at(TOOLS) };
  const command = [process.execPath, wrangler, "deploy", "--dry-run", "--outdir", out];
  const { code, output } = await capture(command, { cwd: folder, env });
  if (code !== 0)
    throw new Error(`wrangler deploy --dry-run in ${folder} ended with code ${code}:\n${output.trimEnd()}`);
  return output;
}

const TYPES = { js: "ESModule", wasm: "CompiledWasm", bin: "Data" };
/** Day that folders are frozen for. */
const COMPATIBILITY_DATE = "2026-04-01";
const EMPTY = 'export default { fetch: () => new Response("empty") };';

/**
 * Stands before a worker and evaluates its modules when /evaluation is asked for, so that it can be timed from outside: clocks
 * stand still inside.
 */
const TIMED = `
let worker;
export default {
  async fetch(request, env, context) {
    const { pathname } = new URL(request.url);
    if (pathname === "/nothing") return Response.json(null);
    worker ??= (await import("./worker.js")).default;
    return pathname === "/evaluation" ? Response.json(null) : worker.fetch(request, env, context);
  },
};
`;

/** The modules of a dry run, behind the one that times them. */
function modulesOf(out) {
  const names = readdirSync(out).filter((name) => /\.(js|wasm|bin)$/.test(name));
  const uploaded = names.map((name) => ({
    type: TYPES[name.slice(name.lastIndexOf(".") + 1)],
    path: join(out, name),
    contents: readFileSync(join(out, name)),
  }));
  return [{ type: "ESModule", path: join(out, "timed.js"), contents: TIMED }, ...uploaded];
}

/** Processes below this one that are workerd. */
function workerdProcesses() {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        const [, name, parent] = /^\d+ \((.*)\) \S (\d+)/.exec(stat) ?? [];
        return name === "workerd" && Number(parent) === process.pid;
      } catch {
        return false;
      }
    });
}

/** Milliseconds of processor time and bytes of resident memory of a process, where the system tells. */
export function processUse(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  const rss = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return { cpuMs: 10 * (Number(fields[11]) + Number(fields[12])), rssBytes: 1024 * Number(rss[1]) };
}

/** What workers print is read and left out, but for errors. */
function quiet(stdout, stderr) {
  stdout.resume();
  stderr.pipe(process.stderr, { end: false });
}

/** Serves a dry run, with its folder's assets and variables; or an empty worker. Resolves to `{ url, use, stop }`. */
export async function startWorkerd(out, assets, bindings = {}) {
  const require = createRequire(at(`${TOOLS}/package.json`));
  const { Miniflare, Log, LogLevel } = await import(pathToFileURL(require.resolve("miniflare")));
  const before = new Set(workerdProcesses());
  const server = new Miniflare({
    ...{
      host: "127.0.0.1",
      port: 0,
      bindings,
      handleRuntimeStdio: quiet,
      compatibilityDate: COMPATIBILITY_DATE,
      log: new Log(LogLevel.ERROR),
    },
    ...(out === undefined ? { modules: true, script: EMPTY } : { modules: modulesOf(out), modulesRoot: out }),
    ...(assets === undefined
      ? {}
      : {
          assets: {
            directory: assets,
            binding: "ASSETS",
            routerConfig: { invoke_user_worker_ahead_of_assets: true, has_user_worker: true },
          },
        }),
  });
  const url = await server.ready;
  const [pid] = workerdProcesses().filter((p) => !before.has(p));
  return { url, use: () => (pid === undefined ? undefined : processUse(pid)), stop: () => server.dispose() };
}
