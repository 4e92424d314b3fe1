/** A described kernel as a kernel like any other: it claims what its pattern matches and emits its rewritten module. */
import { pointer, type Source, sourcesOf } from "../abi/claims/operands.ts";
import type { Isolation } from "../abi/isolation.ts";
import type { Arg, ClaimContext, EmitContext, KernelSpec, Offer } from "../abi/kernel.ts";
import type { SandboxArgument } from "../abi/sandbox.ts";
import { add, type Box, bounds, ceilDiv, type Dim, evaluate, floorDiv, mul, product } from "../core/dim.ts";
import { DTYPE_BYTES } from "../core/dtype.ts";
import { substitute } from "../core/substitute.ts";
import type { Node } from "../ir/node.ts";
import type { Feature } from "./binary/opcodes.ts";
import type { KernelLayout, NamedArgument } from "./layout.ts";
import { type Match, matchKernel } from "./match.ts";

/** A checked module or component, and what it needs. */
export interface Build {
  readonly features: readonly Feature[];
  /** Rewritten, with the sandbox of a kernel. */
  readonly code: (layout: KernelLayout) => Uint8Array;
}

/** Most operations of one grid item: what a call may do is counted in 31 bits, and it must stop soon when it never ends. */
const MOST_FLOPS = 2 ** 26;
/** Most bytes of scratch: what a memory of its own holds. */
const MOST_SCRATCH = 256 * 2 ** 20;
/** Launches of a built-in kernel that calling across and copying cost. */
const LAUNCHES: Readonly<Record<Isolation, number>> = { worker: 24, "own-memory": 2, "shared-memory": 2 };

export interface ForeignKernelOptions {
  readonly plugin: string;
  readonly layout: KernelLayout;
  /** The most demanding first. */
  readonly builds: readonly Build[];
  readonly isolation: Isolation;
}

const floatBits = new DataView(new ArrayBuffer(4));

/** A number as the 32 bits of an f32, signed. */
function bitsOf(value: number): number {
  floatBits.setFloat32(0, value);
  return floatBits.getInt32(0);
}

/** The best build that a target's code may use. */
function chosenBuild(builds: readonly Build[], context: ClaimContext): Build | undefined {
  const has: Readonly<Record<Feature, boolean>> = {
    simd128: context.capabilities.simd128 === true,
    "relaxed-simd": context.capabilities.relaxedMadd === true,
  };
  return builds.find((b) => b.features.every((f) => has[f]));
}

const bytesOf = (node: Node): Dim => mul(product(node.shape), DTYPE_BYTES[node.dtype]);

/** Bytes of a grid item where the grid divides the value, else of all of it. */
function pieceBytes(node: Node, items: Dim | undefined): Dim {
  return items === undefined ? bytesOf(node) : floorDiv(bytesOf(node), items);
}

export function foreignKernel(options: ForeignKernelOptions): KernelSpec {
  const { plugin, layout, builds, isolation } = options;
  const { kernel } = layout;
  const name = `${plugin}/${kernel.name}`;
  const codes = new Map<Build, Uint8Array>();
  const codeOf = (build: Build): Uint8Array => {
    const known = codes.get(build);
    if (known !== undefined) return known;
    const code = build.code(layout);
    codes.set(build, code);
    return code;
  };

  const emit = (e: EmitContext, match: Match, build: Build, places: ReadonlyMap<string, Source>, root: Node): void => {
    const sizeOf = (d: Dim): Dim => substitute(d, match.sizes);
    const items = kernel.grid === undefined ? undefined : match.sizes[kernel.grid];
    const flops = sizeOf(layout.flops);
    const scratch = sizeOf(layout.scratch);
    const wordsOf = (a: NamedArgument, how: SandboxArgument): readonly Arg[] => {
      if (a.kind === "scratch") return [{ size: scratch }];
      if (a.kind === "size") return how.kind === "count" ? [] : [{ size: match.sizes[a.name] }];
      if (a.kind === "attribute") {
        const value = match.attributes[a.name];
        return [{ size: typeof value === "number" ? bitsOf(value) : Number(value) }];
      }
      const node = a.kind === "output" ? root : match.operands[a.name];
      const divided = how.kind === "pointer" && how.split ? items : undefined;
      const address: Arg =
        a.kind === "output"
          ? { place: e.output, offset: 0, mode: "write" }
          : pointer(places.get(a.name) as Source, node);
      return [address, { size: pieceBytes(node, divided) }];
    };
    const words = layout.arguments.flatMap((a, i) => wordsOf(a, layout.sandbox[i]));
    const inner = items === undefined ? undefined : floorDiv(product(root.shape), items);
    e.step({
      name: kernel.entry,
      code: codeOf(build),
      args: [...words, { size: items === undefined ? flops : ceilFlops(flops, items) }],
      grid: items ?? 1,
      flops,
      // In the device's memory, scratch and the argument table are the worker's own.
      workerScratch: isolation === "shared-memory" ? sharedScratch(scratch, e, layout.arguments.length) : 0,
      ...(inner === undefined
        ? {}
        : {
            itemOf: (dims) => {
              const each = Math.max(1, evaluate(inner, dims));
              return (element) => Math.floor(element / each);
            },
          }),
    });
  };

  const claim = (context: ClaimContext, node: Node): readonly Offer[] => {
    const match = matchKernel(context, node, layout);
    if (match === undefined) return [];
    const refusal = (reason: string): readonly Offer[] => [{ kernel: name, node, reason }];
    if (typeof match === "string") return refusal(match);
    const build = chosenBuild(builds, context);
    if (build === undefined) {
      return refusal(`its builds need ${builds.map((b) => b.features.join(" and ")).join(", or ")}.`);
    }
    const unknown = Object.entries(match.attributes).find(([, value]) => typeof value === "string");
    if (unknown !== undefined) return refusal(`its attribute ${unknown[0]} is "${String(unknown[1])}", no number.`);
    const sizeOf = (d: Dim): Dim => substitute(d, match.sizes);
    const flops = sizeOf(layout.flops);
    const scratch = sizeOf(layout.scratch);
    const negative = negativeSize({ flops, bytes: sizeOf(layout.bytes ?? 0), scratch }, context.box);
    if (negative !== undefined) return refusal(negative);
    const held = bounds(scratch, context.box).max;
    if (!(held <= MOST_SCRATCH)) return refusal(`it takes ${held} bytes of scratch, more than ${MOST_SCRATCH}.`);
    const items = kernel.grid === undefined ? 1 : match.sizes[kernel.grid];
    const each = bounds(ceilFlops(flops, items), context.box).max;
    if (each > MOST_FLOPS) {
      return refusal(`one item of its grid does ${each} operations, more than ${MOST_FLOPS}; divide a larger grid.`);
    }
    const names = Object.keys(kernel.operands);
    const nodes = names.map((n) => match.operands[n]);
    const sources = sourcesOf(context, nodes, "dense");
    const moved = [node, ...nodes].map(bytesOf);
    const copied = isolation === "shared-memory" ? [] : moved;
    return [
      {
        kernel: name,
        covers: match.covers,
        output: node,
        operands: sources.operands,
        weights: sources.weights,
        cost: {
          flops,
          bytes: add(layout.bytes === undefined ? add(...moved) : sizeOf(layout.bytes), ...copied),
          launches: LAUNCHES[isolation],
        },
        emit: (e) => {
          const places = new Map(names.map((n, i) => [n, sources.source(e, i)]));
          emit(e, match, build, places, node);
        },
      },
    ];
  };
  return { name, device: "wasm", reads: ["simd128", "relaxedMadd"], mayFail: true, claim };
}

/** Why described sizes cannot be those of a claim, whose limits on work they would undo; nothing where they can. */
export function negativeSize(sizes: Readonly<Record<string, Dim>>, box: Box): string | undefined {
  const found = Object.entries(sizes).find(([, size]) => !(bounds(size, box).min >= 0));
  return found && `its ${found[0]} may be ${bounds(found[1], box).min}; expected a size from 0 on.`;
}

/** Operations of one grid item, rounded up where the total does not divide. */
function ceilFlops(flops: Dim, items: Dim): Dim {
  if (typeof items === "number") return ceilDiv(flops, Math.max(1, items));
  return add(floorDiv(flops, items), 1);
}

const ALIGNMENT = 64;

/** Bytes that a worker needs beside operands, where they are not copied. */
function sharedScratch(scratch: Dim, { box }: EmitContext, words: number): number {
  return Math.ceil((bounds(scratch, box).max + words * 4) / ALIGNMENT) * ALIGNMENT + ALIGNMENT;
}
