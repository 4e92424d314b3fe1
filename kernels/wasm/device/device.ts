/** The `wasm` device: 128-bit vectors over one linear memory, on workers or on the caller's thread. */
import type {
  Capabilities,
  Device,
  DeviceHost,
  DeviceSpec,
  OpenOptions,
  Unavailable,
} from "../../../runtime/abi/device.ts";
import { sandboxOf } from "../../../runtime/abi/sandbox.ts";
import { FoveaError } from "../../../runtime/core/diagnostics.ts";
import { TUNED, WASM_TARGETS, wasmCapabilities } from "./capabilities.ts";
import { compileUnshared } from "./compile_code.ts";
import { InlineDevice } from "./inline_device.ts";
import { mayWait } from "./isolate_channel.ts";
import { Isolates } from "./isolates.ts";
import { MEMORY_LIMIT } from "./memory.ts";
import { PoolDevice } from "./pool_device.ts";
import { hasSimd128, relaxedMultiplyAdd } from "./probe.ts";
import { linkGlued } from "./transpiled_kernel.ts";

const NO_SIMD = "this engine's WebAssembly has no 128-bit vectors (simd128)";

/** Relaxed code is the default only where its madd is fused: elsewhere it is slower and gains nothing. */
function bestTarget(): string {
  return relaxedMultiplyAdd() === "fused" ? "wasm-relaxed" : "wasm-simd128";
}

async function probe(): Promise<{ readonly target: string; readonly capabilities: Capabilities } | Unavailable> {
  if (!hasSimd128()) return { unavailable: NO_SIMD };
  const target = bestTarget();
  return { target, capabilities: wasmCapabilities(target) };
}

function targetProblem(target: string): string | undefined {
  if (wasmCapabilities(target).relaxedMadd !== true || relaxedMultiplyAdd() !== "absent") return undefined;
  return "its code needs relaxed SIMD, which this engine does not have";
}

/** Why this host has no workers over one memory; nothing where it has. */
const noWorkers = ({ name, spawnWorker, unshared }: DeviceHost): string | undefined =>
  spawnWorker === undefined ? `${name} has no workers` : unshared;

function checkedThreads(host: DeviceHost, threads: number | undefined): number {
  const wanted = threads ?? (noWorkers(host) === undefined ? host.cores : 0);
  if (!Number.isInteger(wanted) || wanted < 0) {
    throw new FoveaError(
      "invalid_options",
      `\`threads\` is ${wanted}; expected 0 (no workers) or a whole number of workers.`,
    );
  }
  return wanted;
}

function checkedMemory(memory: number | undefined): number {
  const wanted = memory ?? MEMORY_LIMIT;
  if (!Number.isFinite(wanted) || wanted < 1) {
    throw new FoveaError("invalid_options", `\`memory\` is ${wanted}; expected a number of bytes.`);
  }
  return Math.min(wanted, MEMORY_LIMIT);
}

/**
 * `threads` defaults to one worker per core where the host has workers that share memory, `memory` to all that 32 bits address.
 * @throws FoveaError `unknown_target`, `unsupported_target`, `invalid_options`, `no_workers`, `out_of_memory`
 */
async function open(host: DeviceHost, options: OpenOptions): Promise<Device> {
  if (!hasSimd128()) throw new FoveaError("unsupported_target", `The device "wasm" is not available: ${NO_SIMD}.`);
  const target = options.target ?? bestTarget();
  const problem = targetProblem(target);
  if (problem !== undefined) {
    throw new FoveaError(
      "unsupported_target",
      `The target "${target}" cannot be used on ${host.name}: ${problem}. Use "wasm-simd128".`,
    );
  }
  const threads = checkedThreads(host, options.threads);
  const memory = checkedMemory(options.memory);
  const { spawnWorker } = host;
  const absent = noWorkers(host);
  if (threads === 0)
    return new InlineDevice(target, memory, compileUnshared, {
      glued: (module) => linkGlued(module, options.links),
      isolates: isolatesOf(host),
    });
  if (spawnWorker === undefined || absent !== undefined) {
    throw new FoveaError("no_workers", `${threads} threads were asked for, but ${absent}; use threads: 0.`);
  }
  return new PoolDevice(spawnWorker, target, threads, memory);
}

/** For kernels that the caller's thread hands to workers of their own, or why it cannot. */
function isolatesOf(host: DeviceHost): Isolates | string {
  const { spawnWorker } = host;
  const absent = noWorkers(host);
  if (spawnWorker === undefined || absent !== undefined) return absent ?? "there are no workers";
  return mayWait()
    ? new Isolates(spawnWorker)
    : `this thread of ${host.name} may not wait for a worker, which \`threads\` of 1 or more leave to others`;
}

/** Code of kernels as text; of foreign ones what they may do, since their authors have the source. */
async function describeCode(code: Uint8Array): Promise<readonly string[]> {
  const sandbox = sandboxOf(code);
  if (sandbox === undefined) {
    const { disassemble } = await import("../asm/disassemble.ts");
    return disassemble(code);
  }
  const own = "copies of its operands in a memory of its own";
  const memory = { own, worker: `${own}, in a worker of its own`, shared: "the device's memory" }[sandbox.memory];
  return [`foreign module of ${code.length} bytes with counted loops; it works on ${memory}`];
}

export const WASM_DEVICE: DeviceSpec = {
  kind: "wasm",
  targets: WASM_TARGETS,
  probe,
  tuned: TUNED,
  targetCapabilities: wasmCapabilities,
  targetProblem,
  open,
  describeCode,
};
