/** What a component offers, asked while it is loaded: the calls `negotiate` and `offers`, lifted to descriptions of kernels. */
import { LIST_BYTES, LinkedComponent, VALUE_CASES } from "../../abi/component.ts";
import type { GlueLinks } from "../../abi/glue.ts";
import { ABI_VERSION } from "../../abi/plugin.ts";
import { linkTranspiled } from "../../abi/transpiled.ts";
import { FoveaError, internal } from "../../core/diagnostics.ts";

/** A record `offer` of kernels/wit. */
export interface ComponentOffer {
  readonly name: string;
  /** A pattern in JSON. */
  readonly pattern: string;
  readonly operands: readonly {
    readonly name: string;
    readonly dtype: (typeof VALUE_CASES)[number];
    readonly shape: readonly string[];
    readonly weight: boolean;
  }[];
  readonly output: readonly string[];
  readonly ranges: readonly {
    readonly size: string;
    readonly min: number;
    readonly max: number;
    readonly multipleOf: number;
  }[];
  readonly grid: string | undefined;
  readonly sizes: readonly string[];
  readonly attributes: readonly string[];
  readonly flops: string;
  readonly bytes: string | undefined;
}

/** Units that asking may take. */
const BUDGET = 2 ** 24;
const OFFER_BYTES = 88;
const OPERAND_BYTES = 24;
const INTERVAL_BYTES = 20;
/** More is no plugin. */
const MOST_OFFERS = 256;

function textsAt(c: LinkedComponent, address: number): readonly string[] {
  const { at, length } = c.list(address, LIST_BYTES, 4);
  return Array.from({ length }, (_, i) => c.text(at + i * LIST_BYTES));
}

function itemsAt<T>(c: LinkedComponent, address: number, bytes: number, read: (at: number) => T): readonly T[] {
  const { at, length } = c.list(address, bytes, 4);
  return Array.from({ length }, (_, i) => read(at + i * bytes));
}

const optionalText = (c: LinkedComponent, address: number): string | undefined =>
  c.byte(address) === 0 ? undefined : c.text(address + 4);

/** Fields at their offsets, as the canonical ABI has them. */
function offerAt(c: LinkedComponent, at: number): ComponentOffer {
  return {
    name: c.text(at),
    pattern: c.text(at + 8),
    operands: itemsAt(c, at + 16, OPERAND_BYTES, (o) => {
      const dtype = c.byte(o + 8);
      return {
        name: c.text(o),
        dtype: VALUE_CASES[dtype] ?? fail(`an operand has the dtype ${dtype}`),
        shape: textsAt(c, o + 12),
        weight: c.byte(o + 20) !== 0,
      };
    }),
    output: textsAt(c, at + 24),
    ranges: itemsAt(c, at + 32, INTERVAL_BYTES, (r) => ({
      size: c.text(r),
      min: c.word(r + 8),
      max: c.word(r + 12),
      multipleOf: c.word(r + 16),
    })),
    grid: optionalText(c, at + 40),
    sizes: textsAt(c, at + 52),
    attributes: textsAt(c, at + 60),
    flops: c.text(at + 68),
    bytes: optionalText(c, at + 76),
  };
}

function fail(what: string): never {
  throw new Error(what);
}

/** Writes a text to the component's memory; its address and length. */
function lowerText(c: LinkedComponent, text: string): readonly [number, number] {
  const bytes = new TextEncoder().encode(text);
  const at = c.allocate(bytes.length, 1);
  c.bytes.set(bytes, at);
  return [at, bytes.length];
}

/** A component as it is asked: by the lean loader, or by jco's glue. */
export interface Asked {
  /** The version of the contract that it speaks. @throws Error with why there is none */
  negotiate(features: readonly string[]): number;
  offers(): readonly ComponentOffer[];
}

/** @throws Error where it does not link */
export function askedLean(module: WebAssembly.Module): Asked {
  const c = new LinkedComponent(module);
  c.allow(BUDGET);
  return {
    negotiate: (features) => {
      const list = c.allocate(features.length * LIST_BYTES, 4);
      for (const [i, feature] of features.entries()) {
        const [at, length] = lowerText(c, feature);
        c.setWord(list + i * LIST_BYTES, at);
        c.setWord(list + i * LIST_BYTES + 4, length);
      }
      const answer = c.call("negotiate", ABI_VERSION, list, features.length);
      const abi = c.word(c.succeeded(answer));
      c.done("negotiate", answer);
      return abi;
    },
    offers: () => {
      const given = c.call("offers");
      const { at, length } = c.list(given >>> 0, OFFER_BYTES, 4);
      const offers = Array.from({ length: checkedCount(length) }, (_, i) => offerAt(c, at + i * OFFER_BYTES));
      c.done("offers", given);
      return offers;
    },
  };
}

/** @throws Error where it does not link */
export function askedTranspiled(module: WebAssembly.Module, links?: GlueLinks): Asked {
  const c = linkTranspiled(module, links) ?? internal("glue that is none");
  c.allow(BUDGET);
  return {
    negotiate: (features) => c.call(() => c.kernels.negotiate({ abi: ABI_VERSION, features })),
    offers: () => {
      const offers = c.call(() => c.kernels.offers()) as readonly ComponentOffer[];
      checkedCount(offers.length);
      return offers;
    },
  };
}

const checkedCount = (count: number): number =>
  count > 0 && count <= MOST_OFFERS ? count : fail(`it gives ${count} offers; expected 1 to ${MOST_OFFERS}`);

/**
 * Asks a component what it offers. Nothing but the component's own code runs, and no longer than some milliseconds.
 * @param file its name, for messages
 * @throws FoveaError `refused_module` where it fails, does not end, or speaks no version that fovea speaks
 */
export function askOffers(link: () => Asked, features: readonly string[], file: string): readonly ComponentOffer[] {
  let during = "linked";
  try {
    const asked = link();
    during = "asked for `negotiate`";
    const abi = asked.negotiate(features);
    if (abi !== ABI_VERSION) fail(`it wants to speak abi ${abi}; this fovea speaks abi ${ABI_VERSION}`);
    during = "asked for `offers`";
    return asked.offers();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new FoveaError("refused_module", `${file} cannot be used as a kernel: ${during}, ${why}.`, { cause });
  }
}
