/** Runs the command line on the runtime that the tests run on, in this process wherever that shows the same. */
import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { runProgram } from "../../runtime/cli/program.ts";
import { TEST_CACHE } from "./test_cache.ts";

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** All but `env` and `cwd` need a process of the command's own. */
export interface CliOptions {
  readonly ownProcess?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  /** Working directory; the test's own unless given. */
  readonly cwd?: string;
  /** Closes the reading end of stdout at once, as `| true` does. */
  readonly closeStdout?: boolean;
  /** Kills the program as it is, without a chance to tidy up. */
  readonly kill?: AbortSignal;
  /** Sends SIGINT, as Ctrl-C does. */
  readonly interrupt?: AbortSignal;
}

const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
const MAIN = fileURLToPath(new URL(`../../runtime/cli/main${EXTENSION}`, import.meta.url));
const RUNTIME_ARGS = "Deno" in globalThis ? ["run", "-A", "--no-check"] : [];

/** A path below the repository's root, for sources and for compiled tests alike. */
export function repositoryPath(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

/** Program and arguments that start the command line in a process of its own, on this runtime. */
export const cliCommand = (): readonly string[] => [process.execPath, ...RUNTIME_ARGS, MAIN];

/** Starts another program on this runtime. */
export function runScript(script: string, args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...RUNTIME_ARGS, script, ...args], {
      env: { ...process.env, NO_COLOR: "1", FOVEA_CACHE_DIR: TEST_CACHE, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    if (options.closeStdout === true) child.stdout.destroy();
    let [stdout, stderr] = ["", ""];
    const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 120_000);
    options.kill?.addEventListener("abort", () => child.kill("SIGKILL"), { once: true });
    options.interrupt?.addEventListener("abort", () => child.kill("SIGINT"), { once: true });
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? 137, stdout, stderr });
    });
  });
}

let running: Promise<unknown> = Promise.resolve();

/** Runs `fovea` with arguments. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const { env, cwd, ...needs } = options;
  if (Object.values(needs).some((need) => need !== undefined && need !== false)) return runScript(MAIN, args, options);
  const run = running.then(() => runHere(args, { FOVEA_CACHE_DIR: TEST_CACHE, ...env }, cwd));
  running = run.catch(() => {});
  return run;
}

async function runHere(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd: string | undefined,
): Promise<CliResult> {
  const own = process.cwd();
  const before = Object.keys(env).map((name) => [name, process.env[name]] as const);
  const written = { stdout: "", stderr: "" };
  Object.assign(process.env, env);
  if (cwd !== undefined) process.chdir(cwd);
  try {
    const code = await runProgram(args, {
      out: (text) => {
        written.stdout += text;
      },
      err: (text) => {
        written.stderr += text;
      },
    });
    return { code, ...written };
  } finally {
    process.chdir(own);
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}
