/** What goes wrong with models of the hub on the command line: a sentence on stderr, exit code 2, nothing on stdout. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Fault, folderFiles, startHub } from "../hub/hub_server.ts";
import { repositoryPath, runCli } from "../kit/run_cli.ts";

const PICTURE = repositoryPath("examples/models/digits-clip/images/000-2.png");

interface BadCase {
  readonly what: string;
  readonly args: (folder: string) => readonly string[];
  readonly fault?: Fault;
  readonly says: RegExp;
}

const CASES: readonly BadCase[] = [
  {
    what: "a name without hf:",
    args: () => ["pull", "acme/open"],
    says: /"acme\/open" is no model.*write hf:acme\/open/,
  },
  {
    what: "a component that nothing has",
    args: () => ["pull", "hf:acme/open", "--components", "visoin"],
    says: /no component "visoin"; known are vision, text, audio/,
  },
  {
    what: "a model that does not exist",
    args: () => ["pull", "hf:acme/absent"],
    says: /hf:acme\/absent does not exist or is not open.*status 401 \(RepoNotFound\).*--token/,
  },
  {
    what: "a revision that does not exist",
    args: () => ["embed", "hf:acme/open@v9", PICTURE],
    says: /acme\/open has no revision "v9".*status 404.*\/acme\/open\/tree\/main/,
  },
  { what: "a gated model", args: () => ["pull", "hf:acme/gated"], says: /gated.*Accept its conditions.*--token/ },
  {
    what: "to serve a gated model, whose --token is its clients'",
    args: () => ["serve", "hf:acme/gated", "--token", "of-clients", "--port", "0", "--no-log"],
    says: /gated.*a token of that account with --token \(of `fovea serve`: --hub-token\), `hub\.token` or HF_TOKEN\./,
  },
  {
    what: "a hub that is busy for long",
    args: () => ["pull", "hf:acme/open"],
    fault: { status: 429, headers: { "retry-after": "900" } },
    says: /busy.*status 429.*wait 900 seconds/,
  },
  {
    what: "a model that was not pulled, offline",
    args: () => ["classify", "hf:acme/open", PICTURE, "--labels", "a,b", "--offline"],
    says: /hf:acme\/open was not pulled.*Run `fovea pull hf:acme\/open` once/,
  },
  {
    what: "to verify without a folder",
    args: () => ["verify", "hf:acme/open", "--no-cache"],
    says: /no folder to pull hf:acme\/open into.*--no-cache/,
  },
];

for (const { what, args, fault, says } of CASES) {
  test(`the command line refuses ${what}`, async () => {
    const files = folderFiles(repositoryPath("test/fixtures/vit"));
    const commit = "e".repeat(40);
    const hub = await startHub({
      "acme/open": { commit, files },
      "acme/gated": { commit, files, access: "gated" },
    });
    if (fault !== undefined) hub.fault = () => fault;
    const folder = mkdtempSync(join(tmpdir(), "fovea-refusals-"));
    try {
      const env = { FOVEA_CACHE_DIR: join(folder, "cache"), HF_ENDPOINT: hub.url, HF_HOME: folder, HF_TOKEN: "" };
      const { code, stdout, stderr } = await runCli(args(folder), { env });
      assert.equal(code, 2, stderr);
      assert.equal(stdout, "");
      assert.match(stderr, says);
      assert.doesNotMatch(stderr, /^\s+at /m);
    } finally {
      await hub.close();
      rmSync(folder, { recursive: true });
    }
  });
}
