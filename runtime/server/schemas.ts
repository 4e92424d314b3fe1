/** What requests may hold: checked by these schemas, and described by them in `/openapi.json`. */
import * as v from "valibot";

/** A request's body: what checks it, and the names of its fields. */
export interface RequestSchema<T> {
  readonly schema: v.GenericSchema<unknown, T>;
  readonly fields: readonly string[];
}

const requestSchema = <E extends v.ObjectEntries>(
  entries: E,
): RequestSchema<v.InferOutput<v.StrictObjectSchema<E, undefined>>> => ({
  schema: v.strictObject(entries) as v.GenericSchema<unknown, v.InferOutput<v.StrictObjectSchema<E, undefined>>>,
  fields: Object.keys(entries),
});

/** Most inputs of a request, as OpenAI's API has it. */
export const MOST_INPUTS: number = 2048;

const MODEL = v.optional(
  v.pipe(
    v.string(),
    v.description("Name of a served model, as /v1/models lists them; may be left out where one is served."),
  ),
);

const IMAGE_TEXT = v.pipe(
  v.string(),
  v.description(
    "A picture (PNG, JPEG, WebP or GIF) as a data URI or base64, or an http(s) address where the server allows its host.",
  ),
);

const TEXT_PART = v.strictObject({ type: v.literal("text"), text: v.string() });

const IMAGE_PART = v.strictObject({
  type: v.literal("image_url"),
  image_url: v.union([IMAGE_TEXT, v.strictObject({ url: IMAGE_TEXT, detail: v.optional(v.string()) })]),
});

const TOKENS = v.pipe(
  v.array(v.pipe(v.number(), v.integer(), v.minValue(0))),
  v.minLength(1),
  v.description("Token ids of the model's own tokenizer."),
);

const INPUT_ITEM = v.union(
  [
    v.string(),
    TOKENS,
    TEXT_PART,
    IMAGE_PART,
    v.strictObject({ text: v.string() }),
    v.strictObject({ image: IMAGE_TEXT }),
  ],
  "must be a text, token ids, { text }, { image }, or a part of type text or image_url",
);

/** A content part of a message. */
export type ContentPart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image_url"; readonly image_url: string | { readonly url: string } };

/** An element of `input`. */
export type InputItem = string | number[] | ContentPart | { readonly text: string } | { readonly image: string };

export interface EmbeddingsRequest {
  readonly model?: string | undefined;
  readonly input?: string | number[] | InputItem[] | undefined;
  readonly messages?: { readonly role: string; readonly content: string | ContentPart[] }[] | undefined;
  readonly encoding_format: "float" | "base64";
  readonly dimensions?: number | undefined;
  readonly normalize: boolean;
  readonly modality?: "text" | "image" | undefined;
  readonly user?: string | undefined;
}

export const EMBEDDINGS_REQUEST: RequestSchema<EmbeddingsRequest> = requestSchema({
  model: MODEL,
  input: v.optional(
    v.pipe(
      v.union(
        [v.string(), TOKENS, v.pipe(v.array(INPUT_ITEM), v.minLength(1), v.maxLength(MOST_INPUTS))],
        `must be a text, token ids, or a list of 1 to ${MOST_INPUTS} texts, lists of token ids, { text }, { image }, and parts of type text and image_url`,
      ),
      v.description(
        "A text, a list of texts, token ids, or a list that may hold pictures: data URIs, { image } and { text }, or parts of type image_url and text.",
      ),
    ),
  ),
  messages: v.optional(
    v.pipe(
      v.array(
        v.strictObject({
          role: v.string(),
          content: v.union(
            [v.string(), v.pipe(v.array(v.union([TEXT_PART, IMAGE_PART])), v.minLength(1))],
            "must be a text, or a list of parts of type text and image_url",
          ),
        }),
      ),
      v.minLength(1),
      v.description("Instead of input: a conversation of one part, which gives one embedding."),
    ),
  ),
  encoding_format: v.optional(v.picklist(["float", "base64"]), "float"),
  dimensions: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(1),
      v.description("Keeps so many numbers from the front, for models that were trained for it, and normalises again."),
    ),
  ),
  normalize: v.optional(v.pipe(v.boolean(), v.description("False leaves vectors as the model gives them.")), true),
  modality: v.optional(
    v.pipe(
      v.picklist(["text", "image"]),
      v.description(
        "What texts in `input` and of `messages` are; data URIs are taken for pictures unless it says text.",
      ),
    ),
  ),
  user: v.optional(v.string()),
});

const WHOLE = v.pipe(v.number(), v.integer(), v.minValue(0));

export const EMBEDDINGS_ANSWER: v.GenericSchema = v.object({
  object: v.literal("list"),
  model: v.string(),
  data: v.array(
    v.object({
      object: v.literal("embedding"),
      index: WHOLE,
      embedding: v.pipe(
        v.union([v.array(v.number()), v.string()]),
        v.description("Numbers, or little-endian f32 in base64."),
      ),
    }),
  ),
  usage: v.object({ prompt_tokens: WHOLE, total_tokens: WHOLE }),
});

/** Forms of the answer of `/v1/encode`. */
export type Format = "json" | "ndjson" | "npy" | "safetensors" | "torch" | "vllm";

export const FORMATS: readonly Format[] = ["json", "ndjson", "npy", "safetensors", "torch", "vllm"];

const LIST = v.pipe(v.array(v.string()), v.maxLength(MOST_INPUTS));

export interface EncodeRequest {
  readonly model?: string | undefined;
  readonly images: readonly (string | Uint8Array)[];
  readonly texts: readonly string[];
  readonly audio: readonly (string | Uint8Array)[];
  readonly outputs?: readonly string[] | undefined;
  readonly format?: Format | undefined;
  readonly encoding_format: "float" | "base64";
  readonly dtype: "f32" | "bf16";
}

export const ENCODE_REQUEST: RequestSchema<EncodeRequest> = requestSchema({
  model: MODEL,
  images: v.optional(v.pipe(v.array(IMAGE_TEXT), v.maxLength(MOST_INPUTS)), []),
  texts: v.optional(LIST, []),
  audio: v.optional(v.pipe(LIST, v.description("Recordings (WAV, FLAC, MP3, Ogg) as data URIs or base64.")), []),
  outputs: v.optional(
    v.pipe(
      v.array(v.string()),
      v.minLength(1),
      v.description("Names of the results that are wanted; all unless given."),
    ),
  ),
  format: v.optional(
    v.pipe(v.picklist(FORMATS), v.description("Form of the answer; what the header Accept asks for unless given.")),
  ),
  encoding_format: v.optional(
    v.pipe(
      v.picklist(["float", "base64"]),
      v.description("Numbers of JSON answers: lists, or little-endian bytes in base64."),
    ),
    "float",
  ),
  dtype: v.optional(
    v.pipe(v.picklist(["f32", "bf16"]), v.description("Of formats torch, vllm and safetensors; others have f32.")),
    "f32",
  ),
});

/** Fields of a multipart form: files and texts. */
export const ENCODE_FORM: v.GenericSchema = v.object({
  model: MODEL,
  image: v.optional(v.pipe(v.array(v.string()), v.description("Files, repeated."))),
  text: v.optional(v.array(v.string())),
  audio: v.optional(v.pipe(v.array(v.string()), v.description("Files, repeated."))),
  outputs: v.optional(v.pipe(v.string(), v.description("Names, separated by commas."))),
  format: v.optional(v.picklist(FORMATS)),
  encoding_format: v.optional(v.picklist(["float", "base64"])),
  dtype: v.optional(v.picklist(["f32", "bf16"])),
});

const TENSOR = v.object({
  dtype: v.string(),
  shape: v.array(WHOLE),
  data: v.union([v.array(v.number()), v.string()]),
});

export const ENCODED_ITEM: v.GenericSchema = v.object({
  index: v.pipe(WHOLE, v.description("Position among all inputs: pictures first, then texts, then recordings.")),
  kind: v.picklist(["image", "text", "audio"]),
  outputs: v.record(v.string(), TENSOR),
});

const EMBEDS_PART = v.object({
  type: v.literal("image_embeds"),
  image_embeds: v.union([v.string(), v.object({ image_embeds: v.string(), image_grid_thw: v.string() })]),
});

export const ENCODE_ANSWER: v.GenericSchema = v.union([
  v.object({ object: v.literal("list"), model: v.string(), data: v.array(ENCODED_ITEM) }),
  v.pipe(
    v.object({ object: v.literal("list"), model: v.string(), content: v.array(EMBEDS_PART) }),
    v.description("Of format vllm."),
  ),
]);

export interface ClassifyRequest {
  readonly model?: string | undefined;
  readonly images: readonly (string | Uint8Array)[];
  readonly labels: readonly string[];
  readonly template: string;
}

export const CLASSIFY_REQUEST: RequestSchema<ClassifyRequest> = requestSchema({
  model: MODEL,
  images: v.pipe(v.array(IMAGE_TEXT), v.minLength(1), v.maxLength(MOST_INPUTS)),
  labels: v.pipe(v.array(v.string()), v.minLength(1), v.maxLength(MOST_INPUTS)),
  template: v.optional(v.pipe(v.string(), v.description("Text around a label; {} stands for it.")), "a photo of {}"),
});

export const CLASSIFY_FORM: v.GenericSchema = v.object({
  model: MODEL,
  image: v.pipe(v.array(v.string()), v.description("Files, repeated.")),
  labels: v.pipe(v.string(), v.description("Labels, separated by commas.")),
  template: v.optional(v.string()),
});

export const CLASSIFY_ANSWER: v.GenericSchema = v.object({
  object: v.literal("list"),
  model: v.string(),
  labels: v.array(v.string()),
  data: v.array(
    v.object({
      index: WHOLE,
      label: v.string(),
      probability: v.number(),
      probabilities: v.pipe(v.array(v.number()), v.description("Of every label, in their order.")),
    }),
  ),
});

export const MODEL_ANSWER: v.GenericSchema = v.object({
  id: v.string(),
  object: v.literal("model"),
  created: WHOLE,
  owned_by: v.string(),
  model_type: v.string(),
  modalities: v.array(v.string()),
  jpeg_shrink_on_load: v.optional(v.literal(true)),
  outputs: v.record(v.string(), v.array(v.string())),
});

export const MODELS_ANSWER: v.GenericSchema = v.object({ object: v.literal("list"), data: v.array(MODEL_ANSWER) });

export const ERROR_ANSWER: v.GenericSchema = v.object({
  error: v.object({
    message: v.string(),
    type: v.string(),
    param: v.nullable(v.string()),
    code: v.string(),
  }),
});

/** A line of `/v1/encode`: an input's results, or at the end what went wrong. */
export const ENCODED_LINE: v.GenericSchema = v.union([ENCODED_ITEM, ERROR_ANSWER]);

export const HEALTH_ANSWER: v.GenericSchema = v.object({ status: v.literal("ok") });

export const READY_ANSWER: v.GenericSchema = v.object({
  status: v.literal("ready"),
  models: v.array(v.string()),
  sealed: v.boolean(),
});
