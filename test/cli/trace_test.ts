/** `--trace` on the command line: a file that says where loading and calls spent their time. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { traceFile } from "../../runtime/cli/trace_file.ts";
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
    return JSON.parse(await readFile(file, "utf8")).filter((e: Event) => e.ph === "X");
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
  for (const kind of ["compile", "pass", "proof"]) {
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

test("weights that embed loads at their first use are spans of the call, inside link, with their bytes", async () => {
  const events = await traced(["embed", DIGITS, "--text", "a seven", "--no-cache"]);
  const [[link], [request]] = [of(events, "link"), of(events, "request")];
  const weights = of(events, "weights");
  assert.ok(weights.filter((e) => e.args.tag === "clip/text.block").length > 1);
  for (const { tid, ts, dur, args } of weights) {
    assert.ok(Number(args.bytes) > 0, `${args.tag}`);
    assert.ok(tid === request.tid && link.ts <= ts && ts + dur <= link.ts + link.dur, `${args.tag}`);
  }
});

test("bench traces each run", async () => {
  const events = await traced(["bench", DIGITS, "--component", "text", "--load-format", "dummy", "--runs", "2"]);
  // Two runs warm up.
  assert.equal(of(events, "request").length, 4);
  assert.equal(of(events, "plan").length, 1);
});

test("a long trace is written while it goes on, in files of a limited size, of which the last two are kept", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fovea-trace-"));
  const [file, older] = [join(folder, "a.b.json"), join(folder, "a.b.1.json")];
  const limit = 2 ** 20;
  try {
    const { sink, close } = await traceFile({ trace: file, traceLimit: limit });
    const span = (i: number, begin: number): void =>
      sink.trace?.span({ kind: "request", name: "encode", requestId: `${i}`, begin, end: begin + 0.5 });
    let [sizes, i] = [0, 0];
    for (let round = 0; round < 300; round++) {
      for (let n = 0; n < 100; n++, i++) span(i, i);
      if (round % 10 !== 0) continue;
      // The disk has its turn.
      await new Promise((resolve) => setTimeout(resolve, 2));
      // Between two files there is none.
      const size = await stat(file).then(
        (found) => found.size,
        () => 0,
      );
      sizes = Math.max(sizes, size);
    }
    assert.ok(sizes > 2 ** 16 && sizes <= limit + 2 ** 18, `${sizes} bytes before the end`);
    await close();
    const [before, last] = await Promise.all(
      [older, file].map(async (path) => JSON.parse(await readFile(path, "utf8")) as Event[]),
    );
    for (const events of [before, last]) {
      assert.deepEqual(events[0], { name: "process_name", ph: "M", pid: 1, tid: 1, args: { name: "fovea" } });
    }
    const requests = [...before, ...last].filter((e) => e.ph === "X").map((e) => Number(e.args.request));
    assert.deepEqual(
      requests,
      Array.from({ length: requests.length }, (_, n) => i - requests.length + n),
    );
    assert.ok(requests.length < i, "older ones are gone");
    assert.ok((await stat(older)).size <= limit + 2 ** 18);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a trace that cannot be written is refused before anything is computed", async () => {
  const nowhere = join(tmpdir(), "fovea-no-such-folder", "trace.json");
  const { code, stderr, stdout } = await runCli(["embed", DIGITS, "--text", "a", "--threads", "0", "--trace", nowhere]);
  assert.notEqual(code, 0);
  assert.equal(stdout, "");
  assert.match(stderr, /fovea-no-such-folder/);
});
