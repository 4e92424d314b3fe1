/** What a list of plugins must agree on before a runtime uses it, and what its encoders must keep to. */
import type { EncoderModel, EncoderSpec } from "../../abi/encoder.ts";
import { checkPlugin, type Plugin } from "../../abi/plugin.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { isObject } from "../check.ts";

/** Whether a value looks like a plugin, made by whichever copy of the package. */
export const isPlugin = (value: unknown): value is Plugin =>
  isObject(value) && typeof value.abi === "number" && typeof value.name === "string";

/** Families of tags that an encoder's plugin owns. */
const familiesOf = ({ name, families = [name] }: EncoderSpec): readonly string[] => families;

/**
 * Refuses what is no plugin, a plugin that is listed twice, two that bring one device or serve one
 * `model_type`, and two whose components would have tags of one
 * family: which one is meant must not depend on their order, and settings, caches and reports go by tag.
 * @throws FoveaError `invalid_plugin`, `tag_conflict`, that name both
 */
export function checkPlugins(plugins: readonly Plugin[]): void {
  const listed = new Map<string, Plugin>();
  for (const plugin of plugins) {
    checkPlugin(plugin);
    const other = listed.get(plugin.name);
    if (other !== undefined) {
      throw new FoveaError(
        "invalid_plugin",
        `The plugin "${plugin.name}" is listed twice in \`plugins\` (version ${other.version} and ${plugin.version}); leave one of them out.`,
      );
    }
    listed.set(plugin.name, plugin);
  }
  const bringing = new Map<string, string>();
  for (const { name, devices = [] } of plugins) {
    for (const { kind } of devices) {
      const other = bringing.get(kind);
      if (other !== undefined) throw broughtTwice(other, name, kind);
      bringing.set(kind, name);
    }
  }
  const serving = new Map<string, string>();
  const owning = new Map<string, string>();
  for (const { name, encoders = [] } of plugins) {
    for (const encoder of encoders) {
      for (const modelType of encoder.modelTypes) {
        const other = serving.get(modelType);
        if (other !== undefined) throw servedTwice(other, name, modelType);
        serving.set(modelType, name);
      }
      for (const family of familiesOf(encoder)) {
        const other = owning.get(family);
        // Encoders of one plugin may share a family.
        if (other !== undefined && other !== name) throw ownedTwice(other, name, family);
        owning.set(family, name);
      }
    }
  }
}

const broughtTwice = (one: string, other: string, kind: string): FoveaError =>
  new FoveaError(
    "invalid_plugin",
    `The plugins "${one}" and "${other}" both bring a device "${kind}"; leave one of them out of \`plugins\`, or rename a kind.`,
  );

const servedTwice = (one: string, other: string, modelType: string): FoveaError =>
  new FoveaError(
    "invalid_plugin",
    `The plugins "${one}" and "${other}" both serve the model_type "${modelType}"; leave one of them out of \`plugins\`.`,
  );

const ownedTwice = (one: string, other: string, family: string): FoveaError =>
  new FoveaError(
    "tag_conflict",
    `The plugins "${one}" and "${other}" both own the family "${family}" of component tags ("${family}/…"); settings, caches and reports go by tag. Leave one of them out of \`plugins\`, give the tags of one another family and list it in its encoder's \`families\`, or, where it brings the other's components as they are, list the family in its \`reuses\`.`,
  );

/** @throws FoveaError `invalid_plugin` for a component whose tag is of no family that its encoder lists */
export function checkFamilies(plugin: string, encoder: EncoderSpec, { towers }: EncoderModel): void {
  const listed = [...familiesOf(encoder), ...(encoder.reuses ?? [])];
  for (const { tag } of towers.flatMap(({ components }) => components)) {
    const [family] = tag.split("/");
    if (listed.includes(family)) continue;
    throw new FoveaError(
      "invalid_plugin",
      `The encoder "${encoder.name}" of plugin "${plugin}" brings a component "${tag}", but its tags are of the family ${listed.map((f) => `"${f}"`).join(", ")}. Rename the component, or list "${family}" in the encoder's \`families\` or, where another plugin owns it, \`reuses\`.`,
    );
  }
}
