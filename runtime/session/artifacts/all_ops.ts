/** The language of graphs: own ops and those that plugins add. */
import type { Plugin } from "../../abi/plugin.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import type { OpTable } from "../../ir/node.ts";
import { OP_TABLE } from "../../ir/ops.ts";
import { pluginOp } from "./plugin_op.ts";

/** @throws FoveaError `invalid_plugin` for an op that exists already, and for what is none */
export function allOps(plugins: readonly Plugin[]): OpTable {
  const table = new Map(OP_TABLE);
  for (const plugin of plugins) {
    for (const [name, row] of Object.entries(plugin.ops ?? {})) {
      if (table.has(name))
        throw new FoveaError(
          "invalid_plugin",
          `Plugin "${plugin.name}" defines the op "${name}", which exists already.`,
        );
      table.set(name, pluginOp(plugin.name, name, row));
    }
  }
  return table;
}
