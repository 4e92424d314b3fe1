/** The device for places that forbid making code: on the caller's thread, over modules that were compiled elsewhere. */
import type { Device } from "../../runtime/abi/device.ts";
import type { Sandbox } from "../../runtime/abi/sandbox.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { InlineDevice } from "./device/inline_device.ts";
import type { CompileCode } from "./device/linear_device.ts";

/** Code of a step, compiled. */
export interface EdgeCode {
  readonly module: WebAssembly.Module;
  /** Name of its function, where it shares the module. */
  readonly entry?: string;
  /** Of foreign code: how it is run. */
  readonly sandbox?: Sandbox;
}

export interface EdgeDeviceOptions {
  /** Target that the code is for. */
  readonly target: string;
  /** Upper bound of device memory, bytes. */
  readonly memory: number;
  /** All code that will ever run, by digest. */
  readonly code: ReadonlyMap<string, EdgeCode>;
  /**
   * Milliseconds of work between two turns of the event loop. Infinity where a turn may be the last: edges drop the timers of
   * a request whose client left, and their clocks stand still while code runs.
   */
  readonly sliceMs: number;
}

const refuse: CompileCode = async (digest) => {
  throw new FoveaError("no_compiler", `The code ${digest} was not frozen, and no code is made here; freeze it again.`);
};

/** @throws FoveaError `unknown_target`, `out_of_memory` */
export async function openEdgeDevice({ target, memory, code, sliceMs }: EdgeDeviceOptions): Promise<Device> {
  const device = new InlineDevice(target, memory, refuse, { sliceMs });
  await device.adopt(code);
  return device;
}
