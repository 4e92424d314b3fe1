/** Joining: where one chosen claim reads what another writes, a kernel that both name may do the two at once. */
import { type Claim, type KernelSpec, type Refusal, writtenBy } from "../abi/kernel.ts";
import type { Node } from "../ir/node.ts";
import { type Cover, type CoverOptions, leakOf, type Offers, predictSeconds } from "./cover.ts";

/** A joined claim and what it takes the place of. */
interface Joint {
  readonly claim: Claim;
  /** Position of the later claim. */
  readonly later: number;
  readonly saved: number;
}

type Joining = Pick<CoverOptions, "kernels" | "capabilities" | "view"> & Pick<Offers, "context" | "isFree">;

/** Why a joined claim cannot stand for the two. */
function problemOf(joined: Claim, pair: readonly [Claim, Claim], { context }: Joining): string | undefined {
  const covered = new Set(pair.flatMap(({ covers }) => covers));
  if (joined.covers.length !== covered.size || !joined.covers.every((node) => covered.has(node)))
    return "what it would join covers other nodes.";
  const read = new Set(pair.flatMap(({ operands }) => operands.map(({ node }) => node)));
  const other = joined.operands.find(({ node }) => !read.has(node));
  if (other !== undefined) return `it would read "${other.node.op}", which neither of what it joins reads.`;
  const written = new Set(pair.flatMap(writtenBy));
  const inner = writtenBy(joined).find((node) => !written.has(node));
  if (inner !== undefined) return `it would write "${inner.op}", which neither of what it joins writes.`;
  return leakOf(joined, context);
}

/** Whether a claim reads something that another writes. */
function reads(later: Claim, earlier: Claim, { view }: Joining): boolean {
  const made = writtenBy(earlier);
  return later.operands.some(({ node }) => made.includes(view(node).base));
}

/** The joined claim that saves most with the claim at `at`, of several the first. */
function bestJoint(
  claims: readonly Claim[],
  at: number,
  written: ReadonlySet<Node>,
  how: Joining,
  refuse: (refusal: Refusal) => void,
): Joint | undefined {
  const earlier = claims[at];
  const kernel = how.kernels.find(({ name, join }) => name === earlier.joinedBy && join !== undefined);
  if (kernel === undefined) return undefined;
  const isThere = (node: Node): boolean => how.isFree(node) || written.has(node);
  let best: Joint | undefined;
  for (let later = at + 1; later < claims.length; later++) {
    const pair = [earlier, claims[later]] as const;
    if (pair[1].joinedBy !== kernel.name || !reads(pair[1], earlier, how)) continue;
    const claim = joinedBy(kernel, pair, how);
    if (claim === undefined || !claim.operands.every(({ node }) => isThere(how.view(node).base))) continue;
    const reason = problemOf(claim, pair, how);
    if (reason !== undefined) {
      refuse({ kernel: kernel.name, node: pair[1].output, reason });
      continue;
    }
    const [own, ...both] = [claim, ...pair].map((c) => predictSeconds(c, how.context.box, how.capabilities));
    const saved = both[0] + both[1] - own;
    if (saved > (best?.saved ?? 0)) best = { claim, later, saved };
  }
  return best;
}

/** Failures of a joined claim are those of the kernel that made it, so that the two are used where it is put aside. */
function joinedBy(kernel: KernelSpec, pair: readonly [Claim, Claim], { context }: Joining): Claim | undefined {
  const made = kernel.join?.(context, ...pair);
  return made && { ...made, kernel: kernel.name };
}

/**
 * A cover some of whose claims are joined, in order of execution. The joined claim takes the earlier one's place, so that all that
 * it reads must be there by then; what read either value comes behind it as before.
 */
export function joinClaims(cover: Cover, offers: Offers, options: CoverOptions): Cover {
  const how: Joining = { ...options, context: offers.context, isFree: offers.isFree };
  const claims = [...cover.claims];
  const refusals = [...cover.refusals];
  const parts = new Map(cover.parts);
  const written = new Set<Node>();
  for (let at = 0; at < claims.length; ) {
    const joint = bestJoint(claims, at, written, how, (refusal) => refusals.push(refusal));
    if (joint === undefined) {
      for (const node of writtenBy(claims[at++])) written.add(node);
      continue;
    }
    parts.set(joint.claim, [claims[at], claims[joint.later]]);
    claims.splice(joint.later, 1);
    claims[at] = joint.claim;
  }
  return { ...cover, claims, refusals, parts };
}
