// Starting other programs: the runtimes and checkers that npm installed, npm itself, with output and time kept.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import { at, ROOT } from "./project.mjs";

const WINDOWS = process.platform === "win32";

/** Command and leading arguments of a runtime or checker among the development dependencies; Node is this one. */
export function toolCommand(name) {
  if (name === "node") return [process.execPath];
  const binary = { bun: "node_modules/bun/bin/bun.exe", deno: `node_modules/deno/deno${WINDOWS ? ".exe" : ""}` }[name];
  if (binary !== undefined && existsSync(at(binary))) return [at(binary)];
  const script = {
    deno: "node_modules/deno/bin.cjs",
    tsc: "node_modules/typescript/bin/tsc",
    biome: "node_modules/@biomejs/biome/bin/biome",
  }[name];
  if (script === undefined) throw new Error(`internal: no tool is called ${name}`);
  return [process.execPath, at(script)];
}

/** npm as it was started, or the one on the path. */
export function npmCommand(tool = "npm") {
  const started = process.env.npm_execpath ?? "";
  if (/npm-cli\.js$/.test(started)) return [process.execPath, started.replace(/npm-cli\.js$/, `${tool}-cli.js`)];
  return [WINDOWS ? `${tool}.cmd` : tool];
}

/** The environment without what a surrounding npm script adds and without colours, which would spoil parsing. */
export function plainEnvironment(extra = {}) {
  const environment = { ...process.env, NO_COLOR: "1", ...extra };
  for (const name of Object.keys(environment)) {
    if (name === "FORCE_COLOR" || /^npm_(lifecycle|package)_/.test(name)) delete environment[name];
  }
  return environment;
}

/**
 * Runs a program to its end and keeps what it prints. Resolves to `{ code, stdout, output, ms, timedOut }`, where `output` is
 * stdout and stderr together; a program that outlives `timeoutMs` is stopped with everything that it started.
 */
export function capture(command, { cwd = ROOT, env = plainEnvironment(), timeoutMs = 120_000 } = {}) {
  const begin = performance.now();
  return new Promise((resolve) => {
    const [file, ...args] = command;
    const child = spawn(file, args, {
      cwd,
      env,
      stdio: ["ignore", "pipe", "pipe"],
      detached: !WINDOWS,
      shell: file.endsWith(".cmd"),
    });
    let stdout = "";
    let output = "";
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      stopTree(child);
    }, timeoutMs);
    track(child);
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
      output += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
    const finish = (code) => {
      clearTimeout(timer);
      untrack(child);
      resolve({ code, stdout, output: stripVTControlCharacters(output), timedOut, ms: performance.now() - begin });
    };
    child.on("error", (error) => {
      output += `${error.message}\n`;
      finish(127);
    });
    child.on("close", (code, signal) => {
      if (timedOut) output += `stopped after ${timeoutMs / 1000} s\n`;
      else if (signal !== null) output += `ended by ${signal}\n`;
      finish(timedOut ? 124 : (code ?? 1));
    });
  });
}

/**
 * Starts a server, which prints its address (`http://...`, alone on a line), and resolves to `{ url, pid, stop }` once it has;
 * `stop` ends it with everything that it started. Rejects, with what it printed, when it ends before.
 */
export function startServer(command, { cwd = ROOT, env = plainEnvironment() } = {}) {
  const [file, ...args] = command;
  const child = spawn(file, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], detached: !WINDOWS });
  track(child);
  const stop = () => {
    untrack(child);
    stopTree(child);
  };
  return new Promise((resolve, reject) => {
    let output = "";
    const read = (text) => {
      output += text;
      const url = /^http:\S+$/m.exec(output)?.[0];
      if (url !== undefined) resolve({ url, pid: child.pid, stop });
    };
    child.stdout.setEncoding("utf8").on("data", read);
    child.stderr.setEncoding("utf8").on("data", read);
    child.on("error", reject).on("exit", (code) => {
      untrack(child);
      reject(new Error(`${args.join(" ")} ended with code ${code}:\n${output.trimEnd()}`));
    });
  });
}

/** Runs a program with this one's input and output, passes signals on, and resolves to its exit code. */
export function passThrough(command, { cwd = process.cwd(), env = process.env, stdio = "inherit" } = {}) {
  return new Promise((resolve) => {
    const [file, ...args] = command;
    const child = spawn(file, args, { cwd, env, stdio, shell: file.endsWith(".cmd") });
    const forward = (signal) => child.kill(signal);
    // The terminal sends SIGINT to both; staying alive lets the child decide how to end.
    const ignore = () => {};
    process.on("SIGINT", ignore).on("SIGTERM", forward).on("SIGHUP", forward);
    child.on("error", (error) => {
      process.stderr.write(`fovea: cannot start ${file}: ${error.message}\n`);
      resolve(127);
    });
    child.on("exit", (code, signal) => {
      process.off("SIGINT", ignore).off("SIGTERM", forward).off("SIGHUP", forward);
      if (signal !== null) process.kill(process.pid, signal);
      else resolve(code ?? 1);
    });
  });
}

const running = new Set();

// While programs run whose output is kept, interrupting the tool stops them all; handlers would else outlive their use.
function interrupted(signal) {
  for (const child of running) stopTree(child);
  process.exit(signal === "SIGINT" ? 130 : 143);
}

function track(child) {
  if (running.size === 0) process.on("SIGINT", interrupted).on("SIGTERM", interrupted);
  running.add(child);
}

function untrack(child) {
  running.delete(child);
  if (running.size === 0) process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
}

function stopTree(child) {
  try {
    if (WINDOWS) child.kill("SIGKILL");
    else process.kill(-child.pid, "SIGKILL");
  } catch {
    // It ended by itself in between.
  }
}
