/** Rotary settings of configurations, in the spellings of both transformers generations. All functions throw FoveaError `invalid_config`. */
import type { ConfigReader } from "./config.ts";

const POSITIVE = { min: Number.MIN_VALUE };

/** Base of the frequencies of an object such as `rope_parameters`; frequencies that are scaled are refused. */
export function ropeTheta(rope: ConfigReader, fallback: number): number {
  rope.oneOf(rope.has("rope_type") ? "rope_type" : "type", ["default"], "default");
  return rope.number("rope_theta", fallback, POSITIVE);
}

/** Where the base of a kind of layers is found. */
export interface LayerRope {
  /** Name of the kind, under which `rope_parameters` has its settings. */
  readonly kind: string;
  /** Field of older configurations; it counts as well where `rope_parameters` has no base of the kind. */
  readonly field: string;
  /** Base where neither is there. */
  readonly fallback: number;
  /** `rope_scaling`, which may have a base as well, is for this kind. */
  readonly scaling: boolean;
}

/** Base of the frequencies of a kind of layers. */
export function layerTheta(c: ConfigReader, { kind, field, fallback, scaling }: LayerRope): number {
  const own = c.number(field, fallback, POSITIVE);
  const all = c.has("rope_parameters") ? c.object("rope_parameters") : undefined;
  const theta = all?.has(kind) === true ? ropeTheta(all.object(kind), own) : own;
  return scaling && c.has("rope_scaling") ? ropeTheta(c.object("rope_scaling"), theta) : theta;
}
