/** What kernels with an invocation for each number of a product share. */
import type { KernelScope } from "./kernel.ts";
import type { MatmulOptions } from "./matmul.ts";

/** Which number of the result an invocation computes: `element`, and with it `batch`, row `r` and column `c`. */
export const elementPlace = (
  { word }: KernelScope,
  workgroup: number,
): string => `let element = item * ${workgroup}u + lane;
  if (element >= ${word("elements")}) { return; }
  let c = element % ${word("n")};
  let r = (element / ${word("n")}) % ${word("m")};
  let batch = element / (${word("n")} * ${word("m")});`;

/** The epilogue's operands at that place: `e0` and on. */
export const operandReads = ({ word, at }: KernelScope, { operands }: MatmulOptions["kinds"]): string =>
  operands
    .map((_, o) => {
      const place = `batch * ${word(`o${o}_batch`)} + r * ${word(`o${o}_row`)} + c * ${word(`o${o}_column`)}`;
      return `let e${o} = ${at(`o${o}`, place)};`;
    })
    .join("\n  ");
