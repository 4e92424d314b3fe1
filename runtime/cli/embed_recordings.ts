/** Recordings of one command: some towers pad nothing, and give each length results of its own size. */
import type { Tensor, Tensors } from "../abi/encoder.ts";
import { joinedParts } from "../session/inputs/joined_parts.ts";
import type { EncodeOptions, Encoder } from "../session.ts";

/** A result, and the recordings that it is of. */
export interface RecordedResult {
  readonly name: string;
  readonly tensor: Tensor;
  readonly inputs: readonly string[];
}

/** Encodes one recording after the other; `name.0`, `name.1` are of each where results have sizes of their own. */
export async function encodeRecordings(
  encoder: Encoder,
  audio: readonly string[],
  { onProgress, ...options }: EncodeOptions,
): Promise<readonly RecordedResult[]> {
  const results: Tensors[] = [];
  for (const one of audio) {
    results.push((await encoder.encode({ audio: [one] }, options)) as Tensors);
    onProgress?.(results.length, audio.length);
  }
  const { joinAxes = {} } = encoder.tower("audio").spec;
  return Object.keys(results[0]).flatMap((name) => {
    const axis = Object.hasOwn(joinAxes, name) ? joinAxes[name] : 0;
    const parts = joinedParts(
      name,
      results.map((own) => own[name]),
      axis,
    );
    return parts.map((part, i) => ({ ...part, inputs: parts.length === 1 ? audio : [audio[i]] }));
  });
}
