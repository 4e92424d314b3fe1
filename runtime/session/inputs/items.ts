/** Inputs of many callers as items that share a call: what serving packs together. */
import type { Modality, PixelImage, Tensor, Tensors, TowerSpec } from "../../abi/encoder.ts";
import { FoveaError, internal } from "../../core/diagnostics.ts";
import type { OpenContext } from "../../exec/forward_context.ts";
import { foundText, isObject } from "../check.ts";
import { concatRows } from "./batching.ts";
import { type InputTaker, inputBatches, readPicture, towerOf } from "./input_batches.ts";
import type { AudioInput, EncodeInputs, ImageInput } from "./inputs.ts";
import { pictureSize } from "./pixels.ts";
import { nameOf, preparing } from "./preparing.ts";

/** One picture, text or recording, or the rows of given tensors, read and ready to be encoded beside others of its form. */
export interface EncodeItem {
  /** Tower that encodes it. */
  readonly modality: Modality;
  /** Items of equal form share a call without padding: the sizes of their tensors but for the rows. */
  readonly form: string;
  /** Rows of its largest tensor: pictures, tiles or patches, texts, recordings. */
  readonly rows: number;
  /** Tokens of a text, padding left out; 0 for all else. */
  readonly tokens: number;
  /** Memory that it holds, in bytes. */
  readonly bytes: number;
}

interface ReadItem extends EncodeItem {
  readonly image?: PixelImage;
  /** The tower's, but for the samples of a picture that is not cut yet: the device does that in the call. */
  readonly tensors: Tensors;
  readonly isCut: boolean;
}

/** Sizes but for the rows, by name. */
function formOf(modality: Modality, shapes: Readonly<Record<string, readonly number[]>>): string {
  const texts = Object.keys(shapes)
    .sort()
    .map((name) => `${name} [${["rows", ...shapes[name].slice(1)].join(", ")}]`);
  return `${modality}: ${texts.join(", ")}`;
}

const rowsOf = (shapes: Iterable<readonly number[]>): number => Math.max(...[...shapes].map((shape) => shape[0]));

const shapesOf = (tensors: Tensors): Readonly<Record<string, readonly number[]>> =>
  Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, t.shape]));

function tokensOf({ attention_mask: mask, input_ids: ids }: Tensors): number {
  if (mask !== undefined) return Array.from(mask.data).reduce((sum, m) => sum + m, 0);
  return ids === undefined ? 0 : ids.data.length;
}

function itemOf(modality: Modality, tensors: Tensors): ReadItem {
  const shapes = shapesOf(tensors);
  return {
    modality,
    form: formOf(modality, shapes),
    rows: rowsOf(Object.values(shapes)),
    tokens: modality === "text" ? tokensOf(tensors) : 0,
    bytes: Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0),
    tensors,
    isCut: true,
  };
}

async function imageItem(takes: InputTaker, image: ImageInput, context: OpenContext, name: string): Promise<ReadItem> {
  const decoded = await readPicture(takes, image, { name, signal: context.signal });
  const { pixels } = takes.processors;
  const called = nameOf(image, name);
  if (pixels === undefined)
    return itemOf("vision", await tensorsOf(takes, { images: [decoded] }, "vision", context, called));
  const plan = await preparing([pictureSize(decoded)], [called], pixels);
  const held = decoded.data.byteLength;
  // While the device works on other calls. The picture is kept for calls beside some that are not cut.
  const cut = takes.cutter.cutSmall(decoded, plan);
  if (cut !== undefined) {
    const item = itemOf("vision", cut);
    return { ...item, bytes: item.bytes + held, image: decoded };
  }
  const { input, shape, tensors } = plan;
  const shapes = { [input]: shape, ...shapesOf(tensors) };
  return {
    modality: "vision",
    form: formOf("vision", shapes),
    rows: rowsOf(Object.values(shapes)),
    tokens: 0,
    bytes: held,
    image: decoded,
    tensors,
    isCut: false,
  };
}

async function audioItem(takes: InputTaker, audio: AudioInput, context: OpenContext, name: string): Promise<ReadItem> {
  const clip = await takes.media.audio(audio, { name, signal: context.signal });
  return itemOf("audio", await tensorsOf(takes, { audio: [clip] }, "audio", context, nameOf(audio, name)));
}

/** The tensors that one input becomes. */
async function tensorsOf(
  takes: InputTaker,
  inputs: EncodeInputs,
  modality: Modality,
  context: OpenContext,
  called?: string,
): Promise<Tensors> {
  const [batch] =
    inputBatches(takes, inputs, context, called).get(modality) ?? internal(`no inputs of the ${modality} tower`);
  return batch();
}

/**
 * Reads inputs: an item for each picture, text and recording in this order, then one for each tower whose tensors are given.
 * @throws FoveaError as `encode` does for what it cannot take
 */
export async function readItems(
  takes: InputTaker,
  inputs: EncodeInputs,
  context: OpenContext,
  name?: string,
): Promise<readonly EncodeItem[]> {
  // All kinds of inputs are checked before the first is read.
  inputBatches(takes, inputs, context);
  const { images = [], videos, texts = [], audio = [], ...named } = inputs;
  if (videos !== undefined) {
    throw new FoveaError("invalid_input", "Videos cannot share a call with others' inputs; give them to `encode`.");
  }
  const items: EncodeItem[] = [];
  for (const [at, image] of images.entries()) {
    context.check();
    items.push(await imageItem(takes, image, context, name ?? `The picture at position ${at} of \`images\``));
  }
  for (const text of texts) {
    context.check();
    items.push(itemOf("text", await tensorsOf(takes, { texts: [text] }, "text", context)));
  }
  for (const [at, clip] of audio.entries()) {
    context.check();
    items.push(await audioItem(takes, clip, context, name ?? `The recording at position ${at} of \`audio\``));
  }
  if (Object.keys(named).length === 0) return items;
  for (const [modality, [batch]] of inputBatches(takes, named, context)) {
    const tensors = await batch();
    // What is wrong with tensors of one caller must not be found in a call that others share.
    towerOf(takes, modality).spec.prepare(tensors);
    items.push(itemOf(modality, tensors));
  }
  return items;
}

/** @throws FoveaError `invalid_input` for what {@link readItems} did not give */
export function checkItems(items: readonly EncodeItem[]): void {
  if (Array.isArray(items) && items.every((item) => isObject(item) && "form" in item)) return;
  throw new FoveaError(
    "invalid_input",
    `encodeItems takes a list of items that readItems gave; found ${foundText(items)}.`,
  );
}

/** The inputs of one call for items of one form, and what they hold beside these. */
export interface SharedInputs {
  readonly inputs: EncodeInputs;
  /** Results that a processor told and the tower does not take: those of each item are in {@link sharesOf}. */
  readonly told: readonly string[];
}

/** @throws FoveaError `invalid_input` for items of several forms */
export function inputsOf(items: readonly EncodeItem[], { layout = [], inputs }: TowerSpec): SharedInputs {
  const read = items as readonly ReadItem[];
  const odd = read.find(({ form }) => form !== read[0].form);
  if (odd !== undefined) {
    throw new FoveaError(
      "invalid_input",
      `Items of one call have one form; found ${read[0].form} and ${odd.form}. Encode them in calls of their own.`,
    );
  }
  if (!read.every(({ isCut }) => isCut)) {
    return { inputs: { images: read.map(({ image }) => image as PixelImage) }, told: [] };
  }
  const told = layout.filter((name) => name in read[0].tensors && !inputs.includes(name));
  const parts = read.map(({ tensors }) =>
    told.length === 0 ? tensors : Object.fromEntries(Object.entries(tensors).filter(([name]) => !told.includes(name))),
  );
  return { inputs: parts.length === 1 ? parts[0] : concatRows(parts), told };
}

/** Elements `from..to` of an axis before which all sizes are 1. */
function cut(tensor: Tensor, axis: number, from: number, to: number): Tensor {
  const inner = tensor.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const shape = [...tensor.shape.slice(0, axis), to - from, ...tensor.shape.slice(axis + 1)];
  return { ...tensor, shape, data: tensor.data.subarray(from * inner, to * inner) };
}

/**
 * The results of each item out of those of their call: of equal forms the results are as long as the items are, so that each
 * has its share of them, but where the tower counts the rows.
 * @param told of {@link inputsOf}, those that are wanted
 */
export function sharesOf(
  items: readonly EncodeItem[],
  results: Tensors,
  { layout = [], joinAxes = {}, resultRows }: Pick<TowerSpec, "layout" | "joinAxes" | "resultRows">,
  told: readonly string[],
): readonly Tensors[] {
  const read = items as readonly ReadItem[];
  const total = items.reduce((sum, { rows }) => sum + rows, 0);
  const counted = read.map(({ tensors }) => resultRows?.(tensors) ?? {});
  let before = 0;
  return read.map(({ rows, tensors }, item) => {
    const share = Object.entries(results).map(([name, tensor]) => {
      if (layout.includes(name)) return [name, tensors[name]] as const;
      const axis = Object.hasOwn(joinAxes, name) ? joinAxes[name] : 0;
      if (Object.hasOwn(counted[item], name)) {
        const from = counted.slice(0, item).reduce((sum, own) => sum + own[name], 0);
        return [name, cut(tensor, axis, from, from + counted[item][name])] as const;
      }
      const length = tensor.shape[axis];
      const [from, to] = [(length * before) / total, (length * (before + rows)) / total];
      if (!Number.isInteger(from) || !Number.isInteger(to)) {
        return internal(`the ${length} rows of "${name}" cannot be shared out among ${total} rows of inputs`);
      }
      return [name, cut(tensor, axis, from, to)] as const;
    });
    before += rows;
    return Object.fromEntries([...share, ...told.map((name) => [name, tensors[name]] as const)]);
  });
}
