/** Kernels of plugins, held against the contract where they are asked: what breaks it is a failure of that kernel alone. */
import type { Claim, ClaimContext, EmitContext, EmittedStep, KernelSpec, Offer } from "../../abi/kernel.ts";
import { FoveaError, KernelError } from "../../core/diagnostics.ts";
import { topological } from "../../ir/graph.ts";
import type { Node } from "../../ir/node.ts";
import { foundText, isObject } from "../check.ts";

/** A kernel whose `claim`, `join` or `emit` broke the contract. */
export class KernelContractError extends KernelError {}

const isText = (value: unknown): boolean => typeof value === "string" && value !== "";
const isNode = (value: unknown): boolean => isObject(value) && isText(value.op) && Array.isArray(value.inputs);
/** A size: a number, or an expression over symbols. */
const isSize = (value: unknown): boolean =>
  typeof value === "number" ? value >= 0 && value < Number.POSITIVE_INFINITY : isObject(value) && !Array.isArray(value);
const isOperand = (value: unknown): boolean =>
  isObject(value) && isNode(value.node) && (value.access === "dense" || value.access === "strided");
const areAll = (value: unknown, holds: (one: unknown) => boolean): value is readonly unknown[] =>
  Array.isArray(value) && value.every(holds);

/** The `emit` that a kernel gave, by the one that checks it: kernels that join claims know theirs by it. */
const own = new WeakMap<Claim["emit"], Claim["emit"]>();
const asGiven = (claim: Claim): Claim => ({ ...claim, emit: own.get(claim.emit) ?? claim.emit });

/** What is wrong with an offer, as the end of a sentence. */
function offerProblem(offer: unknown, kernel: string): string | undefined {
  if (!isObject(offer)) return `gives ${foundText(offer)} among its offers; expected a claim or a refusal`;
  if (offer.kernel !== kernel) return `names the kernel ${foundText(offer.kernel)} in an offer; expected its own name`;
  if ("reason" in offer)
    return isText(offer.reason) && isNode(offer.node)
      ? undefined
      : "gives a refusal without a node, or without a sentence";
  const { covers, output, operands, weights, cost, emit } = offer;
  if (!areAll(covers, isNode)) return "gives a claim whose `covers` are no list of nodes";
  if (!covers.includes(output)) return "gives a claim whose `output` is none of the nodes that it covers";
  if (!areAll(operands, isOperand))
    return 'gives a claim whose `operands` are no list of { node, access: "dense" or "strided" }';
  if (!areAll(weights, isNode)) return "gives a claim whose `weights` are no list of nodes";
  if (!isObject(cost) || ![cost.flops, cost.bytes, cost.launches].every(isSize))
    return "gives a claim whose `cost` is not { flops, bytes, launches } of sizes from 0 on";
  return typeof emit === "function" ? undefined : "gives a claim whose `emit` is no function";
}

/** A value as an author knows it: weights and inputs by their names, others by their ops. */
const valueText = ({ op, attributes }: Node): string =>
  typeof attributes.name === "string" ? `${op} "${attributes.name}"` : `result of "${op}"`;

/** What is wrong with what a claim reads, held against what its nodes read, as the end of a sentence. */
function readsProblem({ covers, operands, weights }: Claim, { view, isWeight }: ClaimContext): string | undefined {
  const covered = new Set(covers);
  const given = new Set(operands.map(({ node }) => view(node).base));
  const needed = new Set<Node>();
  for (const node of covers) {
    for (const input of node.inputs) {
      const { base } = view(input);
      if (covered.has(input) || covered.has(base)) continue;
      needed.add(base);
      // Values of weights and constants are there without being scheduled.
      if (given.has(base) || isWeight(base)) continue;
      return `gives a claim that covers "${node.op}" and leaves the ${valueText(base)}, which that reads, out of its \`operands\``;
    }
  }
  const odd = [...given].find((base) => !needed.has(base));
  if (odd !== undefined)
    return `gives a claim whose \`operands\` hold the ${valueText(odd)}, which none of the nodes that it covers reads`;
  const value = weights.find((node) => !isWeight(node));
  if (value !== undefined)
    return `gives a claim whose \`weights\` hold the ${valueText(value)}, which depends on more than weights; list it among its \`operands\``;
  return undefined;
}

/** What is wrong with a step, as the end of a sentence. */
function stepProblem(step: unknown): string | undefined {
  if (!isObject(step) || !isText(step.name)) return "adds a step without a name";
  if (!(step.code instanceof Uint8Array)) return `adds the step "${step.name}" whose \`code\` is no Uint8Array`;
  if (!areAll(step.args, isObject))
    return `adds the step "${step.name}" whose \`args\` are no list of places and sizes`;
  if (![step.grid, step.flops].every(isSize))
    return `adds the step "${step.name}" whose \`grid\` or \`flops\` is no size from 0 on`;
  return undefined;
}

/** The kernel with a `claim`, a `join` and claims that are checked. They throw KernelContractError. */
export function pluginKernel(plugin: string, spec: KernelSpec): KernelSpec {
  const { name, device, join } = spec;
  const failure = (what: string, problem: string, cause?: unknown): KernelContractError =>
    new KernelContractError(device, `${name}/${what}`, `\`${what}\` of plugin "${plugin}" ${problem}`, cause);
  const called = <T>(what: string, call: () => T): T => {
    try {
      return call();
    } catch (error) {
      // What fovea itself says, such as about weights that no kernel can pack, stays as it is.
      if (error instanceof FoveaError || (error instanceof Error && error.message.startsWith("internal:"))) throw error;
      const why = (error instanceof Error ? error.message : String(error)).replace(/\.$/, "");
      throw failure(what, `threw: ${why}`, error);
    }
  };
  const emitting = (claim: Claim): Claim["emit"] => {
    const emit: Claim["emit"] = (e) => {
      let steps = 0;
      const step = (one: EmittedStep): void => {
        const problem = stepProblem(one);
        if (problem !== undefined) throw failure("emit", problem);
        steps++;
        e.step(one);
      };
      const operand: EmitContext["operand"] = (index) => {
        if (claim.operands[index] !== undefined) return e.operand(index);
        throw failure("emit", `asks for operand ${index} of a claim that has ${claim.operands.length}`);
      };
      const weight: EmitContext["weight"] = (node, layout) => {
        // A kernel may take what a listed value is rounded or laid out from.
        if (topological(claim.weights).includes(node)) return e.weight(node, layout);
        const what = isNode(node) ? `the ${valueText(node)}` : foundText(node);
        throw failure("emit", `asks for ${what} as a weight, which its claim does not list among its \`weights\``);
      };
      called("emit", () => claim.emit({ ...e, step, operand, weight }));
      if (steps === 0) throw failure("emit", "adds no step");
    };
    own.set(emit, claim.emit);
    return emit;
  };
  const checked = (what: "claim" | "join", offer: Offer, context: ClaimContext): Offer => {
    const problem = offerProblem(offer, name);
    if (problem !== undefined) throw failure(what, problem);
    if ("reason" in offer) return offer;
    const unread = readsProblem(offer, context);
    if (unread !== undefined) throw failure(what, unread);
    return { ...offer, emit: emitting(offer) };
  };
  return {
    ...spec,
    claim: (context, node) => {
      const offers: unknown = called("claim", () => spec.claim(context, node));
      if (Array.isArray(offers)) return offers.map((offer: Offer) => checked("claim", offer, context));
      throw failure("claim", `gives ${foundText(offers)}; expected a list of claims and refusals`);
    },
    ...(join === undefined
      ? {}
      : {
          join: (context, earlier, later) => {
            const joined = called("join", () => join.call(spec, context, asGiven(earlier), asGiven(later)));
            return joined === undefined ? undefined : (checked("join", { ...joined, kernel: name }, context) as Claim);
          },
        }),
  };
}
