/** Models of the hub on the command line: what works with them, and each failure as a sentence. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { folderFiles, type HubModel, type HubServer, startHub } from "../hub/hub_server.ts";
import { type CliResult, repositoryPath, runCli } from "../kit/run_cli.ts";

const COMMIT = "d".repeat(40);
const DIGITS = repositoryPath("examples/models/digits-clip");

interface Place {
  readonly hub: HubServer;
  readonly folder: string;
  readonly run: (...args: readonly string[]) => Promise<CliResult>;
  /** In a process of its own, until it is killed. */
  readonly start: (kill: AbortSignal, ...args: readonly string[]) => Promise<CliResult>;
}

async function withHub(run: (place: Place) => Promise<void>): Promise<void> {
  const model = (name: string, access?: HubModel["access"]): HubModel => ({
    commit: COMMIT,
    files: folderFiles(repositoryPath(name)),
    ...(access === undefined ? {} : { access }),
  });
  const hub = await startHub({
    "acme/digits": model("examples/models/digits-clip"),
    "acme/gated": model("test/fixtures/vit", "gated"),
    "acme/private": model("test/fixtures/vit", "private"),
  });
  const folder = mkdtempSync(join(tmpdir(), "fovea-cli-hub-"));
  const env = { FOVEA_CACHE_DIR: folder, HF_ENDPOINT: hub.url, HF_HOME: join(folder, "home"), HF_TOKEN: "" };
  try {
    await run({
      hub,
      folder,
      run: (...args) => runCli(args, { env }),
      start: (kill, ...args) => runCli(args, { env, kill }),
    });
  } finally {
    await hub.close();
    rmSync(folder, { recursive: true });
  }
}

function document({ code, stdout, stderr }: CliResult): Readonly<Record<string, unknown>> {
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Readonly<Record<string, unknown>>;
}

test("a pulled model verifies and embeds without the hub", async () => {
  await withHub(async ({ hub, run, folder }) => {
    const pulled = document(await run("pull", "hf:acme/digits", "--json"));
    assert.equal(pulled.commit, COMMIT);
    assert.deepEqual(pulled.components, ["vision", "text"]);
    assert.equal(pulled.folder, `${folder}/hub/acme--digits@main`);
    assert.equal(pulled.fetchedBytes, pulled.bytes);
    // What is beside the model is fetched when it is asked for.
    const verified = document(await run("verify", "hf:acme/digits", "--json", "--component", "text"));
    assert.equal(verified.failed, 0);
    await hub.close();
    // Its numbers are those that were verified, and its artifacts too.
    const embedded = document(await run("embed", "hf:acme/digits", "--text", "zero", "one", "--json", "--offline"));
    assert.deepEqual(
      (embedded.text_embeds as readonly (readonly number[])[]).map((row) => row.length),
      [64, 64],
    );
    const again = await run("pull", "hf:acme/digits", "--offline");
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stdout, /model\.safetensors .*\n.*tokenizer\.json/s);
    assert.match(
      again.stdout,
      /hf:acme\/digits \(clip, vision, text\) at commit dddddddddddd\n.* 0 bytes of it fetched now/,
    );
  });
});

test("a killed pull goes on where it was", async () => {
  await withHub(async ({ hub, start, folder }) => {
    const kill = new AbortController();
    const to = join(folder, "model");
    const size = (statSync(join(DIGITS, "model.safetensors"), { throwIfNoEntry: true }) as { size: number }).size;
    hub.fault = (asked) => (asked.server === "store" && asked.range === undefined ? { stallAfter: 40_000 } : undefined);
    const first = start(kill.signal, "pull", "hf:acme/digits", "--to", to);
    const written = (): number => {
      const own = join(to, ".fovea");
      const partial = readdirSync(own).find((n) => n.startsWith("model.safetensors") && n.endsWith(".partial"));
      return partial === undefined ? 0 : statSync(join(own, partial)).size;
    };
    await waitFor(() => hub.asked.some((a) => a.sent === 40_000) && written() === 40_000);
    kill.abort();
    assert.notEqual((await first).code, 0);
    hub.fault = () => undefined;
    hub.forget();
    const { code, stderr } = await runCli(["pull", "hf:acme/digits", "--to", to], { env: { HF_ENDPOINT: hub.url } });
    assert.equal(code, 0, stderr);
    const sent = hub.asked.filter((a) => a.server === "store" && a.range?.startsWith("bytes=40000-") === true);
    assert.deepEqual(
      sent.map((a) => a.sent),
      [size - 40_000],
    );
    assert.deepEqual(readFileSync(join(to, "model.safetensors")), readFileSync(join(DIGITS, "model.safetensors")));
    assert.equal(hub.asked.filter((a) => a.path.includes("config.json")).length, 0);
  });
});

test("two processes that pull one model at once both end with it whole", async () => {
  await withHub(async ({ run }) => {
    for (const result of await Promise.all([
      run("pull", "hf:acme/digits", "--json"),
      run("pull", "hf:acme/digits", "--json"),
    ]))
      document(result);
    const { folder } = document(await run("pull", "hf:acme/digits", "--json", "--offline"));
    const weights = readFileSync(join(String(folder), "model.safetensors"));
    assert.deepEqual(weights, readFileSync(join(DIGITS, "model.safetensors")));
  });
});

test("a token comes from the environment, or from a login", async () => {
  await withHub(async ({ hub, folder }) => {
    const env = { HF_ENDPOINT: hub.url, HF_HOME: folder };
    const to = (name: string): readonly string[] => ["pull", "hf:acme/gated", "--json", "--to", join(folder, name)];
    document(await runCli(to("b"), { env: { ...env, HF_TOKEN: hub.token } }));
    writeFileSync(join(folder, "token"), `${hub.token}\n`);
    document(await runCli(to("c"), { env: { ...env, HF_TOKEN: "" } }));
  });
});

async function waitFor(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500; i++) {
    try {
      if (holds()) return;
    } catch {
      // The folder is not there yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail("it did not happen within 10 seconds");
}
