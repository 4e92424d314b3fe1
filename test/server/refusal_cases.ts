/** Requests that servers refuse, of the models `digits`, `qwen` and `vision` and with bodies of 20,000 bytes at most. */
import { dataUri, TWO } from "./served.ts";

export interface Refused {
  readonly path?: string;
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
  readonly code: string;
  readonly says: RegExp;
  readonly param?: string;
}

export const EMBED = "/v1/embeddings";
const ENCODE = "/v1/encode";
const CLASSIFY = "/v1/classify";
const at = (path: string, cases: readonly Omit<Refused, "path">[]): readonly Refused[] =>
  cases.map((one) => ({ path, ...one }));
const wrong = (code: string, says: RegExp, body: unknown, param?: string): Omit<Refused, "path"> => ({
  ...{ status: 400, code, says, body },
  ...(param === undefined ? {} : { param }),
});

const model = "digits";
const picture = dataUri(TWO);
/** A PNG's signature and header of 10,000 x 10,000 pixels. */
const BOMB = new Uint8Array(60);
BOMB.set([
  0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52, 0, 0, 0x27, 0x10, 0, 0, 0x27,
  0x10, 8, 2,
]);

const form = (fields: Readonly<Record<string, string>>): FormData => {
  const made = new FormData();
  for (const [name, value] of Object.entries(fields)) made.append(name, value);
  return made;
};

export const CASES: readonly Refused[] = [
  {
    path: "/v1/nothing",
    status: 404,
    code: "not_found",
    says: /There is nothing here; this server has \/v1\/embeddings/,
  },
  { path: EMBED, method: "GET", status: 405, code: "method_not_allowed", says: /\/v1\/embeddings takes POST, not GET/ },
  { path: "/healthz", method: "DELETE", status: 405, code: "method_not_allowed", says: /takes GET, not DELETE/ },
  { path: EMBED, body: "{", status: 400, code: "invalid_body", says: /The body is no JSON; check it/ },
  {
    ...{ path: EMBED, body: "a=b", headers: { "content-type": "application/x-www-form-urlencoded" } },
    ...{
      status: 415,
      code: "unsupported_media_type",
      says: /type is application\/x-www-form-urlencoded; expected application\/json/,
    },
  },
  {
    ...{ path: ENCODE, body: "nonsense", headers: { "content-type": "multipart/form-data; boundary=x" } },
    ...{ status: 400, code: "invalid_body", says: /The body is no multipart form/ },
  },
  {
    ...{ path: EMBED, body: { model, input: "x".repeat(30_000) } },
    ...{
      status: 413,
      code: "body_too_large",
      says: /The body has more than 20000 bytes, the limit of this server; send fewer or smaller inputs at once/,
    },
  },
  {
    ...{ path: EMBED, body: { model, input: "x" }, headers: { "x-request-timeout": "soon" } },
    ...{ status: 400, code: "invalid_timeout", says: /X-Request-Timeout must be a number of milliseconds/ },
  },
  {
    path: EMBED,
    body: { model: "digit", input: "x" },
    status: 404,
    code: "model_not_found",
    says: /No model is called "digit" here; served are digits, qwen, vision\. Did you mean "digits"/,
    param: "model",
  },
  ...at(EMBED, [
    wrong("invalid_field", /The body is a list; expected an object with any of model, input/, [1]),
    wrong(
      "unknown_field",
      /no field "inputs"; this request takes model, input.*Did you mean "input"/,
      { model, inputs: "x" },
      "inputs",
    ),
    wrong("missing_field", /Give either `input` or `messages`/, { model }, "input"),
    wrong("missing_field", /Give either `input` or `messages`/, {
      model,
      input: "x",
      messages: [{ role: "user", content: "x" }],
    }),
    wrong(
      "model_required",
      /Several models are served here; name one of digits, qwen, vision/,
      { input: "x" },
      "model",
    ),
    wrong(
      "invalid_field",
      /`input` must be a text, token ids, or a list of 1 to 2048 texts/,
      { model, input: [] },
      "input",
    ),
    wrong("invalid_field", /`input` must be a text, token ids, or a list/, { model, input: [1.5] }),
    wrong("invalid_field", /`input` must be a text/, { model, input: [{ img: picture }] }),
    wrong("invalid_field", /`messages\[0\]\.content` must be a text, or a list of parts/, {
      model,
      messages: [{ role: "user", content: 3 }],
    }),
    wrong("invalid_field", /`messages` has 0 elements; expected at least 1/, { model, messages: [] }),
    wrong("missing_field", /`messages\[0\]\.content` is missing/, { model, messages: [{ role: "user" }] }),
    wrong("unknown_field", /There is no field `messages\[0\]\.text`/, {
      model,
      messages: [{ role: "user", content: "x", text: "y" }],
    }),
    wrong(
      "one_part",
      /`messages` holds 2 parts.*give the parts as a list in `input`/,
      {
        model,
        messages: [
          {
            role: "user",
            content: [
              { type: "text", text: "a" },
              { type: "text", text: "b" },
            ],
          },
        ],
      },
      "messages",
    ),
    wrong(
      "invalid_field",
      /`encoding_format` is "int8"; expected "float" or "base64"/,
      { model, input: "x", encoding_format: "int8" },
      "encoding_format",
    ),
    wrong(
      "invalid_field",
      /`dimensions` is 0; expected at least 1/,
      { model, input: "x", dimensions: 0 },
      "dimensions",
    ),
    wrong(
      "invalid_field",
      /`dimensions` is 1\.5; expected a whole number\.$/,
      { model, input: "x", dimensions: 1.5 },
      "dimensions",
    ),
    wrong("invalid_field", /`normalize` is "no"; expected true or false\.$/, { model, input: "x", normalize: "no" }),
    wrong("invalid_field", /`dimensions` is a list; expected a number\.$/, { model, input: "x", dimensions: [2] }),
    wrong(
      "invalid_dimensions",
      /`dimensions` is 65, and this model's embeddings have 64/,
      { model, input: "x", dimensions: 65 },
      "dimensions",
    ),
    wrong(
      "invalid_base64",
      /picture at position 1 of the input is neither a data URI nor base64/,
      { model, input: ["x", { image: "not base64!" }] },
      "input",
    ),
    wrong("image.unknown", /The input at position 0 is not an image: it begins with the bytes 68 65 6c 6c 6f/, {
      ...{ model, input: "data:text/plain,hello" },
    }),
    wrong("image.unsupported", /The input at position 1 is a PDF file, which is not supported/, {
      ...{ model, input: ["x", `data:application/pdf;base64,${btoa("%PDF-1.7 and more")}`] },
    }),
    wrong(
      "invalid_base64",
      /picture at position 0 of the input is neither a data URI nor base64/,
      { model, messages: [{ role: "user", content: "a cat!" }], modality: "image" },
      "input",
    ),
    wrong(
      "invalid_field",
      /`modality` is image, and an input says by its own form that it is a text; leave `modality` out/,
      { model, messages: [{ role: "user", content: [{ type: "text", text: "a cat" }] }], modality: "image" },
      "modality",
    ),
    wrong(
      "invalid_field",
      /`modality` is text, and an input says by its own form that it is a picture/,
      { model, input: [{ image: picture }], modality: "text" },
      "modality",
    ),
    wrong("invalid_base64", /neither a data URI nor base64/, { model, input: [{ image: "data:image/png,%E0%A4%A" }] }),
    wrong("image.unknown", /The input at position 0 is not an image/, { model, input: [{ image: "AAAAAAAAAAAA" }] }),
    wrong("image_url.not_allowed", /not fetched from evil\.test; this server allows img\.test/, {
      model,
      input: [{ image: "http://evil.test/x.png" }],
    }),
    wrong("image_url.invalid", /is not a valid address/, { model, input: [{ image: "http://[" }] }),
    wrong("invalid_input", /"input_ids" holds 99999 at element 0, outside of the vocabulary/, {
      model,
      input: [99999],
    }),
    wrong("no_component", /loaded with vision; it has no "text" component/, { model: "vision", input: "x" }),
    wrong("no_tokens", /A clip model takes no token ids here/, { model: "vision", input: [1, 2] }),
    wrong("invalid_input", /This qwen2_5_vl model cannot take `images`/, { model: "qwen", input: [picture] }),
  ]),
  {
    path: EMBED,
    body: { model, input: [dataUri(BOMB)] },
    status: 413,
    code: "image.too_large",
    says: /10000x10000 = 100000000 pixels/,
  },
  ...at(ENCODE, [
    wrong("nothing_to_encode", /There is nothing to encode; give `images`, `texts` or `audio`/, { model }),
    wrong(
      "unknown_output",
      /no output "image_embed"; these inputs give image_embeds.*Did you mean "image_embeds"/,
      { model, images: [picture], outputs: ["image_embed"] },
      "outputs",
    ),
    wrong(
      "no_output",
      /None of `outputs` is a result of the text tower, which gives text_embeds.*; name one of these as well, or send the other/,
      { model, images: [picture], texts: ["two"], outputs: ["image_embeds"] },
      "outputs",
    ),
    wrong(
      "one_tensor",
      /answer has 3 tensors \(image_embeds, pooler_output, last_hidden_state\), and a file of format npy holds one/,
      { model, images: [picture], format: "npy" },
      "outputs",
    ),
    wrong(
      "no_embeds",
      /A clip model has no embeddings in a form that vLLM takes; known are qwen2_vl/,
      { model, images: [picture], format: "vllm" },
      "format",
    ),
    wrong(
      "invalid_field",
      /Format vllm holds what a vLLM server reads, whatever `outputs` names; leave `outputs` out/,
      { model: "qwen", images: [picture], format: "vllm", outputs: ["last_hidden_state"] },
      "outputs",
    ),
    ...["json", "ndjson", "npy"].map((format) =>
      wrong(
        "invalid_field",
        new RegExp(
          `An answer of format ${format} has no bf16; leave .dtype. out, or ask for one of torch, vllm, safeten`,
        ),
        { model, texts: ["x"], outputs: ["text_embeds"], format, dtype: "bf16" },
        "dtype",
      ),
    ),
    wrong("images_only", /Format vllm is for pictures/, { model, texts: ["x"], format: "vllm" }, "format"),
    wrong("invalid_field", /`format` is "csv"; expected "json" or/, { model, texts: ["x"], format: "csv" }),
    wrong("no_component", /no "audio" component/, { model, audio: [dataUri(TWO)] }),
    wrong("invalid_field", /`texts` is "two"; expected a list\.$/, { model, texts: "two" }),
    wrong("invalid_field", /`texts\[1\]` is an object; expected a text\.$/, { model, texts: ["two", {}] }),
  ]),
  {
    path: ENCODE,
    body: form({ images: "x" }),
    status: 400,
    code: "unknown_field",
    says: /no field "images"; this form takes model, image.*Did you mean "image"/,
  },
  ...at(ENCODE, [
    wrong("nothing_to_encode", /There is nothing to encode; give `image`, `text` or `audio`/, form({ model })),
    wrong(
      "invalid_base64",
      /The picture at position 0 of `image` is neither/,
      form({ model, image: "a cat!" }),
      "image",
    ),
  ]),
  ...at(CLASSIFY, [
    wrong("missing_field", /The field `image` is missing\.$/, form({ model, labels: "a,b" }), "image"),
    wrong(
      "invalid_base64",
      /picture at position 0 of `image`/,
      form({ model, labels: "a,b", image: "a cat!" }),
      "image",
    ),
    wrong(
      "invalid_field",
      /The field `template` is empty; give a text with \{\} in the place of the label/,
      form({ model, image: picture, labels: "a,b", template: "" }),
      "template",
    ),
    wrong("missing_field", /`labels` is missing/, { model, images: [picture] }, "labels"),
    wrong(
      "missing_field",
      /The field `images` is missing; "image" is no field of this request\./,
      { model, image: picture, labels: ["a"] },
      "images",
    ),
    wrong(
      "invalid_field",
      /`images` has 0 elements; expected at least 1/,
      { model, images: [], labels: ["a"] },
      "images",
    ),
    wrong("image.unknown", /^The picture at position 1 is not an image: it begins with/, {
      ...{ model, images: [picture, "data:image/png;base64,AAAA"], labels: ["a", "b"] },
    }),
    wrong("invalid_input", /The label "a" is given twice/, { model, images: [picture], labels: ["a", "a"] }),
    wrong("invalid_input", /has no \{\} in the place of the label/, {
      model,
      images: [picture],
      labels: ["a"],
      template: "x",
    }),
    wrong("no_component", /no shared space of pictures and texts/, {
      model: "vision",
      images: [picture],
      labels: ["a"],
    }),
  ]),
];
