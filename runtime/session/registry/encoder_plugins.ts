/** Which plugin serves a model. */
import type { Plugin } from "../../abi/plugin.ts";

export interface EncoderPlugins {
  /** All entries of `EncoderSpec.modelTypes`. */
  readonly modelTypes: readonly string[];
  /** The plugin of an entry, loaded where need be. */
  find(modelType: string): Promise<Plugin | undefined>;
}

/** Those among a caller's plugins. */
export function encodersOf(plugins: readonly Plugin[]): EncoderPlugins {
  const served = (p: Plugin): readonly string[] => (p.encoders ?? []).flatMap((e) => e.modelTypes);
  return {
    modelTypes: plugins.flatMap(served),
    find: async (modelType) => plugins.find((p) => served(p).includes(modelType)),
  };
}
