/** Runs a compressed format's decoder over a file in small pieces, so that what it unpacks to is known before it is too much. */
import { FoveaError } from "../../core/diagnostics.ts";
import { type AudioLimits, checkShape, damaged, subject, tooLong, truncated } from "./audio_header.ts";
import type { AudioClip } from "./clip.ts";

/** Samples that one piece of a file gave. */
export interface DecodedPiece {
  readonly channelData: readonly Float32Array[];
  readonly samplesDecoded: number;
  readonly sampleRate: number;
  readonly errors: readonly { readonly message: string }[];
}

/** What the decoders of the `wasm-audio-decoders` project have in common. */
export interface StreamDecoder {
  readonly ready: Promise<void>;
  decode(bytes: Uint8Array): DecodedPiece | Promise<DecodedPiece>;
  /** Absent where nothing is held back. */
  flush?(): Promise<DecodedPiece>;
  free(): void;
}

/** A format and the package that decodes it, which users install when they need it. */
export interface StreamCodec {
  readonly format: string;
  readonly package: string;
  /** Loads the package. */
  readonly open: () => Promise<StreamDecoder>;
}

/** Bytes at a time: a hostile file of silence unpacks to some 150 MB a piece at worst. */
const PIECE = 8192;

/**
 * Decodes a whole file.
 * @param promised samples of a channel that the file's header counts at least: decoders leave out what fails its checksum
 * without a word
 * @param lacking the error where it holds fewer
 * @throws FoveaError `audio.no_codec`, `audio.damaged`, `audio.truncated`, `audio.too_long`
 */
export async function runStreamDecoder(
  codec: StreamCodec,
  bytes: Uint8Array,
  limits: AudioLimits,
  promised = 0,
  lacking: typeof truncated = truncated,
): Promise<AudioClip> {
  const decoder = await openDecoder(codec, limits);
  const pieces: DecodedPiece[] = [];
  let samples = 0;
  const keep = (piece: DecodedPiece): void => {
    if (piece.errors.length > 0) throw damaged(limits, codec.format, piece.errors[0].message);
    if (piece.samplesDecoded === 0) return;
    checkSame(piece, pieces[0] ?? piece, codec, limits);
    samples += piece.samplesDecoded * piece.channelData.length;
    if (samples > limits.maxSamples) throw tooLong(limits, samples);
    pieces.push(piece);
  };
  try {
    for (let at = 0; at < bytes.length; at += PIECE) keep(await decoder.decode(bytes.subarray(at, at + PIECE)));
    if (decoder.flush !== undefined) keep(await decoder.flush());
  } catch (error) {
    if (error instanceof FoveaError) throw error;
    throw damaged(limits, codec.format, `its decoder stopped with "${messageOf(error)}"`, error);
  }
  decoder.free();
  const found = pieces.reduce((n, p) => n + p.samplesDecoded, 0);
  if (found < promised) {
    const detail = `its header promises ${promised} samples a channel, ${found} can be decoded`;
    throw lacking(limits, codec.format, detail);
  }
  if (found === 0) throw damaged(limits, codec.format, "it holds no samples that can be decoded");
  return joined(pieces, found);
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function openDecoder(codec: StreamCodec, limits: AudioLimits): Promise<StreamDecoder> {
  try {
    const decoder = await codec.open();
    await decoder.ready;
    return decoder;
  } catch (cause) {
    throw new FoveaError(
      "audio.no_codec",
      `${subject(limits)} holds ${codec.format} sound, which the package ${codec.package} decodes, and that cannot be loaded: ` +
        `${messageOf(cause).split("\n")[0]}. Install it with \`npm install ${codec.package}\`, or convert the file to WAV.`,
      { cause },
    );
  }
}

/** A recording whose rate or channels change on the way has no one clip. */
function checkSame(piece: DecodedPiece, first: DecodedPiece, codec: StreamCodec, limits: AudioLimits): void {
  checkShape(limits, codec.format, piece.sampleRate, piece.channelData.length, piece.samplesDecoded);
  if (piece.sampleRate === first.sampleRate && piece.channelData.length === first.channelData.length) return;
  const shape = (p: DecodedPiece): string => `${p.sampleRate} Hz with ${p.channelData.length} channels`;
  throw damaged(limits, codec.format, `it begins with ${shape(first)} and goes on with ${shape(piece)}`);
}

function joined(pieces: readonly DecodedPiece[], length: number): AudioClip {
  const channels = pieces[0].channelData.map((_, channel) => {
    const out = new Float32Array(length);
    let at = 0;
    for (const piece of pieces) {
      out.set(piece.channelData[channel].subarray(0, piece.samplesDecoded), at);
      at += piece.samplesDecoded;
    }
    return out;
  });
  return { sampleRate: pieces[0].sampleRate, channels };
}
