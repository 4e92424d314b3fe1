/**
 * Towers that take pixels in two forms: normalised f32, and the bytes themselves, which a component of its own normalises by
 * its weights. What is given decides which of the two a plan calls.
 */
import { fillNormal, hash32 } from "../core/random.ts";
import type { ValueSteps } from "../core/value_steps.ts";
import type { CheckLater, ComponentSpec, GraphBuilder, Processors, Tensor, Tensors } from "./encoder.ts";
import { checkInputLength, finiteFloats, refuseInput } from "./inputs.ts";

/** Which forms a tower takes. */
export interface PixelForms {
  /** How bytes are normalised, as the model's processor says; absent for a model without one, which takes f32 alone. */
  readonly steps?: ValueSteps;
  /** What the processor makes. The component of the other form is lazy. */
  readonly processor: "u8" | "f32";
}

/** Forms of a model without a processor. */
export const FLOAT_PIXELS: PixelForms = { processor: "f32" };

/** An image processor: one way from images to samples, and what may follow. */
export interface PixelProcessor {
  /** Tensors with normalised f32 pixels, as the Hugging Face class computes them. */
  readonly values: NonNullable<Processors["images"]>;
  /** The same with u8 pixels before `steps`; absent where values do not follow from 8-bit samples by `steps` alone. */
  readonly bytes?: PixelProcessor["values"];
  /** What fills the u8 pixels, by the pictures' sizes alone: `bytes` for devices. */
  readonly plan?: NonNullable<Processors["pixels"]>;
  /** What makes values of samples. */
  readonly steps: ValueSteps;
}

/** Forms of a tower with `channels` channels whose model has this processor, or one that is known by its steps alone. */
export function pixelForms(
  processor: Pick<PixelProcessor, "steps" | "bytes"> | undefined,
  channels: number,
): PixelForms {
  if (processor === undefined) return FLOAT_PIXELS;
  const { steps, bytes } = processor;
  // Steps for another number of channels are not the tower's own.
  const fits = [steps.mean, steps.std].every((s) => s === undefined || s.length === channels);
  return fits ? { steps, processor: bytes === undefined ? "f32" : "u8" } : FLOAT_PIXELS;
}

/** What the processor makes for a tower of these forms. */
export function imagesFor(
  { values, bytes, plan }: PixelProcessor,
  forms: PixelForms,
): Pick<Processors, "images" | "pixels"> {
  if (forms.processor !== "u8" || bytes === undefined) return { images: values };
  return { images: bytes, ...(plan === undefined ? {} : { pixels: plan }) };
}

/** A class of processors without a tower: the normalised values. */
export function valuesOf(
  processor: (config: unknown) => PixelProcessor,
): (config: unknown) => PixelProcessor["values"] {
  return (config) => processor(config).values;
}

/** Names of prepared pixels, which tell a plan, that sees shapes alone, their type. */
const FLOATS = "pixel_values";
const BYTES = "pixel_bytes";

/** Type of a component's pixels. */
export function pixelType(steps: ValueSteps | undefined): "f32" | "u8" {
  return steps === undefined ? "f32" : "u8";
}

/**
 * An embedding component, and where bytes are taken the one beside it, whose tag ends with `_u8`. Both call their pixels
 * `pixel_values`.
 * @param build gets nothing for pixels of f32, the steps for those of u8
 */
export function pixelComponents(
  { steps, processor }: PixelForms,
  spec: Omit<ComponentSpec, "build" | "lazy" | "precise">,
  build: (b: GraphBuilder, steps: ValueSteps | undefined) => void,
): readonly ComponentSpec[] {
  const component = { ...spec, precise: true };
  const floats = { ...component, lazy: processor === "u8", build: (b: GraphBuilder) => build(b, undefined) };
  if (steps === undefined) return [{ ...floats, lazy: false }];
  const tag = `${component.tag}_u8`;
  return [floats, { ...component, tag, lazy: processor === "f32", build: (b) => build(b, steps) }];
}

/**
 * The pixels as prepared input: f32, all finite, or u8 where the tower takes bytes. The shape is the caller's to check.
 * @throws FoveaError `invalid_input`
 */
export function preparePixels(name: string, t: Tensor, { steps }: PixelForms, later?: CheckLater): Tensors {
  if (t.dtype !== "u8") {
    finiteFloats(name, t, later);
    return { [FLOATS]: t };
  }
  if (steps === undefined) {
    return refuseInput(
      `The input "${name}" has type u8, expected f32, because nothing says how this model's bytes are normalised; give normalised values, or load the model with its preprocessor_config.json.`,
    );
  }
  if (!(t.data instanceof Uint8Array || t.data instanceof Uint8ClampedArray))
    return refuseInput(`The input "${name}" has type u8, expected its values in a Uint8Array; convert them first.`);
  checkInputLength(name, t);
  return { [BYTES]: t };
}

/** Made-up pixels for a benchmark, of the form that the processor makes: any samples, or normal values. */
export function examplePixels(shape: readonly number[], seed: number, { processor }: PixelForms): Tensor {
  const count = shape.reduce((a, d) => a * d, 1);
  if (processor === "u8") {
    return { dtype: "u8", shape, data: Uint8Array.from({ length: count }, (_, i) => hash32(seed, i)) };
  }
  const data = new Float32Array(count);
  fillNormal(data, seed, 0, 1);
  return { dtype: "f32", shape, data };
}

/** What a plan calls for prepared pixels. */
export interface PixelCall {
  /** Tag of the component that is called. */
  readonly tag: string;
  /** True where the pixels are u8. */
  readonly bytes: boolean;
  /** Prepared name, for the port `pixel_values`. */
  readonly value: string;
  /** Shape of the pixels. */
  readonly shape: readonly number[];
}

/**
 * The call that fits the prepared pixels, of which a plan sees the shapes: {@link preparePixels} names them by their type.
 * @param tag of the component for f32
 */
export function pixelCall(tag: string, shapes: Readonly<Record<string, readonly number[]>>): PixelCall {
  const bytes = shapes[BYTES];
  return bytes === undefined
    ? { tag, bytes: false, value: FLOATS, shape: shapes[FLOATS] }
    : { tag: `${tag}_u8`, bytes: true, value: BYTES, shape: bytes };
}
