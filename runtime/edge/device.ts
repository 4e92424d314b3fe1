/** The device of a frozen model, over modules that came with it. */
import { type EdgeCode, openEdgeDevice } from "../../kernels/wasm/edge.ts";
import type { Device } from "../abi/device.ts";
import type { FrozenModel } from "./frozen.ts";

export interface FrozenDeviceOptions {
  /** By digest. */
  readonly modules: Readonly<Record<string, WebAssembly.Module>>;
  /** Most bytes of device memory. */
  readonly memory: number;
  /** Milliseconds of work between two turns of the event loop. */
  readonly sliceMs: number;
}

/** @throws FoveaError `unknown_target`, `out_of_memory` */
export function openFrozenDevice(
  { target, code, functions, sandboxes }: FrozenModel,
  { modules, memory, sliceMs }: FrozenDeviceOptions,
): Promise<Device> {
  const codeOf = (digest: string): EdgeCode => {
    const [module, entry] = functions[digest] ?? [digest];
    const sandbox = sandboxes[digest];
    return {
      module: modules[module],
      ...(entry === undefined ? {} : { entry }),
      ...(sandbox === undefined ? {} : { sandbox }),
    };
  };
  return openEdgeDevice({ target, memory, sliceMs, code: new Map(code.map((digest) => [digest, codeOf(digest)])) });
}
