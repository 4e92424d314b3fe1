/** A tower of an encoder with its components, which callers do not see. */
import type { Modality } from "../../runtime/abi/encoder.ts";
import type { LoadedTower } from "../../runtime/session/towers/tower.ts";
import type { Encoder } from "../../runtime/session.ts";

/** All of what `encoder.tower` gives. */
export const loadedTower = (encoder: Encoder, modality: Modality): LoadedTower =>
  encoder.tower(modality) as LoadedTower;
