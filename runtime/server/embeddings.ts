/** `POST /v1/embeddings`: vectors of texts and pictures, as OpenAI's API and multimodal servers beside it have them. */
import type { Modality } from "../abi/encoder.ts";
import type { Encoder } from "../session.ts";
import { HttpError } from "./http_error.ts";
import { imageBytes, inTurns, isDataUri } from "./pictures.ts";
import { checked, readJson } from "./read_body.ts";
import { type ContentPart, EMBEDDINGS_REQUEST, type EmbeddingsRequest, type InputItem } from "./schemas.ts";
import type { ServerContext, Service } from "./service.ts";
import { embeddingName, embeddingOf, numbersOf } from "./vectors.ts";
import { encodeInOrder, GROWTH, type WorkInput, type WorkResult } from "./work.ts";

/** A picture's text, its text, or token ids. */
type Given = { readonly image: string } | { readonly text: string } | { readonly ids: readonly number[] };

function partOf(part: ContentPart): Given {
  if (part.type === "text") return { text: part.text };
  return { image: typeof part.image_url === "string" ? part.image_url : part.image_url.url };
}

function stringOf(item: string, modality: EmbeddingsRequest["modality"]): Given {
  return modality === "image" || (modality === undefined && isDataUri(item)) ? { image: item } : { text: item };
}

/** An element that says itself what it is. @throws HttpError `invalid_field` where `modality` says otherwise */
function statedOf(item: Exclude<InputItem, string>, modality: EmbeddingsRequest["modality"]): Given {
  const given = Array.isArray(item) ? { ids: item } : "type" in item ? partOf(item) : item;
  const kind = "image" in given ? "image" : "text";
  if (modality === undefined || modality === kind) return given;
  throw new HttpError(
    400,
    "invalid_field",
    `\`modality\` is ${modality}, and an input says by its own form that it is ${kind === "image" ? "a picture" : "a text"}; leave \`modality\` out.`,
    { param: "modality" },
  );
}

const itemOf = (item: InputItem, modality: EmbeddingsRequest["modality"]): Given =>
  typeof item === "string" ? stringOf(item, modality) : statedOf(item, modality);

/** @throws HttpError `missing_field`, `one_part` */
function givenInputs({ input, messages, modality }: EmbeddingsRequest): readonly Given[] {
  if ((input === undefined) === (messages === undefined)) {
    throw new HttpError(400, "missing_field", "Give either `input` or `messages`.", { param: "input" });
  }
  if (input !== undefined) {
    const isTokens = Array.isArray(input) && typeof input[0] === "number";
    const items = Array.isArray(input) && !isTokens ? (input as InputItem[]) : [input as InputItem];
    return items.map((item) => itemOf(item, modality));
  }
  const parts = (messages ?? []).flatMap(({ content }): Given[] =>
    typeof content === "string" ? [stringOf(content, modality)] : content.map((part) => statedOf(part, modality)),
  );
  if (parts.length === 1) return parts;
  throw new HttpError(
    400,
    "one_part",
    `\`messages\` holds ${parts.length} parts, and an encoder makes an embedding of one picture or text; give the parts as a list in \`input\` for an embedding of each.`,
    { param: "messages" },
  );
}

/** Largest i32; towers take ids as such. */
const LARGEST_ID = 2 ** 31 - 1;

/** The tensors of token ids, as the text tower takes them. @throws HttpError `no_tokens`, `invalid_input` */
function tokenTensors(ids: readonly number[], encoder: Encoder): WorkInput {
  if (!encoder.modalities.includes("text") || !encoder.tower("text").spec.inputs.includes("input_ids")) {
    throw new HttpError(
      400,
      "no_tokens",
      `A ${encoder.modelType} model takes no token ids here; give texts or pictures.`,
      {
        param: "input",
      },
    );
  }
  const over = ids.findIndex((id) => id > LARGEST_ID);
  if (over >= 0) {
    throw new HttpError(
      400,
      "invalid_input",
      `The token id ${ids[over]} at position ${over} is outside of every vocabulary; give ids of the model's own tokenizer.`,
      { param: "input" },
    );
  }
  const shape = [1, ids.length];
  const attended = new Int32Array(ids.length).fill(1);
  return {
    tensors: {
      input_ids: { dtype: "i32", shape, data: Int32Array.from(ids) },
      attention_mask: { dtype: "i32", shape, data: attended },
    },
  };
}

/** The result that is the embedding. @throws HttpError `no_embedding` */
function wantedOutput(encoder: Encoder, modality: Modality): string {
  const { outputs } = encoder.tower(modality).spec;
  const name = embeddingName(outputs);
  if (name !== undefined) return name;
  throw new HttpError(
    400,
    "no_embedding",
    `The ${modality} tower of this ${encoder.modelType} model gives no single vector for an input, only ${outputs.join(", ")}; ask /v1/encode for those.`,
    { param: "model" },
  );
}

/** @throws HttpError `no_embedding` for a result of several rows, such as patches */
function vectorOf({ outputs }: WorkResult, name: string): Float32Array {
  const { shape, data } = outputs[name];
  if (shape.length === 2 && shape[0] === 1) return data as Float32Array;
  throw new HttpError(
    400,
    "no_embedding",
    `"${name}" of this model is [${shape.join(", ")}] for one input, no single vector; ask /v1/encode for it.`,
    { param: "model" },
  );
}

export async function embeddings(c: ServerContext, service: Service): Promise<Response> {
  const call = c.get("call");
  const { signal } = call;
  const request = checked(EMBEDDINGS_REQUEST, await readJson(c, service.bodyLimits(signal)));
  call.bodyRead = true;
  const lease = call.lend(service.models, request.model);
  const given = givenInputs(request);
  call.items = given.length;
  const inputs = await inTurns(given, async (one, i): Promise<WorkInput> => {
    if ("text" in one) return { text: one.text };
    if ("ids" in one) return tokenTensors(one.ids, lease.encoder);
    const what = `The picture at position ${i} of the input`;
    return { image: await imageBytes(one.image, what, "input", service.fetchImage, signal) };
  });
  const names = new Map<Modality, string>();
  const outputs = (modality: Modality): readonly string[] => {
    const name = names.get(modality) ?? wantedOutput(lease.encoder, modality);
    names.set(modality, name);
    return [name];
  };
  const { dimensions, normalize, encoding_format: format } = request;
  const results = await encodeInOrder(inputs, { ...service.work(call, lease), outputs }, GROWTH[format]);
  const data = results.map((result, index) => {
    const vector = vectorOf(result, names.get(result.modality) as string);
    return { object: "embedding", index, embedding: numbersOf(embeddingOf(vector, dimensions, normalize), format) };
  });
  const tokens = results.reduce((sum, result) => sum + result.tokens, 0);
  const usage = { prompt_tokens: tokens, total_tokens: tokens };
  return c.json({ object: "list", model: lease.name, data, usage });
}
