/** `fovea serve`: the start line, requests, an interrupt, and what it refuses. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { repositoryPath, runCli } from "../kit/run_cli.ts";
import { TEST_CACHE } from "../kit/test_cache.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");
const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
const MAIN = fileURLToPath(new URL(`../../runtime/cli/main${EXTENSION}`, import.meta.url));
const RUNTIME = "Deno" in globalThis ? ["run", "-A", "--no-check", "--unstable-no-legacy-abort"] : [];

interface Started {
  readonly child: ChildProcess;
  readonly url: string;
  readonly line: string;
  /** All of stdout and stderr when the program has ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
}

/** Starts a server and waits for the line that says where it is. */
function start(args: readonly string[]): Promise<Started> {
  const child = spawn(process.execPath, [...RUNTIME, MAIN, "serve", ...args, "--port", "0"], {
    env: { ...process.env, NO_COLOR: "1", FOVEA_CACHE_DIR: TEST_CACHE },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (part) => {
    stdout += part;
  });
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
  void ended.then(() => clearTimeout(timer));
  return new Promise((resolve, reject) => {
    child.stderr.on("data", (part) => {
      stderr += part;
      const found = /^fovea: serving .* at (\S+) on .*$/m.exec(stderr);
      if (found !== null) resolve({ child, url: found[1], line: found[0], ended });
    });
    void ended.then(({ stderr: all }) => reject(new Error(`the server ended: ${all}`)));
  });
}

test("serve says what it serves, answers, logs, and ends at an interrupt with what it accepted", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fovea-serve-"));
  const trace = join(folder, "trace.json");
  const args = [`digits=${DIGITS}`, "--token", "sesame", "--threads", "0", "--trace", trace];
  const { child, url, line, ended } = await start(args);
  assert.match(
    line,
    /serving digits \(clip: vision, text\) at http:\/\/127\.0\.0\.1:\d+ on wasm \(wasm-.*, no workers\)/,
  );
  assert.match(line, /sealed with \d+ artifacts, \d+ of them from the cache/);
  const headers = { "content-type": "application/json", authorization: "Bearer sesame" };
  const ask = (): Promise<Response> =>
    fetch(`${url}/v1/embeddings`, { method: "POST", headers, body: JSON.stringify({ input: ["two", "a seven"] }) });
  assert.equal((await ask()).status, 200);
  assert.equal((await fetch(`${url}/v1/models`)).status, 401);
  // Models are loaded again while requests go on.
  process.kill(child.pid as number, "SIGHUP");
  for (let i = 0; i < 3; i++) assert.equal((await ask()).status, 200);
  const last = ask();
  await last;
  process.kill(child.pid as number, "SIGINT");
  const { code, stdout, stderr } = await ended;
  assert.equal(code, 0, stderr);
  assert.match(stderr, /SIGINT: answering what was accepted, then closing/);
  const lines = stdout
    .trim()
    .split("\n")
    .map((text) => JSON.parse(text) as Record<string, unknown>);
  const requests = lines.filter(({ event }) => event === "request");
  assert.deepEqual(
    requests.map(({ status }) => status),
    [200, 401, 200, 200, 200, 200],
  );
  assert.doesNotMatch(stdout, /seven|sesame/);
  const events = JSON.parse(await readFile(trace, "utf8")) as readonly {
    readonly cat?: string;
    readonly tid: number;
  }[];
  await rm(folder, { recursive: true });
  assert.ok(events.some(({ cat, tid }) => cat === "load" && tid === 1));
  const calls = events.filter(({ cat }) => cat === "request");
  assert.ok(calls.length >= 5 && calls.every(({ tid }) => tid > 1));
});

const REFUSED: readonly (readonly [readonly string[], RegExp])[] = [
  [[DIGITS, DIGITS], /Two models are called "digits-clip"; give one another name, as in other=/],
  [["no/such/model"], /There is no model folder no\/such\/model/],
  [[DIGITS, "--port", "70000"], /--port.*whole number from 0 to 65535/s],
  [[DIGITS, "--max-wait", "soon"], /--max-wait.*Expected milliseconds, 0 or more/s],
  [[DIGITS, "--components", "sound"], /--components.*one of vision, text, audio/s],
  [
    [DIGITS, "--token", "with space"],
    /--token.*Expected a token of letters, digits and any of \._~\+\/-, without spaces\./s,
  ],
  [
    [DIGITS, "--host", "nope.invalid"],
    /Port 8000 of nope\.invalid cannot be opened: no interface of this machine is called so/,
  ],
  [[DIGITS, "--json"], /--json is of commands that end with one document; `fovea serve` writes a line of JSON/],
  [[DIGITS, "--trace-limit", "1m"], /--trace-limit is how large the file of --trace may be, and there is no --trace\./],
  [[DIGITS, "--allow-images-from", "http://x"], /--allow-images-from.*Expected a list of hosts/s],
  [[DIGITS, "--cors", "https://a.test, foo"], /--cors.*Expected a list of origins in lower case and without a path/s],
];

test("serve refuses what makes no sense before it listens", async () => {
  for (const [args, says] of REFUSED) {
    const { code, stdout, stderr } = await runCli(["serve", ...args, "--threads", "0"]);
    assert.equal(code, 2, stderr);
    assert.equal(stdout.replaceAll(/^\{.*"load_failed".*\}$/gm, "").trim(), "");
    assert.match(stderr, says);
  }
});
