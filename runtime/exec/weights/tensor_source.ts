/** Where weights come from: a checkpoint, or made-up values. */

export interface ReadOptions {
  /** Looked at between slices; a read then throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** Of the tensor's size: a source that reads may write there and return it, instead of an array of its own. */
  readonly into?: Float32Array;
}

/** Tensors by name, as dense row-major f32 whatever they are stored as. */
export interface TensorSource {
  has(name: string): boolean;
  /** The stored shape; nothing when the tensor is absent or the source has any shape. */
  shapeOf(name: string): readonly number[] | undefined;
  /** Tells a tensor's version from any other without reading it; nothing where that is not known. */
  identityOf?(name: string): string | undefined;
  /** @throws FoveaError `missing_tensor`, `wrong_shape`, `non_finite_weights`, `unsupported_dtype` */
  read(name: string, shape: readonly number[], options?: ReadOptions): Promise<Float32Array>;
  close?(): Promise<void>;
}
