/** Bad usage and bad input on the command line: a sentence on stderr, exit code 2, nothing on stdout, no stack. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { repositoryPath, runCli } from "../kit/run_cli.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");
const PICTURE = join(DIGITS, "images", "000-2.png");

interface BadCase {
  readonly what: string;
  readonly args: (folder: string) => readonly string[];
  /** What the sentence must say. */
  readonly says: RegExp;
}

const CASES: readonly BadCase[] = [
  {
    what: "an unknown command",
    args: () => ["embedd", "x"],
    says: /unknown command 'embedd'.*\n?.*[Dd]id you mean embed/s,
  },
  {
    what: "an unknown option",
    args: () => ["embed", DIGITS, PICTURE, "--jsn"],
    says: /unknown option '--jsn'.*--json/s,
  },
  { what: "nothing to embed", args: () => ["embed", DIGITS], says: /nothing to embed/ },
  { what: "a missing model folder", args: () => ["embed", "no/such/model", PICTURE], says: /no\/such\/model/ },
  { what: "a missing picture", args: () => ["embed", DIGITS, "no-such.png"], says: /no-such\.png/ },
  { what: "a file that is no picture", args: (f) => ["embed", DIGITS, join(f, "text.png")], says: /text\.png/ },
  { what: "an unknown model_type", args: (f) => ["embed", f, PICTURE], says: /"clipp".*known are clip/s },
  {
    what: "an unknown device",
    args: () => ["embed", DIGITS, PICTURE, "--device", "wasmm"],
    says: /"wasmm".*Did you mean "wasm"/s,
  },
  {
    what: "an unknown target",
    args: () => ["embed", DIGITS, PICTURE, "--target", "wasm-avx"],
    says: /wasm-avx.*wasm-simd128/s,
  },
  {
    what: "an unknown type of weights",
    args: () => ["embed", DIGITS, PICTURE, "--dtype", "fp16"],
    says: /--dtype.*one of f32, f16, bf16/s,
  },
  {
    what: "threads that are no number",
    args: () => ["embed", DIGITS, PICTURE, "--threads", "two"],
    says: /--threads.*whole number/s,
  },
  {
    what: "an output format that is not known",
    args: () => ["embed", DIGITS, PICTURE, "--out", "x.bin"],
    says: /--out x\.bin has no known format; use one of .*\.safetensors/s,
  },
  { what: "labels that are missing", args: () => ["classify", DIGITS, PICTURE], says: /--labels/ },
  {
    what: "a template without a place",
    args: () => ["classify", DIGITS, PICTURE, "--labels", "a,b", "--template", "x"],
    says: /\{\}/,
  },
  {
    what: "a result that the model does not give",
    args: () => ["embed", DIGITS, PICTURE, "--outputs", "image_embed"],
    says: /There is no result "image_embed"; these inputs give .*Did you mean "image_embeds"/s,
  },
  {
    what: "an output folder that is missing",
    args: (f) => ["embed", DIGITS, PICTURE, "--out", join(f, "no", "x.json")],
    says: /there is no folder .*no\. Create it/s,
  },
  {
    what: "a component without cases",
    args: () => ["verify", DIGITS, "--component", "audio"],
    says: /holds no audio cases, so there is nothing to verify; its cases are of vision and text/s,
  },
  {
    what: "inputs beyond the memory",
    args: () => ["bench", DIGITS, "--batch", "100000000000"],
    says: /do not fit into this process's memory/,
  },
  {
    what: "a type of weights for a worker, whose jobs have their own",
    args: () => ["worker", "--queue", "redis://localhost:6379", "--dtype", "f16"],
    says: /Jobs say which type of weights makes their vectors; give --dtype to `fovea enqueue`, not to/,
  },
  {
    what: "a device for what is frozen",
    args: (f) => ["freeze", DIGITS, "--device", "webgpu", "--out", join(f, "edge")],
    says: /A frozen folder computes with WebAssembly wherever it goes; leave out --device webgpu\./,
  },
  {
    what: "a size of a trace beside a row for each file",
    args: (f) => ["embed", DIGITS, PICTURE, "--trace-limit", "1m", "--out", join(f, "x.parquet")],
    says: /--trace-limit does not go with a row for each file/,
  },
  { what: "a folder with nothing to verify", args: (f) => ["verify", f], says: /nothing to verify/ },
  {
    what: "a component that the model lacks",
    args: () => ["bench", DIGITS, "--component", "audio"],
    says: /no "audio" component.*vision, text/s,
  },
];

for (const { what, args, says } of CASES) {
  test(`the command line refuses ${what}`, async () => {
    const folder = await mkdtemp(join(tmpdir(), "fovea-usage-"));
    try {
      await writeFile(join(folder, "config.json"), '{"model_type": "clipp"}');
      await writeFile(join(folder, "text.png"), "this is no picture");
      const { code, stdout, stderr } = await runCli(args(folder));
      assert.equal(code, 2, stderr);
      assert.equal(stdout, "");
      assert.match(stderr, says);
      assert.doesNotMatch(stderr, /^\s+at /m);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}

test("help names every command and shows examples", async () => {
  const { code, stdout } = await runCli(["--help"]);
  assert.equal(code, 0);
  for (const name of ["embed", "classify", "verify", "bench", "doctor"])
    assert.match(stdout, new RegExp(`\\b${name}\\b`));
  const embed = await runCli(["embed", "--help"]);
  assert.equal(embed.code, 0);
  assert.match(embed.stdout, /Examples:/);
});
