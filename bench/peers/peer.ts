/** An engine that runs the exported graph. */
import type { Tensor, Tensors } from "../../runtime/abi/encoder.ts";

/** A model's file and the file beside it that holds its weights. */
export interface PeerModel {
  readonly onnx: Uint8Array<ArrayBuffer>;
  readonly weights: Uint8Array<ArrayBuffer>;
  /** The weights' name in the model. */
  readonly weightsFile: string;
}

export interface Peer {
  readonly name: string;
  readonly version: string;
  /** One result of the model. */
  run(feeds: Tensors, output: string): Promise<Float32Array>;
  close(): Promise<void>;
}

/** Opens a model with `threads` threads, which hold for the whole process. */
export type OpenPeer = (model: PeerModel, threads: number) => Promise<Peer>;

/** The part of the two packages' common interface that is used. */
interface Session<T> {
  run(feeds: Record<string, T>, outputs: readonly string[]): Promise<Record<string, { readonly data: unknown }>>;
  release(): Promise<void>;
}

const TYPES = { f32: "float32", i32: "int32" } as const;

/** A session of either package as a peer. */
export function peerOf<T>(
  name: string,
  version: string,
  session: Session<T>,
  tensor: (type: "float32" | "int32", data: Float32Array & Int32Array, shape: readonly number[]) => T,
): Peer {
  const converted = ({ dtype, data, shape }: Tensor): T =>
    tensor(TYPES[dtype as keyof typeof TYPES], data as Float32Array & Int32Array, shape);
  return {
    name,
    version,
    run: async (feeds, output) => {
      const given = Object.fromEntries(Object.entries(feeds).map(([port, value]) => [port, converted(value)]));
      return (await session.run(given, [output]))[output].data as Float32Array;
    },
    close: () => session.release(),
  };
}
