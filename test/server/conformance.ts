/**
 * What every server of fovea answers over HTTP, wherever it runs: the server of a runtime on Bun, Deno and Node, and a frozen
 * folder's on workerd. They serve the digits model under {@link MODEL}, with {@link TOKEN}, {@link ORIGIN} and {@link MAX_BODY}.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import OpenAI from "openai";
import { readAllTensors } from "../../runtime/exec/weights/writer.ts";
import { DIGITS, dataUri, TWO, WORDS } from "./served.ts";

export const MODEL = "digits";
export const TOKEN = "conformance";
export const ORIGIN = "https://pages.example";
export const MAX_BODY: number = 4 * 2 ** 20;

/** A server under test: asks it for a path, with the token unless told otherwise. */
export type Ask = (path: string, init?: RequestInit) => Promise<Response>;

export interface Case {
  readonly name: string;
  readonly run: (ask: Ask, url: string) => Promise<void>;
}

export const askerOf =
  (url: string): Ask =>
  (path, init = {}) =>
    fetch(new URL(path, url), { ...init, headers: { authorization: `Bearer ${TOKEN}`, ...init.headers } });

const post = (ask: Ask, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  ask(path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

async function answered<T>(response: Response): Promise<T> {
  assert.equal(response.status, 200, response.status === 200 ? "" : await response.clone().text());
  return (await response.json()) as T;
}

async function refused(response: Promise<Response>, status: number, code: string): Promise<string> {
  const found = await response;
  const { error } = (await found.json()) as { error: { code: string; message: string; type: string } };
  assert.deepEqual([found.status, error.code], [status, code], error.message);
  assert.ok(found.headers.get("x-request-id"));
  return error.message;
}

interface Embeddings {
  readonly model: string;
  readonly data: readonly { readonly index: number; readonly embedding: number[] }[];
  readonly usage: { readonly prompt_tokens: number };
}

interface Encoded {
  readonly data: readonly {
    readonly kind: string;
    readonly outputs: Readonly<
      Record<string, { readonly dtype: string; readonly shape: number[]; readonly data: number[] }>
    >;
  }[];
}

const URI = dataUri(TWO);

const embed = async (ask: Ask, body: object): Promise<Embeddings> =>
  answered(await post(ask, "/v1/embeddings", { model: MODEL, ...body }));

function near(found: readonly number[], wanted: readonly number[]): void {
  assert.equal(found.length, wanted.length);
  for (const [i, v] of found.entries()) assert.ok(Math.abs(v - wanted[i]) < 1e-5, `${v} and ${wanted[i]} at ${i}`);
}

const unit = (values: readonly number[]): number[] => values.map((v) => v / Math.hypot(...values));

function form(fields: readonly (readonly [name: string, value: string | Uint8Array])[]): RequestInit {
  const body = new FormData();
  for (const [name, value] of fields) {
    body.append(name, typeof value === "string" ? value : new Blob([Uint8Array.from(value)]));
  }
  return { method: "POST", body };
}

/** Numbers of an NPY file of f32. */
function npyNumbers(bytes: Uint8Array): number[] {
  const begin = 10 + bytes[8] + 256 * bytes[9];
  return [...new Float32Array(bytes.slice(begin).buffer)];
}

const bytesOf = async (response: Response): Promise<Uint8Array> => {
  assert.equal(response.status, 200);
  return new Uint8Array(await response.arrayBuffer());
};

export const CASES: readonly Case[] = [
  {
    name: "tells that it lives, is ready and sealed, without a token",
    run: async (_, url) => {
      assert.deepEqual(await answered(await fetch(new URL("/healthz", url))), { status: "ok" });
      const ready = { status: "ready", models: [MODEL], sealed: true };
      assert.deepEqual(await answered(await fetch(new URL("/readyz", url))), ready);
    },
  },
  {
    name: "asks for a token",
    run: async (ask, url) => {
      await refused(fetch(new URL("/v1/models", url)), 401, "token_missing");
      await refused(ask("/v1/models", { headers: { authorization: "Bearer other" } }), 401, "token_wrong");
      await refused(ask("/metrics", { headers: { authorization: "Bearer" } }), 400, "token_malformed");
    },
  },
  {
    name: "lists what it serves",
    run: async (ask) => {
      const { data } = await answered<{ data: readonly Record<string, unknown>[] }>(await ask("/v1/models"));
      assert.equal(data.length, 1);
      const [{ id, model_type: type, modalities, outputs }] = data;
      assert.deepEqual([id, type, modalities], [MODEL, "clip", ["vision", "text"]]);
      assert.deepEqual((outputs as { text: string[] }).text, ["text_embeds", "pooler_output", "last_hidden_state"]);
      assert.deepEqual(await answered(await ask(`/v1/models/${MODEL}`)), data[0]);
      await refused(ask("/v1/models/other"), 404, "model_not_found");
    },
  },
  {
    name: "embeds texts and pictures in their order, of unit length",
    run: async (ask) => {
      const input = [URI, "two", { text: "seven" }, { type: "image_url", image_url: { url: URI } }, "two"];
      const { data, model, usage } = await embed(ask, { input });
      assert.deepEqual([model, data.map(({ index }) => index)], [MODEL, [0, 1, 2, 3, 4]]);
      assert.ok(usage.prompt_tokens >= 9, String(usage.prompt_tokens));
      for (const { embedding } of data) assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-5);
      near(data[3].embedding, data[0].embedding);
      near(data[4].embedding, data[1].embedding);
      for (const [i, one] of input.entries()) {
        near((await embed(ask, { input: [one] })).data[0].embedding, data[i].embedding);
      }
      const [{ embedding }] = (await embed(ask, { input: "two", dimensions: 8 })).data;
      near(embedding, unit(data[1].embedding.slice(0, 8)));
    },
  },
  {
    name: "serves OpenAI's own client",
    run: async (_, url) => {
      const client = new OpenAI({ baseURL: new URL("/v1", url).href, apiKey: TOKEN, maxRetries: 0 });
      const decoded = await client.embeddings.create({ model: MODEL, input: ["two", URI] });
      const floats = await client.embeddings.create({ model: MODEL, input: ["two", URI], encoding_format: "float" });
      for (const [i, { embedding }] of decoded.data.entries()) near([...embedding], floats.data[i].embedding);
      await assert.rejects(client.embeddings.create({ model: "other", input: "two" }), OpenAI.NotFoundError);
    },
  },
  {
    name: "encodes into every format, from JSON and from forms",
    run: async (ask) => {
      const asked = { images: [URI], outputs: ["image_embeds"] };
      const { data } = await answered<Encoded>(await post(ask, "/v1/encode", asked));
      const { dtype, shape, data: numbers } = data[0].outputs.image_embeds;
      assert.deepEqual([data.length, data[0].kind, dtype, shape], [1, "image", "f32", [1, 64]]);
      near(unit(numbers), (await embed(ask, { input: URI })).data[0].embedding);
      near(npyNumbers(await bytesOf(await post(ask, "/v1/encode", asked, { accept: "application/x-npy" }))), numbers);
      const fields = [
        ["image", TWO],
        ["image", TWO],
        ["outputs", "image_embeds"],
      ] as const;
      const two = await bytesOf(await ask("/v1/encode", form([...fields, ["format", "npy"]])));
      near(npyNumbers(two), [...numbers, ...numbers]);
      const whole = await bytesOf(await post(ask, "/v1/encode", { images: [URI], format: "safetensors" }));
      const tensors = await readAllTensors(whole);
      assert.deepEqual(Object.keys(tensors).sort(), ["image_embeds", "last_hidden_state", "pooler_output"]);
      near([...(tensors.image_embeds.data as Float32Array)], numbers);
      const torch = await bytesOf(await post(ask, "/v1/encode", { ...asked, format: "torch" }));
      assert.deepEqual([torch[0], torch[1]], [0x50, 0x4b]);
      const lines = await post(ask, "/v1/encode", { texts: ["one", "two", "three"], format: "ndjson" });
      const indices = (await lines.text()).trimEnd().split("\n");
      assert.deepEqual(indices.map((line) => JSON.parse(line).index).sort(), [0, 1, 2]);
    },
  },
  {
    name: "classifies pictures of digits",
    run: async (ask) => {
      const names = readdirSync(join(DIGITS, "images")).slice(0, 20);
      const images = names.map((name) => dataUri(readFileSync(join(DIGITS, "images", name))));
      const body = { images, labels: WORDS, template: "a photo of the digit {}" };
      const { data } = await answered<{ data: readonly { label: string; probabilities: number[] }[] }>(
        await post(ask, "/v1/classify", body),
      );
      assert.deepEqual(
        data.map(({ label }) => label),
        names.map((name) => WORDS[Number(name.at(-5))]),
      );
      const sum = data[0].probabilities.reduce((total, p) => total + p, 0);
      assert.ok(Math.abs(sum - 1) < 1e-6);
      const fields = [
        ["image", TWO],
        ["labels", "one,two"],
      ] as const;
      const one = await answered<{ data: readonly { label: string }[] }>(await ask("/v1/classify", form(fields)));
      assert.equal(one.data[0].label, "two");
    },
  },
  {
    name: "refuses what is wrong with sentences, and goes on",
    run: async (ask) => {
      const path = "/v1/embeddings";
      assert.match(
        await refused(post(ask, path, { input: "two", modle: MODEL }), 400, "unknown_field"),
        /Did you mean "model"/,
      );
      await refused(post(ask, path, "{"), 400, "invalid_body");
      await refused(post(ask, path, {}), 400, "missing_field");
      await refused(post(ask, path, { input: [] }), 400, "invalid_field");
      await refused(post(ask, path, "two", { "content-type": "text/plain" }), 415, "unsupported_media_type");
      await refused(post(ask, path, { input: "two", dimensions: 65 }), 400, "invalid_dimensions");
      await refused(post(ask, path, { input: [{ image: "https://example.com/two.png" }] }), 400, "image_url.off");
      await refused(post(ask, path, { input: [{ image: dataUri(TWO.subarray(0, 50)) }] }), 400, "image.truncated");
      await refused(post(ask, path, { input: "two" }, { "x-request-timeout": "soon" }), 400, "invalid_timeout");
      await refused(post(ask, path, { input: "x".repeat(100_001) }), 413, "text.too_long");
      await refused(post(ask, "/v1/encode", { texts: ["two"], outputs: ["image_embed"] }), 400, "unknown_output");
      await refused(post(ask, "/v1/encode", {}), 400, "nothing_to_encode");
      await refused(post(ask, "/v1/classify", { images: [URI], labels: [] }), 400, "invalid_field");
      await refused(post(ask, path, `{"input":"${"x".repeat(MAX_BODY)}"}`), 413, "body_too_large");
      await refused(ask("/v1/nothing"), 404, "not_found");
      const other = await ask(path, { method: "PUT", body: "{}" });
      assert.deepEqual([other.status, other.headers.get("allow")], [405, "POST"]);
      await other.text();
      assert.equal((await embed(ask, { input: "two" })).data.length, 1);
    },
  },
  {
    name: "keeps a client's request id and makes others",
    run: async (ask) => {
      const idOf = async (headers: Record<string, string>): Promise<string> => {
        const response = await ask("/v1/models", { headers });
        await response.text();
        return response.headers.get("x-request-id") ?? "";
      };
      assert.equal(await idOf({ "x-request-id": "mine-1" }), "mine-1");
      const ids = [await idOf({}), await idOf({})];
      assert.ok(ids[0] !== "" && ids[0] !== ids[1]);
    },
  },
  {
    name: "lets pages of its origins ask",
    run: async (ask) => {
      const preflight = (origin: string): Promise<Response> =>
        ask("/v1/embeddings", {
          method: "OPTIONS",
          headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "x-own" },
        });
      const allowed = await preflight(ORIGIN);
      assert.deepEqual([allowed.status, allowed.headers.get("access-control-allow-origin")], [204, ORIGIN]);
      assert.equal((await preflight("https://other.example")).headers.get("access-control-allow-origin"), null);
    },
  },
  {
    name: "answers many requests at once, each with its own result",
    run: async (ask) => {
      const alone = await Promise.all(WORDS.map(async (w) => (await embed(ask, { input: w })).data[0].embedding));
      const many = Array.from({ length: 40 }, async (_, i) => {
        const word = i % WORDS.length;
        const { data } = await embed(ask, { input: [WORDS[word], URI] });
        near(data[0].embedding, alone[word]);
      });
      await Promise.all(many);
    },
  },
  {
    name: "serves others when a client leaves",
    run: async (ask) => {
      for (let i = 0; i < 5; i++) {
        const leaving = new AbortController();
        const body = JSON.stringify({ input: Array.from({ length: 64 }, () => URI) });
        const init = { method: "POST", headers: { "content-type": "application/json" }, body };
        const left = ask("/v1/embeddings", { ...init, signal: leaving.signal }).then(
          (response) => response.text(),
          () => undefined,
        );
        const other = embed(ask, { input: "two" });
        setTimeout(() => leaving.abort(), 3 * i);
        await left;
        assert.equal((await other).data.length, 1);
      }
    },
  },
  {
    name: "counts requests and describes its routes",
    run: async (ask) => {
      const metrics = await ask("/metrics");
      assert.match(metrics.headers.get("content-type") ?? "", /^text\/plain/);
      assert.match(await metrics.text(), /fovea_requests_total\{route="\/v1\/embeddings",status="200"\} \d+/);
      const api = await answered<{ openapi: string; paths: object }>(await ask("/openapi.json"));
      assert.equal(api.openapi, "3.1.0");
      const paths = ["/v1/embeddings", "/v1/encode", "/v1/classify", "/v1/models", "/readyz", "/metrics"];
      for (const path of paths) assert.ok(path in api.paths, path);
    },
  },
];
