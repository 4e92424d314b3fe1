/** Pipelines by blob and how it sees buffers. Those of usual programs are made at load, all at once; others at their first use. */
import { FoveaError, firstLine, internal, KernelError } from "../../../runtime/core/diagnostics.ts";
import { bindingsOf, decodeCode, type GpuCode, moduleFor, type Seen, seenKey, usualSharing } from "./code.ts";

export interface Pipelines {
  /** Compiles blobs that are new, and counts them. @throws FoveaError `invalid_code` with the compiler's message */
  load(code: ReadonlyMap<string, Uint8Array>): Promise<number>;
  has(digest: string): boolean;
  code(digest: string): GpuCode;
  get(digest: string, seen: Seen): GPUComputePipeline;
  layoutOf(digest: string, seen: Seen): GPUBindGroupLayout;
  /** Pipelines that were made so far. */
  readonly made: number;
}

interface Variant {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

const COMPUTE = 4;

/** @param pieceBytes of memory in pieces */
export function createPipelines(device: GPUDevice, pieceBytes: number): Pipelines {
  const codes = new Map<string, GpuCode>();
  const variants = new Map<string, Variant>();
  let made = 0;
  const keyOf = (digest: string, seen: Seen): string => `${digest} ${seenKey(seen)}`;

  const descriptorOf = (
    digest: string,
    seen: Seen,
  ): { layout: GPUBindGroupLayout; descriptor: GPUComputePipelineDescriptor } => {
    const code = codes.get(digest) ?? internal(`code ${digest} is bound before it is loaded`);
    const label = `${code.name} ${digest}`;
    const entries = bindingsOf(code, seen).map(
      ({ written }, binding): GPUBindGroupLayoutEntry => ({
        ...{ binding, visibility: COMPUTE },
        buffer: { type: written ? "storage" : "read-only-storage" },
      }),
    );
    if (code.sandbox === true)
      entries.push({ binding: entries.length, visibility: COMPUTE, buffer: { type: "storage" } });
    const words = { type: "uniform", hasDynamicOffset: true } as const;
    entries.push({ binding: entries.length, visibility: COMPUTE, buffer: words });
    const layout = device.createBindGroupLayout({ entries });
    const module = device.createShaderModule({ code: moduleFor(code, seen, pieceBytes), label });
    return {
      layout,
      descriptor: {
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: "main" },
        label,
      },
    };
  };

  const variant = (digest: string, seen: Seen): Variant => {
    const key = keyOf(digest, seen);
    const known = variants.get(key);
    if (known !== undefined) return known;
    const { layout, descriptor } = descriptorOf(digest, seen);
    const fresh = { layout, pipeline: device.createComputePipeline(descriptor) };
    made++;
    variants.set(key, fresh);
    return fresh;
  };

  /** Makes the usual pipeline of a blob. @throws Error with the compiler's message */
  const make = async (digest: string): Promise<void> => {
    const seen = { sharing: usualSharing(codes.get(digest) as GpuCode) };
    device.pushErrorScope("validation");
    const { layout, descriptor } = descriptorOf(digest, seen);
    const problem = device.popErrorScope();
    try {
      const pipeline = await device.createComputePipelineAsync(descriptor);
      made++;
      variants.set(keyOf(digest, seen), { pipeline, layout });
    } catch (cause) {
      throw new Error((await problem)?.message ?? String(cause), { cause });
    }
  };

  return {
    get made() {
      return made;
    },
    has: (digest) => codes.has(digest),
    code: (digest) => codes.get(digest) ?? internal(`code ${digest} is bound before it is loaded`),
    get: (digest, seen) => variant(digest, seen).pipeline,
    layoutOf: (digest, seen) => variant(digest, seen).layout,
    load: async (blobs) => {
      const fresh = [...blobs].filter(([digest]) => !codes.has(digest));
      for (const [digest, bytes] of fresh) codes.set(digest, decodeCode(digest, bytes));
      await Promise.all(
        fresh.map(async ([digest]) => {
          try {
            // bun-webgpu 0.1.7 holds the text of a shader by its address alone: what the collector took meanwhile arrives garbled.
            await make(digest).catch(() => make(digest));
          } catch (error) {
            codes.delete(digest);
            const { message, cause } = error as Error;
            const found = firstLine(message);
            const { name, sandbox } = decodeCode(digest, blobs.get(digest) as Uint8Array);
            if (sandbox === true) throw new KernelError("webgpu", name, `the adapter refused it: ${found}`, cause);
            throw new FoveaError(
              "invalid_code",
              `The adapter refused the kernel ${name} (code blob ${digest}): ${found}.`,
              { cause },
            );
          }
        }),
      );
      return fresh.length;
    },
  };
}
