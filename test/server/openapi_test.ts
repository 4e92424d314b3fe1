/** What `/openapi.json` says is what the routes answer: statuses, types and shapes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { QWEN_PROCESSOR, withProcessor } from "../kit/byte_towers.ts";
import { DIGITS, dataUri, type Served, TWO, withServer } from "./served.ts";

interface Schema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
}

const typeOf = (value: unknown): string => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value);

/** The words of JSON Schema that descriptions of answers use. */
function fits(value: unknown, schema: Schema): boolean {
  if (schema.anyOf !== undefined) return schema.anyOf.some((one) => fits(value, one));
  if ("const" in schema) return value === schema.const;
  if (schema.enum !== undefined) return schema.enum.includes(value);
  if (schema.type === "integer") return Number.isInteger(value);
  if (schema.type !== typeOf(value)) return false;
  if (Array.isArray(value)) return value.every((one) => fits(one, schema.items ?? {}));
  if (typeOf(value) !== "object" || schema.properties === undefined) return true;
  const given = value as Readonly<Record<string, unknown>>;
  const isThere = (name: string): boolean => Object.hasOwn(given, name);
  return (
    (schema.required ?? []).every(isThere) &&
    Object.entries(schema.properties).every(([name, own]) => !isThere(name) || fits(given[name], own))
  );
}

interface Api {
  readonly security?: readonly object[];
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          {
            readonly security?: readonly object[];
            readonly responses: Readonly<
              Record<string, { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }>
            >;
          }
        >
      >
    >
  >;
}

const picture = dataUri(TWO);
const digits = { model: "digits" };
const chosen = { ...digits, images: [picture], outputs: ["image_embeds"] };

const ASKED: readonly (readonly [number, string, unknown?, Record<string, string>?])[] = [
  [200, "/v1/embeddings", { ...digits, input: ["two", picture] }],
  [200, "/v1/embeddings", { ...digits, input: "two", encoding_format: "base64" }],
  [400, "/v1/embeddings", { ...digits, input: 3 }],
  [404, "/v1/embeddings", { model: "none", input: "two" }],
  [415, "/v1/embeddings", "two", { "content-type": "text/plain" }],
  [413, "/v1/embeddings", { ...digits, input: "x".repeat(200_000) }],
  [200, "/v1/encode", chosen],
  [200, "/v1/encode", { ...chosen, encoding_format: "base64" }],
  ...["ndjson", "npy", "safetensors", "torch"].map((format) => [200, "/v1/encode", { ...chosen, format }] as const),
  [200, "/v1/encode", { ...chosen, images: ["AAAA"], format: "ndjson" }],
  [200, "/v1/encode", { model: "qwen", images: [picture], format: "vllm" }],
  [400, "/v1/encode", digits],
  [200, "/v1/classify", { ...digits, images: [picture], labels: ["one", "two"] }],
  [400, "/v1/classify", digits],
  [200, "/v1/models"],
  [200, "/v1/models/digits"],
  [404, "/v1/models/digit"],
  [200, "/healthz"],
  [200, "/readyz"],
  [200, "/metrics"],
];

/** Holds an answer against its description. */
async function checkAnswer(api: Api, { get, post }: Served, asked: (typeof ASKED)[number]): Promise<void> {
  const [status, path, body, headers = {}] = asked;
  const answer = await (body === undefined ? get(path) : post(path, body, { headers }));
  const text = await answer.text();
  assert.equal(answer.status, status, `${path}: ${text.slice(0, 300)}`);
  const route = path.replace(/^\/v1\/models\/.+/, "/v1/models/{model}");
  const described = api.paths[route][body === undefined ? "get" : "post"].responses[status];
  const type = (answer.headers.get("content-type") ?? "").split(";")[0];
  const content = described?.content[type];
  assert.ok(content !== undefined, `${path} ${status} ${type} is not described`);
  if (type !== "application/json" && type !== "application/x-ndjson") return;
  const values = type === "application/json" ? [text] : text.trim().split("\n");
  for (const value of values) {
    assert.ok(fits(JSON.parse(value), content.schema), `${path} ${status} is another shape: ${value.slice(0, 300)}`);
  }
}

test("every answer has the status, the type and the shape that the description gives", () =>
  withProcessor("qwen2_5_vl", QWEN_PROCESSOR, (qwen) =>
    withServer(
      { models: { digits: { source: DIGITS }, qwen: { encoder: qwen } }, maxBody: 100_000 },
      async (served) => {
        const api = (await (await served.get("/openapi.json")).json()) as Api;
        for (const asked of ASKED) await checkAnswer(api, served, asked);
      },
    ),
  ));

test("with tokens the description says which routes need none", () =>
  withServer(
    { models: { digits: { source: DIGITS, load: { components: ["text"] } } }, tokens: ["t"] },
    async ({ get, post }) => {
      const api = (await (await get("/openapi.json")).json()) as Api;
      assert.deepEqual(api.security, [{ bearer: [] }]);
      for (const [path, methods] of Object.entries(api.paths)) {
        const [[method, { security }]] = Object.entries(methods);
        const answer = await (method === "get" ? get(path) : post(path, {}));
        await answer.text();
        assert.equal(answer.status === 401, security === undefined, path);
      }
    },
  ));
