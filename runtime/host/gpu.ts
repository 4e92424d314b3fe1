/** WebGPU of the hosts: built in, or an optional peer that is loaded when a device first asks for it. */
import type { Unavailable } from "../abi/device.ts";
import { lazy } from "../core/lazy.ts";

/** What the runtime brings itself. */
export async function builtInGpu(): Promise<GPU | Unavailable> {
  const { gpu } = navigator as { readonly gpu?: GPU };
  return gpu ?? { unavailable: "this runtime has no WebGPU" };
}

/** Deno 2.2 to 2.9, which were tried (test/host/gpu_test.ts tries the one that is installed). */
const MAPS_EARLY = /^2\.[2-9]\./;

/**
 * Whether the runtime's own `mapAsync` waits for the device before it returns, and tells only 10 ms later, but lets a buffer that
 * was mapped before be read at once. A version that is not known for it may end the process on such a read.
 * @param version Deno's, undefined for another runtime
 */
export const mapsEarly = (version: string | undefined): boolean => version !== undefined && MAPS_EARLY.test(version);

/** `npm install webgpu`: Dawn for Node. */
interface NodePeer {
  create(flags: readonly string[]): GPU;
}

/** `npm install bun-webgpu`: Dawn for Bun. */
interface BunPeer {
  createGPUInstance(): GPU;
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split("\n")[0];

async function loadPeer<T>(peer: string, create: (module: T) => GPU): Promise<GPU | Unavailable> {
  let module: T;
  try {
    // Not a literal: bundlers and registries must not take an optional peer for a dependency.
    module = (await import(peer)) as T;
  } catch (error) {
    const { code } = error as { readonly code?: string };
    const absent = code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND";
    return {
      unavailable: absent
        ? `WebGPU comes from the package "${peer}" here, which is not installed; run npm install ${peer}`
        : `the package "${peer}" does not load: ${reasonOf(error)}`,
    };
  }
  try {
    return create(module);
  } catch (error) {
    return { unavailable: `the package "${peer}" does not start: ${reasonOf(error)}` };
  }
}

/** Dawn's own switches: subgroup matrices, f16 on cards where it is held back, and the memory model that both want. */
const EXPERIMENTAL = "enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia,use_vulkan_memory_model";

// Asked once; what was found stays referenced, since some peers end with their first object.

export function nodeGpu(): (experimental?: boolean) => Promise<GPU | Unavailable> {
  const usual = lazy(() => loadPeer<NodePeer>("webgpu", ({ create }) => create([])));
  const whole = lazy(() => loadPeer<NodePeer>("webgpu", ({ create }) => create([EXPERIMENTAL])));
  return (experimental = false) => (experimental ? whole() : usual());
}

export const bunGpu = (): (() => Promise<GPU | Unavailable>) =>
  lazy(() => loadPeer<BunPeer>("bun-webgpu", ({ createGPUInstance }) => createGPUInstance()));
