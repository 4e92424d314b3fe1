/** Pulling models from a hub: what is asked for, what is kept, and what loads from it. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createRuntime, type ModelSource, pullModel, type RuntimeOptions } from "../../mod.ts";
import { parseSafetensors } from "../../runtime/exec/weights/safetensors.ts";
import { readAllTensors } from "../../runtime/exec/weights/writer.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { folderFiles, type HubModel, type HubServer, startHub } from "./hub_server.ts";

const COMMIT = "a".repeat(40);
const NEXT_COMMIT = "b".repeat(40);

/** Artifacts of earlier loads. */
const CACHE = join(tmpdir(), "fovea-test-cache");

const fixture = (name: string): string => repositoryPath(`test/fixtures/${name}`);

/** A hub with one model, and a folder for what is pulled. */
async function withHub(
  name: string,
  run: (hub: HubServer, folder: string, model: HubModel) => Promise<void>,
  more: Partial<HubModel> = {},
): Promise<void> {
  const model: HubModel = { commit: COMMIT, files: folderFiles(fixture(name)), ...more };
  const hub = await startHub({ "acme/model": model });
  const folder = mkdtempSync(join(tmpdir(), "fovea-hub-"));
  try {
    await run(hub, folder, model);
  } finally {
    await hub.close();
    rmSync(folder, { recursive: true });
  }
}

async function withEncoder<T>(
  source: ModelSource,
  options: RuntimeOptions,
  use: (encoder: Awaited<ReturnType<Awaited<ReturnType<typeof createRuntime>>["load"]>>) => Promise<T>,
  components?: readonly ("vision" | "text")[],
): Promise<T> {
  const runtime = await createRuntime({ threads: 0, cache: CACHE, ...options });
  try {
    return await use(await runtime.load(source, components === undefined ? {} : { components }));
  } finally {
    await runtime.close();
  }
}

/** Bytes of a shard that are not its tensors'. */
const headerBytes = (bytes: Uint8Array): number => 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));

test("of a sharded model with a language model only the vision tower's bytes are fetched", async () => {
  await withHub("qwen2_5_vl", async (hub, folder, { files }) => {
    const shards = [...files].filter(([name]) => name.endsWith(".safetensors") && name.startsWith("model-"));
    let needed = (files.get("config.json") as { bytes: Uint8Array }).bytes.length;
    needed += (files.get("model.safetensors.index.json") as { bytes: Uint8Array }).bytes.length;
    const own: Record<string, Uint8Array> = {};
    for (const [name, { bytes }] of shards) {
      const { tensors } = parseSafetensors(name, bytes);
      const vision = [...tensors.values()].filter((t) => t.name.startsWith("visual."));
      for (const t of vision) own[t.name] = bytes.subarray(t.offset, t.offset + t.bytes);
      needed += vision.reduce((n, t) => n + t.bytes, headerBytes(bytes));
      // The second shard is the tower's alone and comes whole, header included.
      if (vision.length === tensors.size) needed += headerBytes(bytes);
    }
    const pulled = await pullModel("hf:acme/model", { hub: { endpoint: hub.url, folder }, components: ["vision"] });
    assert.equal(hub.takeSent(), needed);
    const names = pulled.files.map((f) => f.name);
    assert.equal(names.length, 3);
    assert.match(names.join(), /^config.json,model-00001-of-00002-[0-9a-f]{8}.safetensors,model-00002-of-00002.saf/);
    for (const [name, bytes] of Object.entries(own)) {
      const file = names.find((n) => {
        if (!n.endsWith(".safetensors")) return false;
        return parseSafetensors(n, new Uint8Array(readFileSync(join(pulled.folder, n)))).tensors.has(name);
      });
      assert.ok(file !== undefined, `${name} is in no file`);
      const whole = new Uint8Array(readFileSync(join(pulled.folder, file)));
      const { offset, bytes: size } = parseSafetensors(file, whole).tensors.get(name) as {
        offset: number;
        bytes: number;
      };
      assert.deepEqual(whole.subarray(offset, offset + size), bytes);
    }
  });
});

test("a pulled model loads by its name without a request, and by its path like any folder", async () => {
  await withHub("qwen2_5_vl", async (hub, folder) => {
    const to = join(folder, "vision");
    const settings = { endpoint: hub.url, folder };
    const { folder: kept } = await pullModel("hf:acme/model", { hub: settings });
    const { folder: own } = await pullModel("hf:acme/model", { hub: settings, to });
    assert.equal(own, to);
    assert.ok(kept.startsWith(folder));
    hub.forget();
    const cases = readAllTensors(readFileSync(`${fixture("qwen2_5_vl")}/case-video.safetensors`));
    const inputs = Object.fromEntries(
      Object.entries(cases).flatMap(([name, t]) => (name.startsWith("input.") ? [[name.slice(6), t]] : [])),
    );
    const results = [];
    for (const source of [fixture("qwen2_5_vl"), to, "hf:acme/model"]) {
      const found = await withEncoder(source, { hub: settings }, (e) =>
        e.encode(inputs, { outputs: ["pooler_output"] }),
      );
      results.push(found.pooler_output);
    }
    assert.deepEqual(results[1], results[0]);
    assert.deepEqual(results[2], results[0]);
    assert.deepEqual(hub.asked, []);
  });
});

test("a load fetches what it needs, keeps it, and fetches another tower's bytes when that one is wanted", async () => {
  await withHub("clip", async (hub, folder, { files }) => {
    const whole = (files.get("model.safetensors") as { bytes: Uint8Array }).bytes;
    const tensors = [...parseSafetensors("model.safetensors", whole).tensors.values()];
    const size = (of: RegExp): number => tensors.filter((t) => of.test(t.name)).reduce((n, t) => n + t.bytes, 0);
    const config = (files.get("config.json") as { bytes: Uint8Array }).bytes.length;
    const options = { hub: { endpoint: hub.url, folder } };
    const modalities = (components: readonly ("vision" | "text")[]): Promise<readonly string[]> =>
      withEncoder("hf:acme/model", options, async (e) => e.modalities, components);
    assert.deepEqual(await modalities(["vision"]), ["vision"]);
    assert.equal(hub.takeSent(), config + headerBytes(whole) + size(/^(vision_model|visual_projection|logit_scale)/));
    assert.deepEqual(await modalities(["vision"]), ["vision"]);
    assert.equal(hub.takeSent(), 0);
    assert.deepEqual(await modalities(["vision", "text"]), ["vision", "text"]);
    assert.equal(hub.takeSent(), headerBytes(whole) + size(/^(text_model|text_projection)/));
    const asked = hub.asked.length;
    assert.deepEqual(await modalities(["text"]), ["text"]);
    assert.equal(hub.asked.length, asked);
  });
});

test("a file that is needed nearly whole comes whole under its own name", async () => {
  await withHub("sentence-minilm", async (hub, folder, { files }) => {
    const pulled = await pullModel("hf:acme/model", { hub: { endpoint: hub.url, folder } });
    const names = pulled.files.map((f) => f.name);
    const expected = ["1_Pooling/config.json", "config.json", "model.safetensors", "modules.json"];
    assert.deepEqual(names, [...expected, "sentence_bert_config.json", "tokenizer.json", "tokenizer_config.json"]);
    for (const name of names) {
      const { bytes } = files.get(name) as { bytes: Uint8Array };
      assert.deepEqual(new Uint8Array(readFileSync(join(pulled.folder, name))), bytes);
    }
    await hub.close();
    const { sentence_embedding } = await withEncoder("hf:acme/model", { hub: { folder, offline: true } }, (e) =>
      e.encode({ texts: ["a cat"] }),
    );
    assert.equal(sentence_embedding?.shape[0], 1);
  });
});

test("weights beside the checkpoint's own are pulled with it", async () => {
  await withHub("sentence-dense", async (hub, folder) => {
    const embed = async (hubSettings: object): Promise<ArrayLike<number>> => {
      const found = await withEncoder("hf:acme/model", { hub: hubSettings }, (e) => e.encode({ texts: ["a cat"] }));
      return (found.sentence_embedding as { data: ArrayLike<number> }).data;
    };
    const unkept = await embed({ endpoint: hub.url, folder: false });
    const pulled = await pullModel("hf:acme/model", { hub: { endpoint: hub.url, folder } });
    const dense = pulled.files.map((f) => f.name).filter((name) => name.includes("Dense"));
    const kinds = ["config.json", "model.safetensors"];
    assert.deepEqual(
      dense,
      ["2_Dense", "3_Dense"].flatMap((own) => kinds.map((file) => `${own}/${file}`)),
    );
    assert.equal((await pullModel("hf:acme/model", { hub: { endpoint: hub.url, folder } })).fetchedBytes, 0);
    await hub.close();
    assert.deepEqual(await embed({ folder, offline: true }), unkept);
  });
});

test("pulling again fetches nothing, and of a new commit only what changed", async () => {
  await withHub("clip", async (hub, folder, model) => {
    const options = { hub: { endpoint: hub.url, folder } };
    const first = await pullModel("hf:acme/model", options);
    assert.equal(first.commit, COMMIT);
    hub.takeSent();
    const again = await pullModel("hf:acme/model", options);
    assert.equal(hub.takeSent(), 0);
    assert.deepEqual(again, { ...first, fetchedBytes: 0 });

    const config = new TextEncoder().encode(`${readFileSync(`${fixture("clip")}/config.json`, "utf8")}\n`);
    model.commit = NEXT_COMMIT;
    model.files.set("config.json", { bytes: config, large: false });
    const moved = await pullModel("hf:acme/model", options);
    assert.equal(moved.commit, NEXT_COMMIT);
    assert.equal(hub.takeSent(), config.length);
    assert.deepEqual(new Uint8Array(readFileSync(join(moved.folder, "config.json"))), config);

    model.commit = COMMIT;
    const weights = Uint8Array.from((model.files.get("model.safetensors") as { bytes: Uint8Array }).bytes);
    weights[weights.length - 1] ^= 1;
    model.files.set("model.safetensors", { bytes: weights, large: true });
    await pullModel("hf:acme/model", options);
    assert.deepEqual(readdirSync(moved.folder).sort(), [".fovea", "config.json", "model.safetensors"]);
    assert.deepEqual(new Uint8Array(readFileSync(join(moved.folder, "model.safetensors"))), weights);
  });
});

test("revisions have folders of their own", async () => {
  await withHub(
    "vit",
    async (hub, folder) => {
      const options = { hub: { endpoint: hub.url, folder } };
      const tagged = await pullModel("hf:acme/model@refs/pr/1", options);
      assert.match(tagged.folder, /acme--model@refs%2Fpr%2F1$/);
      assert.match((await pullModel(`hf:acme/model@${COMMIT}`, options)).folder, new RegExp(`@${COMMIT}$`));
      assert.deepEqual(readdirSync(folder).length, 2);
    },
    { revisions: ["refs/pr/1", "refs%2Fpr%2F1"] },
  );
});

test("without a folder a model is read over the network and nothing is kept", async () => {
  await withHub("clip", async (hub, folder) => {
    const options = { cache: folder, hub: { endpoint: hub.url, folder: false as const } };
    for (let i = 0; i < 2; i++) {
      hub.forget();
      const found = await withEncoder("hf:acme/model", options, async (e) => e.modalities, ["text"]);
      assert.deepEqual(found, ["text"]);
      assert.ok(hub.takeSent() > 10_000);
    }
    assert.ok(!readdirSync(folder).includes("hub"));
  });
});

test("the cache's folder keeps models in its own folder `hub`", async () => {
  await withHub("vit", async (hub, folder) => {
    await withEncoder("hf:acme/model", { cache: folder, hub: { endpoint: hub.url } }, async () => undefined);
    assert.deepEqual(readdirSync(join(folder, "hub")), ["acme--model@main"]);
  });
});

test("a token opens a gated model and is never sent to another server", async () => {
  await withHub(
    "vit",
    async (hub, folder) => {
      const denied = { code: "hub.denied", message: /gated.*Accept its conditions at http.*acme\/model.*--token/ };
      await assert.rejects(pullModel("hf:acme/model", { hub: { endpoint: hub.url, folder } }), denied);
      const wrong = { endpoint: hub.url, folder, token: "hf_wrong" };
      await assert.rejects(pullModel("hf:acme/model", { hub: wrong }), { code: "hub.denied", message: /not valid/ });
      hub.forget();
      await pullModel("hf:acme/model", { hub: { endpoint: hub.url, folder, token: hub.token } });
      const sent = (server: string): readonly (string | undefined)[] => [
        ...new Set(hub.asked.filter((a) => a.server === server).map((a) => a.authorization)),
      ];
      assert.deepEqual(sent("hub"), [`Bearer ${hub.token}`]);
      assert.deepEqual(sent("store"), [undefined]);
    },
    { access: "gated" },
  );
});

test("a folder that holds something else is refused", async () => {
  await withHub("vit", async (hub, folder) => {
    writeFileSync(join(folder, "notes.txt"), "mine");
    const options = { hub: { endpoint: hub.url }, to: folder };
    await assert.rejects(pullModel("hf:acme/model", options), { code: "folder_in_use", message: /notes\.txt/ });
    const to = join(folder, "own");
    await pullModel("hf:acme/model", { ...options, to });
    const other = pullModel("hf:acme/other", { ...options, to, refresh: false });
    await assert.rejects(other, { code: "folder_in_use", message: /holds the model acme\/model/ });
  });
});

test("offline, what was not pulled is an error that says how to pull it", async () => {
  await withHub("clip", async (hub, folder) => {
    const offline = { endpoint: hub.url, folder, offline: true };
    const load = (components: readonly ("vision" | "text")[]): Promise<unknown> =>
      withEncoder("hf:acme/model", { hub: offline }, async () => undefined, components);
    const message = /was not pulled.*--offline.*Run `fovea pull hf:acme\/model`/;
    await assert.rejects(load(["vision"]), { code: "hub.offline", message });
    assert.deepEqual(hub.asked, []);
    await pullModel("hf:acme/model", { hub: { endpoint: hub.url, folder }, components: ["vision"] });
    hub.forget();
    await load(["vision"]);
    await assert.rejects(load(["text"]), { code: "hub.offline", message: /tensors.*"text_model\..*were not pulled/ });
    rmSync(join(folder, "acme--model@main", "config.json"));
    await assert.rejects(load(["vision"]), { code: "hub.offline", message: /config\.json of hf:acme\/model/ });
    assert.deepEqual(hub.asked, []);
  });
});
