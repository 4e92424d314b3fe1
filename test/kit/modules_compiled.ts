/** What the engine compiles, seen where it is asked to. */
import { digestBytes } from "../../runtime/core/digest.ts";

/** Digests of all modules that the engine was asked to compile while `work` ran. */
export async function modulesCompiled(work: () => Promise<void>): Promise<readonly string[]> {
  const { Module, compile, instantiate, compileStreaming, instantiateStreaming } = WebAssembly;
  const seen: string[] = [];
  const note = (source: unknown): void => {
    const bytes =
      source instanceof ArrayBuffer
        ? new Uint8Array(source)
        : ArrayBuffer.isView(source)
          ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
          : undefined;
    if (bytes !== undefined) seen.push(digestBytes(bytes));
    else if (!(source instanceof Module)) seen.push("a stream");
  };
  const watched =
    <T extends (...args: never[]) => unknown>(f: T) =>
    (...args: Parameters<T>): unknown => {
      note(args[0]);
      return f.apply(WebAssembly, args);
    };
  Object.assign(WebAssembly, {
    Module: new Proxy(Module, {
      construct: (target, args) => {
        note(args[0]);
        return Reflect.construct(target, args) as object;
      },
    }),
    compile: watched(compile),
    instantiate: watched(instantiate),
    compileStreaming: watched(compileStreaming),
    instantiateStreaming: watched(instantiateStreaming),
  });
  try {
    await work();
  } finally {
    Object.assign(WebAssembly, { Module, compile, instantiate, compileStreaming, instantiateStreaming });
  }
  return seen;
}
