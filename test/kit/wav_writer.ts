/** Writes WAV files for tests, right ones and broken ones. */

export interface WavOptions {
  /** 1 PCM, 3 float, 6 A-law, 7 mu-law. */
  readonly encoding?: number;
  readonly bits?: number;
  readonly channels?: number;
  readonly sampleRate?: number;
  /** Wraps the encoding in WAVE_FORMAT_EXTENSIBLE. */
  readonly extensible?: boolean;
  /** Bytes of chunks between the header and `fmt `. */
  readonly before?: Uint8Array;
  /** Sizes to declare instead of the true ones. */
  readonly riffSize?: number;
  readonly dataSize?: number;
  readonly blockAlign?: number;
}

const text = (s: string): number[] => [...s].map((c) => c.charCodeAt(0));

const little = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) % 256);

/** A chunk with its padding byte. */
export function chunk(name: string, body: ArrayLike<number>, size: number = body.length): Uint8Array {
  return Uint8Array.from([
    ...text(name),
    ...little(size, 4),
    ...Array.from(body),
    ...(body.length % 2 === 1 ? [0] : []),
  ]);
}

const SUBFORMAT = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];

/** A WAV file around bytes of samples. */
export function wavFile(samples: Uint8Array, options: WavOptions = {}): Uint8Array {
  const { encoding = 1, bits = 16, channels = 1, sampleRate = 16000, extensible = false } = options;
  const block = options.blockAlign ?? (channels * bits) / 8;
  const format = [
    ...little(extensible ? 0xfffe : encoding, 2),
    ...little(channels, 2),
    ...little(sampleRate, 4),
    ...little((sampleRate * channels * bits) / 8, 4),
    ...little(block, 2),
    ...little(bits, 2),
    ...(extensible ? [22, 0, ...little(bits, 2), ...little(3, 4), ...little(encoding, 2), ...SUBFORMAT] : []),
  ];
  const body = [
    ...text("WAVE"),
    ...(options.before ?? []),
    ...chunk("fmt ", format),
    ...chunk("data", samples, options.dataSize ?? samples.length),
  ];
  return Uint8Array.from([...text("RIFF"), ...little(options.riffSize ?? body.length, 4), ...body]);
}

/** Bytes of a typed array. */
export function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** 24-bit integers, little-endian. */
export function int24(values: readonly number[]): Uint8Array {
  return Uint8Array.from(values.flatMap((v) => little(v & 0xffffff, 3)));
}
