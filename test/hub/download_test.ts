/** Downloads that break, change or are refused: what is kept, what is fetched again, what is said. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type PulledModel, pullModel } from "../../mod.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { openHub } from "../../runtime/hub/open_hub.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { type Asked, type Fault, folderFiles, type HubModel, type HubServer, startHub } from "./hub_server.ts";

const COMMIT = "c".repeat(40);

interface Place {
  readonly hub: HubServer;
  readonly folder: string;
  readonly model: HubModel;
  readonly pull: () => Promise<PulledModel>;
  /** As `pull`, of the weights alone, with pauses that a test can wait for. */
  readonly fetchWeights: () => Promise<void>;
  /** Size of the model's weights. */
  readonly size: number;
}

/** A hub with a model of one weight file that is fetched whole. */
async function withModel(run: (place: Place) => Promise<void>): Promise<void> {
  const model: HubModel = { commit: COMMIT, files: folderFiles(repositoryPath("test/fixtures/vit")) };
  const hub = await startHub({ "acme/model": model });
  const folder = mkdtempSync(join(tmpdir(), "fovea-download-"));
  const size = (model.files.get("model.safetensors") as { bytes: Uint8Array }).bytes.length;
  const pull = (): Promise<PulledModel> =>
    pullModel("hf:acme/model", { hub: { endpoint: hub.url }, to: join(folder, "model") });
  const fetchWeights = async (): Promise<void> => {
    const to = join(folder, "model");
    const options = {
      host: await detectHost(),
      endpoint: hub.url,
      offline: false,
      models: undefined,
      to,
      firstWait: 2,
    };
    await (await openHub("hf:acme/model", options)).fetch("model.safetensors");
  };
  try {
    await run({ hub, folder: join(folder, "model"), model, pull, fetchWeights, size });
  } finally {
    await hub.close();
    rmSync(folder, { recursive: true });
  }
}

const isWhole = (a: Asked): boolean => a.server === "store" && !/^bytes=(0-7|8-\d+)$/.test(a.range ?? "");

/** Bytes of the weights' data that were sent, headers left out. */
const sentOf = (hub: HubServer): number => hub.asked.filter(isWhole).reduce((n, a) => n + a.sent, 0);

const partials = (folder: string): readonly string[] =>
  readdirSync(join(folder, ".fovea")).filter((n) => n.endsWith(".partial"));

/** Does something to the first request that fits, or to the first few. */
function first(fits: (asked: Asked) => boolean, fault: Fault, times = 1): (asked: Asked) => Fault | undefined {
  let left = times;
  return (asked) => {
    if (left === 0 || !fits(asked)) return undefined;
    left--;
    return fault;
  };
}

test("a connection that breaks is taken up where it broke, without a byte fetched twice", async () => {
  await withModel(async ({ hub, pull, size, folder, model }) => {
    const cuts = [1000, 40_000, 7];
    hub.fault = (asked) => {
      const cutAfter = isWhole(asked) ? cuts.shift() : undefined;
      return cutAfter === undefined ? undefined : { cutAfter };
    };
    const pulled = await pull();
    assert.equal(cuts.length, 0);
    assert.equal(sentOf(hub), size);
    assert.deepEqual(
      new Uint8Array(readFileSync(join(folder, "model.safetensors"))),
      model.files.get("model.safetensors")?.bytes,
    );
    assert.equal(pulled.fetchedBytes, pulled.bytes);
    assert.deepEqual(partials(folder), []);
  });
});

test("a download that stays broken says where it stopped, and the next pull goes on from there", async () => {
  await withModel(async ({ hub, fetchWeights, size, folder }) => {
    let begun = false;
    hub.fault = (asked) => {
      if (!isWhole(asked)) return undefined;
      const cutAfter = begun ? 0 : 50_000;
      begun = true;
      return { cutAfter };
    };
    await assert.rejects(fetchWeights(), {
      code: "hub.broken",
      message: /model\.safetensors broke off at 48\.8 KiB of .*KiB: .*goes on from there/,
    });
    assert.equal(partials(folder).length, 1);
    hub.fault = () => undefined;
    hub.forget();
    await fetchWeights();
    assert.equal(sentOf(hub), size - 50_000);
    assert.deepEqual(
      hub.asked.filter(isWhole).map((a) => a.range),
      [`bytes=50000-${size - 1}`],
    );
  });
});

test("an abort ends a pull with its reason and keeps what came", async () => {
  await withModel(async ({ hub, pull, size, folder }) => {
    hub.fault = first(isWhole, { stallAfter: 30_000 });
    const stop = new AbortController();
    const reason = new Error("enough");
    const pulling = pullModel("hf:acme/model", {
      hub: { endpoint: hub.url },
      to: folder,
      signal: stop.signal,
      onProgress: ({ item, done }) => {
        if (item === "model.safetensors" && done > 30_000) stop.abort(reason);
      },
    });
    await assert.rejects(pulling, (error) => error === reason);
    hub.forget();
    await pull();
    assert.equal(sentOf(hub), size - 30_000);
  });
});

test("damaged bytes are noticed by their digest and thrown away", async () => {
  await withModel(async ({ hub, pull, size, folder }) => {
    hub.fault = first(isWhole, { damage: true });
    await assert.rejects(pull(), {
      code: "hub.wrong_digest",
      message: /model\.safetensors arrived damaged: its SHA-256 is [0-9a-f]{64}; expected [0-9a-f]{64}\..*try again/,
    });
    assert.deepEqual(partials(folder), []);
    assert.ok(!readdirSync(folder).includes("model.safetensors"));
    hub.forget();
    await pull();
    assert.equal(sentOf(hub), size);
  });
});

test("pulls at once do not disturb each other, even where one of them is damaged", async () => {
  await withModel(async ({ hub, pull, folder, model }) => {
    const whole = (): Uint8Array => new Uint8Array(readFileSync(join(folder, "model.safetensors")));
    hub.fault = first(isWhole, { damage: true });
    const outcomes = await Promise.allSettled([pull(), pull(), pull()]);
    const failed = outcomes.flatMap((o) => (o.status === "rejected" ? [(o.reason as { code: string }).code] : []));
    assert.deepEqual(failed, ["hub.wrong_digest"]);
    assert.deepEqual(whole(), model.files.get("model.safetensors")?.bytes);
    assert.deepEqual(partials(folder), []);
  });
});

test("small files are checked by git's digest", async () => {
  await withModel(async ({ hub, pull }) => {
    hub.fault = first((a) => a.path.endsWith("/config.json"), { damage: true });
    await assert.rejects(pull(), { code: "hub.wrong_digest", message: /config\.json.*git SHA-1 is [0-9a-f]{40};/ });
    await pull();
  });
});

test("a server that is busy is asked again after the time that it names", async () => {
  await withModel(async ({ hub, pull, fetchWeights, folder }) => {
    hub.fault = first(() => true, { status: 429, headers: { "retry-after": "1" } });
    const begin = performance.now();
    await pull();
    assert.ok(performance.now() - begin > 950);
    rmSync(folder, { recursive: true });
    hub.fault = first(isWhole, { status: 503 }, 2);
    await fetchWeights();
  });
});

test("a server that wants a long pause is not waited for", async () => {
  await withModel(async ({ hub, pull }) => {
    hub.fault = () => ({ status: 429, headers: { "retry-after": "3600" } });
    await assert.rejects(pull(), { code: "hub.busy", message: /status 429 and asks to wait 3600 seconds/ });
    assert.equal(hub.asked.length, 1);
  });
});

test("a model that was renamed is followed to its new name", async () => {
  await withModel(async ({ hub, pull }) => {
    hub.fault = first((a) => a.path.startsWith("/api"), {
      status: 307,
      headers: { location: "/api/models/acme/model/revision/main?expand=sha" },
    });
    assert.equal((await pull()).commit, COMMIT);
  });
});

const CHANGES: readonly { readonly what: string; readonly fault: Fault; readonly on: RegExp; readonly says: RegExp }[] =
  [
    {
      what: "another commit",
      fault: { headers: { "x-repo-commit": "d".repeat(40) } },
      on: /resolve/,
      says: /came from commit d{40}; expected c{40}\. Pull again/,
    },
    {
      what: "another digest of a large file",
      fault: { headers: { "x-linked-etag": `"${"e".repeat(64)}"` } },
      on: /resolve.*safetensors/,
      says: /has the SHA-256 e{64}; expected [0-9a-f]{64}\. Pull again/,
    },
    {
      what: "another range",
      fault: { ignoreRange: true },
      on: /objects/,
      says: /status 200 when bytes 0-7 were asked/,
    },
  ];

for (const { what, fault, on, says } of CHANGES) {
  test(`an answer with ${what} than was asked for is refused`, async () => {
    await withModel(async ({ hub, pull }) => {
      hub.fault = (a) => (on.test(a.path) ? fault : undefined);
      await assert.rejects(pull(), { message: says });
    });
  });
}

test("a file that changes between two of its ranges is refused", async () => {
  await withModel(async ({ hub, pull }) => {
    let count = 0;
    hub.fault = (a) => (a.server === "store" ? { headers: { etag: `"${count++}"` } } : undefined);
    await assert.rejects(pull(), { code: "hub.changed", message: /its ETag was "1" and now is "2"/ });
  });
});

test("something that is no hub is told about", async () => {
  await withModel(async ({ hub, pull, fetchWeights }) => {
    hub.fault = () => ({ status: 200, headers: { "content-type": "text/html" } });
    await assert.rejects(pull(), { code: "hub.invalid_answer", message: /no list of files.*Check the hub's address/ });
    await hub.close();
    await assert.rejects(fetchWeights(), { code: "fetch_failed", message: /cannot be reached.*--offline/ });
  });
});
