/** What the server answers, over real sockets on this runtime: one suite for Bun, Deno and Node. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Encoder } from "../../mod.ts";
import { parseSafetensors } from "../../runtime/exec/weights/safetensors.ts";
import { readAllTensors } from "../../runtime/exec/weights/writer.ts";
import { createApp, type LogLine, serve } from "../../runtime/server/mod.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { DIGITS, dataUri, type Served, TWO, WORDS } from "./served.ts";

const log: LogLine[] = [];

interface Shared extends Pick<Served, "get" | "post" | "runtime"> {
  readonly encoder: Encoder;
  close(): Promise<void>;
}

/** One server for all tests of this file. */
async function open(): Promise<Shared> {
  const runtime = await openRuntime({ threads: 0 });
  const encoder = await runtime.load(DIGITS);
  const app = createApp({ runtime, models: { digits: { encoder } }, log: (line) => log.push(line) });
  await app.ready;
  const server = await serve(app, { port: 0 });
  const get: Served["get"] = (path, init = {}) => fetch(server.url + path, init);
  return {
    ...{ runtime, encoder, get },
    post: (path, body, init = {}) =>
      get(path, {
        method: "POST",
        ...init,
        headers: { "content-type": "application/json", ...init.headers },
        body: JSON.stringify(body),
      }),
    close: async () => {
      await server.close();
      await runtime.close();
    },
  };
}

let opened: Promise<Shared> | undefined;
const shared = (): Promise<Shared> => {
  opened ??= open();
  return opened;
};
after(async () => (await opened)?.close());

interface Embeddings {
  readonly model: string;
  readonly data: readonly { readonly index: number; readonly embedding: readonly number[] | string }[];
  readonly usage: { readonly prompt_tokens: number; readonly total_tokens: number };
}

async function embed(body: object): Promise<Embeddings> {
  const response = await (await shared()).post("/v1/embeddings", body);
  assert.equal(response.status, 200, response.status === 200 ? "" : await response.clone().text());
  return (await response.json()) as Embeddings;
}

const unit = (values: Iterable<number>): number[] => {
  const all = [...values];
  const length = Math.hypot(...all);
  return all.map((v) => v / length);
};

function near(found: readonly number[], wanted: readonly number[]): void {
  assert.equal(found.length, wanted.length);
  for (const [i, v] of found.entries()) assert.ok(Math.abs(v - wanted[i]) < 1e-5, `${v} and ${wanted[i]} at ${i}`);
}

async function directly(inputs: { images?: Uint8Array[]; texts?: string[] }): Promise<readonly number[][]> {
  const { encoder } = await shared();
  const { image_embeds, text_embeds } = await encoder.encode(inputs);
  const { shape, data } = (image_embeds ?? text_embeds) as { shape: readonly number[]; data: Float32Array };
  return Array.from({ length: shape[0] }, (_, i) => [...data.subarray(i * shape[1], (i + 1) * shape[1])]);
}

test("embeddings of texts are the encoder's, of unit length, with their tokens counted", async () => {
  const texts = ["a photo of the digit two", "seven", "a photo of the digit two"];
  const { data, model, usage } = await embed({ model: "digits", input: texts });
  assert.equal(model, "digits");
  assert.deepEqual(
    data.map(({ index }) => index),
    [0, 1, 2],
  );
  // One text at a time, since the server pads none.
  for (const [i, text] of texts.entries()) {
    const [own] = await directly({ texts: [text] });
    near(data[i].embedding as number[], unit(own));
  }
  const { encoder } = await shared();
  const items = await encoder.readItems({ texts });
  assert.deepEqual(usage, {
    prompt_tokens: items.reduce((n, { tokens }) => n + tokens, 0),
    total_tokens: usage.prompt_tokens,
  });
  assert.equal((await embed({ input: "seven" })).data.length, 1);
});

test("pictures are taken in every spelling that embedding servers have", async () => {
  const uri = dataUri(TWO);
  const base64 = uri.slice(uri.indexOf(",") + 1);
  const { data } = await embed({
    input: [
      uri,
      { image: uri },
      { image: base64 },
      { type: "image_url", image_url: { url: uri, detail: "low" } },
      { type: "image_url", image_url: uri },
      // What the bytes are counts, whatever the type says.
      `data:application/octet-stream;base64,${base64}`,
      { text: "two" },
      { type: "text", text: "two" },
    ],
  });
  const [picture] = await directly({ images: [TWO] });
  const [text] = await directly({ texts: ["two"] });
  for (const { embedding } of data.slice(0, 6)) near(embedding as number[], unit(picture));
  for (const { embedding } of data.slice(6)) near(embedding as number[], unit(text));
  const messages = [{ role: "user", content: [{ type: "image_url", image_url: { url: uri } }] }];
  near((await embed({ messages })).data[0].embedding as number[], unit(picture));
  near((await embed({ messages: [{ role: "user", content: "two" }] })).data[0].embedding as number[], unit(text));
  const content = { messages: [{ role: "user", content: base64 }], modality: "image" };
  near((await embed(content)).data[0].embedding as number[], unit(picture));
  near(
    (await embed({ input: "data: two, of seven" })).data[0].embedding as number[],
    unit((await directly({ texts: ["data: two, of seven"] }))[0]),
  );
  near((await embed({ input: [base64], modality: "image" })).data[0].embedding as number[], unit(picture));
  near(
    (await embed({ input: [uri], modality: "text" })).data[0].embedding as number[],
    unit((await directly({ texts: [uri] }))[0]),
  );
});

test("token ids are a text", async () => {
  const { encoder } = await shared();
  const [item] = await encoder.readItems({ texts: ["a photo of two"] });
  const { input_ids } = (item as unknown as { tensors: { input_ids: { data: Int32Array } } }).tensors;
  const ids = [...input_ids.data];
  const [own] = await directly({ texts: ["a photo of two"] });
  near((await embed({ input: ids })).data[0].embedding as number[], unit(own));
  const { data, usage } = await embed({ input: [ids, ids] });
  for (const { embedding } of data) near(embedding as number[], unit(own));
  assert.equal(usage.prompt_tokens, 2 * ids.length);
});

test("dimensions cut and normalise again, base64 holds the same numbers, normalize: false leaves them", async () => {
  const [own] = await directly({ texts: ["two"] });
  near((await embed({ input: "two", dimensions: 7 })).data[0].embedding as number[], unit(own.slice(0, 7)));
  near((await embed({ input: "two", dimensions: 64 })).data[0].embedding as number[], unit(own));
  near((await embed({ input: "two", normalize: false })).data[0].embedding as number[], own);
  const { data } = await embed({ input: "two", encoding_format: "base64" });
  const bytes = Buffer.from(data[0].embedding as string, "base64");
  const numbers = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
  assert.deepEqual(numbers, (await embed({ input: "two" })).data[0].embedding);
});

const ENCODE = { images: [dataUri(TWO)], texts: ["two", "the digit two"] };

test("encode gives chosen results as JSON, by kind and position", async () => {
  const { post } = await shared();
  const response = await post("/v1/encode", { ...ENCODE, outputs: ["image_embeds", "text_embeds"] });
  const { data } = (await response.json()) as {
    data: {
      index: number;
      kind: string;
      outputs: Record<string, { dtype: string; shape: number[]; data: number[] }>;
    }[];
  };
  assert.deepEqual(
    data.map(({ index, kind, outputs }) => [index, kind, Object.keys(outputs)]),
    [
      [0, "image", ["image_embeds"]],
      [1, "text", ["text_embeds"]],
      [2, "text", ["text_embeds"]],
    ],
  );
  const { image_embeds } = data[0].outputs;
  assert.deepEqual([image_embeds.dtype, image_embeds.shape], ["f32", [1, 64]]);
  near(image_embeds.data, (await directly({ images: [TWO] }))[0]);
  const all = (await (await post("/v1/encode", { texts: ["two"] })).json()) as typeof response & { data: typeof data };
  assert.deepEqual(Object.keys(all.data[0].outputs).sort(), ["last_hidden_state", "pooler_output", "text_embeds"]);
});

test("encode streams a line for each input, and ends with what went wrong", async () => {
  const { post } = await shared();
  const body = { ...ENCODE, outputs: ["image_embeds", "text_embeds"], encoding_format: "base64" };
  const response = await post("/v1/encode", body, { headers: { accept: "application/x-ndjson" } });
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  const lines = (await response.text())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.deepEqual(lines.map(({ index }) => index).sort(), [0, 1, 2]);
  const picture = lines.find(({ kind }) => kind === "image");
  const bytes = Buffer.from(picture.outputs.image_embeds.data, "base64");
  near([...new Float32Array(Uint8Array.from(bytes).buffer)], (await directly({ images: [TWO] }))[0]);
  const bad = await post("/v1/encode", {
    images: [dataUri(TWO), "AAAAAAAA"],
    outputs: ["image_embeds"],
    format: "ndjson",
  });
  const last = JSON.parse((await bad.text()).trim().split("\n").at(-1) as string);
  assert.equal(last.error.code, "image.unknown");
  assert.match(last.error.message, /The input at position 1 is not an image/);
});

test("encode writes npy, safetensors and torch files", async () => {
  const { post } = await shared();
  const wanted = await directly({ images: [TWO, TWO] });
  const images = [dataUri(TWO), dataUri(TWO)];
  const ask = async (accept: string, body: object): Promise<Uint8Array> => {
    const response = await post("/v1/encode", body, { headers: { accept } });
    assert.equal(response.status, 200, response.status === 200 ? "" : await response.clone().text());
    assert.equal(response.headers.get("content-type"), accept);
    return new Uint8Array(await response.arrayBuffer());
  };
  const npy = await ask("application/x-npy", { images, outputs: ["image_embeds"] });
  assert.match(new TextDecoder().decode(npy.subarray(0, 128)), /NUMPY.*'<f4'.*\(2, 64\)/s);
  near([...new Float32Array(npy.slice(128).buffer)], wanted.flat());
  const file = await ask("application/vnd.safetensors", { images, texts: ["two", "the digit two"] });
  const tensors = readAllTensors(file);
  assert.deepEqual(tensors.image_embeds.shape, [2, 64]);
  near([...(tensors.image_embeds.data as Float32Array)], wanted.flat());
  // Results of both towers, and texts of two lengths.
  assert.ok("vision.pooler_output" in tensors && "text.pooler_output" in tensors);
  assert.ok("text.last_hidden_state.0" in tensors && "text.last_hidden_state.1" in tensors);
  assert.deepEqual(tensors["vision.last_hidden_state"].shape[0], 2);
  const halves = parseSafetensors("file", await ask("application/vnd.safetensors", { images, dtype: "bf16" }));
  assert.equal(halves.tensors.get("image_embeds")?.dtype, "BF16");
  const torch = await ask("application/x-torch", { images, outputs: ["image_embeds"], dtype: "bf16" });
  assert.match(new TextDecoder("latin1").decode(torch), /^PK.*BFloat16Storage/s);
});

test("a form holds files and texts", async () => {
  const { get } = await shared();
  const form = new FormData();
  form.append("image", new Blob([TWO as BlobPart], { type: "image/png" }), "two.png");
  form.append("image", dataUri(TWO));
  form.append("text", "two");
  form.append("outputs", "image_embeds, text_embeds");
  form.append("model", "digits");
  const { data } = (await (await get("/v1/encode", { method: "POST", body: form })).json()) as {
    data: { outputs: Record<string, { data: number[] }> }[];
  };
  assert.equal(data.length, 3);
  assert.deepEqual(data[0].outputs.image_embeds.data, data[1].outputs.image_embeds.data);
});

test("classify finds the digit, from JSON and from a form", async () => {
  const { get, post } = await shared();
  const template = "a photo of the digit {}";
  const json = (await (await post("/v1/classify", { images: [dataUri(TWO)], labels: WORDS, template })).json()) as {
    labels: string[];
    data: { index: number; label: string; probability: number; probabilities: number[] }[];
  };
  assert.deepEqual(json.labels, WORDS);
  const [{ label, probability, probabilities }] = json.data;
  assert.equal(label, "two");
  assert.ok(probability > 0.9);
  assert.equal(probabilities[2], probability);
  assert.ok(Math.abs(probabilities.reduce((a, b) => a + b, 0) - 1) < 1e-6);
  const form = new FormData();
  form.append("image", new Blob([TWO as BlobPart]), "two.png");
  form.append("labels", WORDS.join(","));
  form.append("template", template);
  const { data } = (await (await get("/v1/classify", { method: "POST", body: form })).json()) as typeof json;
  assert.deepEqual(data, json.data);
});

test("models, health, readiness and the sealed runtime are told", async () => {
  const { get, runtime } = await shared();
  const { data } = (await (await get("/v1/models")).json()) as { data: Record<string, unknown>[] };
  assert.equal(data.length, 1);
  assert.deepEqual([data[0].id, data[0].object, data[0].model_type], ["digits", "model", "clip"]);
  assert.deepEqual((data[0].outputs as Record<string, string[]>).vision, [
    "image_embeds",
    "pooler_output",
    "last_hidden_state",
  ]);
  assert.equal((await get("/healthz")).status, 200);
  assert.deepEqual(await (await get("/readyz")).json(), { status: "ready", models: ["digits"], sealed: true });
  assert.equal(runtime.sealed, true);
});

test("metrics count requests and calls in the format of Prometheus", async () => {
  const { get } = await shared();
  await embed({ input: "two" });
  const response = await get("/metrics");
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  const value = (line: RegExp): number => Number(line.exec(text)?.[1]);
  assert.ok(value(/^fovea_requests_total\{route="\/v1\/embeddings",status="200"\} (\d+)$/m) >= 1);
  assert.ok(value(/^fovea_batch_items_count\{model="digits"\} (\d+)$/m) >= 1);
  assert.ok(value(/^fovea_device_bytes (\d+)$/m) > 1e5);
  assert.equal(value(/^fovea_waiting_inputs (\d+)$/m), 0);
  assert.match(text, /# TYPE fovea_request_seconds histogram/);
});

test("the API is described from the schemas that check it", async () => {
  const { get } = await shared();
  const api = (await (await get("/openapi.json")).json()) as {
    openapi: string;
    paths: Record<
      string,
      Record<
        string,
        {
          requestBody?: { content: Record<string, { schema: Record<string, unknown> }> };
          responses: Record<string, unknown>;
        }
      >
    >;
  };
  assert.match(api.openapi, /^3\.1/);
  assert.deepEqual(Object.keys(api.paths).sort(), [
    ...["/healthz", "/metrics", "/readyz"],
    ...["/v1/classify", "/v1/embeddings", "/v1/encode", "/v1/models", "/v1/models/{model}"],
  ]);
  const { post } = api.paths["/v1/embeddings"];
  const { schema } = post.requestBody?.content["application/json"] ?? { schema: {} };
  assert.equal(schema.additionalProperties, false);
  assert.deepEqual((schema.properties as Record<string, { enum?: string[] }>).encoding_format.enum, [
    "float",
    "base64",
  ]);
  assert.deepEqual(Object.keys(post.responses), [
    ...["200", "400", "401", "404", "408", "413", "415", "429", "500", "503", "504"],
  ]);
  assert.ok("multipart/form-data" in (api.paths["/v1/encode"].post.requestBody?.content ?? {}));
});

test("a request has an id of the client's or of ours, and the log has it without a word of what was sent", async () => {
  const { post } = await shared();
  const own = await post("/v1/embeddings", { input: "a very secret text" }, { headers: { "x-request-id": "mine-7" } });
  assert.equal(own.headers.get("x-request-id"), "mine-7");
  const other = await post("/v1/embeddings", { input: ["x"], model: "not-there" });
  assert.match(other.headers.get("x-request-id") ?? "", /^[0-9a-f-]{36}$/);
  const line = log.find(({ request }) => request === "mine-7");
  assert.deepEqual(
    { ...line, time: "", ms: 0 },
    {
      time: "",
      level: "info",
      event: "request",
      request: "mine-7",
      method: "POST",
      route: "/v1/embeddings",
      status: 200,
      ms: 0,
      model: "digits",
      items: 1,
    },
  );
  assert.ok(log.some(({ code, level, status }) => code === "model_not_found" && level === "warn" && status === 404));
  assert.doesNotMatch(JSON.stringify(log), /secret|not-there/);
});

test("nothing is compiled while the server answers", async () => {
  const { runtime } = await shared();
  const before = runtime.stats().counters.compiled;
  for (const text of ["a", "b c", "d e f g h i j k l m n o p q r s t"]) await embed({ input: [text, dataUri(TWO)] });
  assert.equal(runtime.stats().counters.compiled, before);
  assert.deepEqual(runtime.stats().recompiles, []);
});
