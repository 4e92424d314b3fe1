/** What cannot be pulled, and what is said about it. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createRuntime, type PullOptions, pullModel } from "../../mod.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { folderFiles, type HubFile, startHub } from "./hub_server.ts";

const text = (value: string): HubFile => ({ bytes: new TextEncoder().encode(value), large: false });

interface BadCase {
  readonly what: string;
  readonly reference: string;
  readonly options?: PullOptions;
  readonly token?: string;
  readonly code: string;
  readonly says: RegExp;
}

const CASES: readonly BadCase[] = [
  {
    what: "a name of one part",
    reference: "hf:open",
    code: "bad_source",
    says: /"hf:open" is no model of the hub; write hf:organisation\/name/,
  },
  {
    what: "a name that climbs out of folders",
    reference: "hf:acme/..",
    code: "bad_source",
    says: /no model of the hub/,
  },
  {
    what: "a component that the model lacks",
    reference: "hf:acme/open",
    options: { components: ["audio"] },
    code: "no_component",
    says: /vit model has no "audio" component; it has vision/,
  },
  {
    what: "a model that does not exist, asked for with a token",
    reference: "hf:acme/absent",
    token: "hf_right",
    code: "hub.not_found",
    says: /There is no model acme\/absent: .*status 404.*Check the name/,
  },
  {
    what: "a wrong token",
    reference: "hf:acme/open",
    token: "hf_wrong",
    code: "hub.denied",
    says: /status 401.*token that was sent is not valid/,
  },
  {
    what: "a private model without a token",
    reference: "hf:acme/private",
    code: "hub.denied",
    says: /does not exist or is not open to everyone.*No token was sent/,
  },
  {
    what: "a token that is none",
    reference: "hf:acme/open",
    token: "two words",
    code: "bad_token",
    says: /token that was given has characters/,
  },
  {
    what: "a model without safetensors",
    reference: "hf:acme/torch",
    code: "no_checkpoint",
    says: /hf:acme\/torch holds no weights that fovea reads.*found pytorch_model\.bin.*converted/,
  },
  {
    what: "a model without a configuration",
    reference: "hf:acme/bare",
    code: "no_config",
    says: /hf:acme\/bare has no config\.json/,
  },
  {
    what: "an index that names an absent file",
    reference: "hf:acme/shardless",
    code: "missing_shard",
    says: /hf:acme\/shardless are incomplete: .*names "model-1\.safetensors"/,
  },
  {
    what: "weights of another model",
    reference: "hf:acme/mixed",
    code: "missing_tensor",
    says: /tensors that the configuration of hf:acme\/mixed calls for are not in its weights, such as "/,
  },
];

for (const { what, reference, options = {}, token, code, says } of CASES) {
  test(`pulling refuses ${what}`, async () => {
    const vit = folderFiles(repositoryPath("test/fixtures/vit"));
    const clip = folderFiles(repositoryPath("test/fixtures/clip"));
    const config = vit.get("config.json") as HubFile;
    const weights = clip.get("model.safetensors") as HubFile;
    const commit = "f".repeat(40);
    const names = [...new TextDecoder().decode(vit.get("model.safetensors")?.bytes).matchAll(/"([\w.]+)":\{"dtype/g)];
    const index = { weight_map: Object.fromEntries(names.map(([, name]) => [name, "model-1.safetensors"])) };
    const shardless = [
      ["config.json", config] as const,
      ["model.safetensors.index.json", text(JSON.stringify(index))] as const,
    ];
    const hub = await startHub({
      "acme/open": { commit, files: vit },
      "acme/private": { commit, files: vit, access: "private" },
      "acme/torch": {
        commit,
        files: new Map([
          ["config.json", config],
          ["pytorch_model.bin", text("?")],
        ]),
      },
      "acme/bare": { commit, files: new Map([["model.safetensors", weights]]) },
      "acme/shardless": { commit, files: new Map(shardless) },
      "acme/mixed": {
        commit,
        files: new Map([
          ["config.json", config],
          ["model.safetensors", weights],
        ]),
      },
    });
    const folder = mkdtempSync(join(tmpdir(), "fovea-refusals-"));
    try {
      const settings = { endpoint: hub.url, folder, ...(token === undefined ? {} : { token }) };
      await assert.rejects(pullModel(reference, { hub: settings, ...options }), { code, message: says });
      const weightsThere = readdirSync(folder, { recursive: true }).some((n) => String(n).endsWith(".safetensors"));
      assert.equal(weightsThere, false);
    } finally {
      await hub.close();
      rmSync(folder, { recursive: true });
    }
  });
}

test("settings of the hub are checked", async () => {
  const wrong = createRuntime({ hub: { offline: "yes" as unknown as boolean } });
  await assert.rejects(wrong, { code: "invalid_options", message: /`offline` of `hub`.*expected true or false/ });
  const unknown = pullModel("hf:a/b", { hub: { tokn: "x" } as unknown as PullOptions["hub"] & object });
  await assert.rejects(unknown, { code: "invalid_options", message: /no option "tokn".*Did you mean "token"/ });
  const endpoint = pullModel("hf:a/b", { hub: { endpoint: "hub.local" } });
  await assert.rejects(endpoint, { code: "bad_endpoint", message: /"hub\.local" is no http/ });
});
