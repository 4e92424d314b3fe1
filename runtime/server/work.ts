/** One request's inputs through the batcher: read in small parts, so that no request crowds out the others. */
import type { Modality, Tensors } from "../abi/encoder.ts";
import type { Batcher } from "../session/inputs/batcher.ts";
import { createRoom, type Room } from "../session/inputs/room.ts";
import type { EncodeInputs, EncodeItem, Encoder } from "../session.ts";
import { HttpError } from "./http_error.ts";
import type { Lease } from "./models.ts";

/** What a request gives as one picture, text or recording, or as the tensors of one. */
export type WorkInput =
  | { readonly image: Uint8Array }
  | { readonly text: string }
  | { readonly audio: Uint8Array }
  | { readonly tensors: EncodeInputs };

/** An input's results. */
export interface WorkResult {
  readonly index: number;
  readonly modality: Modality;
  readonly tokens: number;
  readonly outputs: Tensors;
}

export interface WorkContext {
  readonly lease: Lease;
  readonly batcher: Batcher;
  /** Ends the work: the client left, or its time is over. */
  readonly signal: AbortSignal;
  readonly requestId: string;
  /** Results that are wanted of each tower; all that an input has where it names none. */
  readonly outputs: (modality: Modality) => readonly string[] | undefined;
  /** What errors call an input, by its position among the inputs; `The input at position 3` unless given. */
  readonly nameOf?: (index: number) => string;
  /** Lets one input at a time be read while others' decoded pixels fill the memory. */
  readonly room: Room;
  /** Most characters of a text. */
  readonly maxText: number;
  /** Whether other requests have their turn behind each input. */
  readonly yields: boolean;
  /** Inputs of the request that are read or waited for at once. */
  readonly atOnce: number;
  /** Bytes that the answer may take while it is made. */
  readonly answerBytes: number;
}

export const modalityOf = (input: WorkInput, encoder: Encoder): Modality => {
  if ("image" in input) return "vision";
  if ("text" in input) return "text";
  if ("audio" in input) return "audio";
  const names = Object.keys(input.tensors);
  return encoder.modalities.find((m) => names.some((n) => encoder.tower(m).spec.inputs.includes(n))) ?? "text";
};

function inputsFor(input: WorkInput): EncodeInputs {
  if ("image" in input) return { images: [input.image] };
  if ("text" in input) return { texts: [input.text] };
  if ("audio" in input) return { audio: [input.audio] };
  return input.tensors;
}

const nameOfInput = ({ nameOf }: WorkContext, index: number): string =>
  nameOf?.(index) ?? `The input at position ${index}`;

/** A tokenizer reads all of a text at once, whatever the model takes of it. @throws HttpError `text.too_long` */
function checkTexts(inputs: readonly WorkInput[], context: WorkContext): void {
  const { maxText } = context;
  for (const [i, input] of inputs.entries()) {
    if (!("text" in input) || input.text.length <= maxText) continue;
    const name = nameOfInput(context, i);
    throw new HttpError(
      413,
      "text.too_long",
      `${name} has ${input.text.length} characters, more than the ${maxText} that this server takes; cut it: models read the first tokens only.`,
    );
  }
}

async function readInput(input: WorkInput, index: number, context: WorkContext): Promise<EncodeItem> {
  const { lease, signal, requestId, room } = context;
  const name = nameOfInput(context, index);
  const [item] = await room(() => lease.encoder.readItems(inputsFor(input), { signal, requestId }, name));
  return item;
}

async function encodeInput(input: WorkInput, index: number, context: WorkContext): Promise<WorkResult> {
  const { lease, batcher, signal, outputs } = context;
  const item = await readInput(input, index, context);
  const wanted = outputs(item.modality);
  const encoded = await batcher.submit({
    item,
    lane: `${lease.name}#${lease.generation} ${item.modality} [${wanted?.join(", ") ?? "all"}]`,
    signal,
    run: (items, stop) =>
      lease.encoder.encodeItems(items, { ...(wanted === undefined ? {} : { outputs: wanted }), signal: stop }),
  });
  return { index, modality: item.modality, tokens: item.tokens, outputs: encoded };
}

/** A turn of the event loop, by a timer of the request's own. */
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/**
 * Encodes all inputs and tells each result as it comes; what is told may hold up the next.
 * @throws the error of the first input that failed; the signal's reason on abort
 */
export async function encodeAll(
  inputs: readonly WorkInput[],
  context: WorkContext,
  onResult: (result: WorkResult) => void | Promise<void>,
): Promise<void> {
  checkTexts(inputs, context);
  // It asks for room for one input at a time, so that another request's next one waits for no more than one of its.
  const oneByOne = createRoom({ waiting: () => 0, most: 0 });
  const own: WorkContext = { ...context, room: (read) => oneByOne(() => context.room(read)) };
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < inputs.length) {
      context.signal.throwIfAborted();
      const index = next++;
      await onResult(await encodeInput(inputs[index], index, own));
      if (context.yields && next < inputs.length) await turn();
    }
  };
  const workers = Array.from({ length: Math.min(context.atOnce, inputs.length) }, worker);
  await Promise.all(workers);
}

/** Bytes that writing takes for each byte of a result: numbers become objects, text and text in UTF-8. */
export const GROWTH: { readonly float: number; readonly base64: number; readonly file: number } = {
  ...{ float: 12, base64: 4, file: 3 },
};

const bytesOf = ({ outputs }: WorkResult): number =>
  Object.values(outputs).reduce((sum, { data }) => sum + data.byteLength, 0);

/**
 * Adds up what results take as an answer is made of them.
 * @param growth of {@link GROWTH}
 * @throws HttpError `answer_too_large`, for each result behind the bound
 */
export function answerCounter(
  { answerBytes }: Pick<WorkContext, "answerBytes">,
  growth: number,
): (result: WorkResult) => void {
  let bytes = 0;
  return (result) => {
    bytes += growth * bytesOf(result);
    if (bytes <= answerBytes) return;
    throw new HttpError(
      413,
      "answer_too_large",
      `The answer would take more than the ${Math.floor(answerBytes / 2 ** 20)} MiB that this server has for one; send fewer inputs at once, name the results that you need, or ask for another form (base64, safetensors, npy).`,
    );
  };
}

/**
 * Encodes all inputs; results in their order.
 * @param growth of {@link GROWTH}: how the answer is written
 * @throws what {@link encodeAll} throws; HttpError `answer_too_large`
 */
export async function encodeInOrder(
  inputs: readonly WorkInput[],
  context: WorkContext,
  growth: number,
): Promise<readonly WorkResult[]> {
  const results: WorkResult[] = [];
  const count = answerCounter(context, growth);
  await encodeAll(inputs, context, (result) => {
    count(result);
    results[result.index] = result;
  });
  return results;
}
