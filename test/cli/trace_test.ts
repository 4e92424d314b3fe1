/** `--trace` on the command line: a file that says where loading and calls spent their time. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { repositoryPath, runCli } from "../kit/run_cli.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");

interface Event {
  readonly cat?: string;
  readonly ph: string;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  readonly args: Readonly<Record<string, unknown>>;
}

async function traced(args: readonly string[]): Promise<readonly Event[]> {
  const folder = await mkdtemp(join(tmpdir(), "fovea-trace-"));
  try {
    const file = join(folder, "trace.json");
    const { code, stderr } = await runCli([...args, "--threads", "0", "--trace", file]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /wrote \d+ spans to /);
    return JSON.parse(await readFile(file, "utf8")).traceEvents.filter((e: Event) => e.ph === "X");
  } finally {
    await rm(folder, { recursive: true });
  }
}

const of = (events: readonly Event[], cat: string): readonly Event[] => events.filter((e) => e.cat === cat);

test("embed traces loading with its passes, then the call with its launches and the read-back", async () => {
  const events = await traced(["embed", DIGITS, "--text", "a seven", "--no-cache"]);
  const [load] = of(events, "load");
  const [request] = of(events, "request");
  assert.ok(load.tid !== request.tid && load.ts + load.dur <= request.ts);
  for (const kind of ["compile", "pass", "proof", "weights"]) {
    assert.ok(of(events, kind).length > 0, `no ${kind}`);
    assert.ok(of(events, kind).every((e) => e.tid === load.tid));
  }
  for (const kind of ["prepare", "plan", "link", "write", "launches", "read"]) {
    const own = of(events, kind);
    assert.ok(own.length > 0, `no ${kind}`);
    for (const e of own) assert.ok(request.ts <= e.ts && e.ts + e.dur <= request.ts + request.dur + 1, kind);
  }
  assert.ok(of(events, "launches").every((e) => e.args.tag !== undefined && e.args.batch === 1));
});

test("bench traces each run", async () => {
  const events = await traced(["bench", DIGITS, "--component", "text", "--load-format", "dummy", "--runs", "2"]);
  // Two runs warm up.
  assert.equal(of(events, "request").length, 4);
  assert.equal(of(events, "plan").length, 1);
});
