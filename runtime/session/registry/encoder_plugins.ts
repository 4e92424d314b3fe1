/** Which plugin serves a model. */
import type { Plugin } from "../../abi/plugin.ts";

export interface EncoderPlugins {
  /** All values of `model_type` that are served. */
  readonly modelTypes: readonly string[];
  /** The plugin that serves one, loaded where need be. */
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
